"""Milliseconds of one picture from its label map, in three forms; ratios of one run.

    python benchmarks/generate.py [--size 512x384] [--channels 32] [--batch 1] [--labels DIR]

The forms begin with the same weights: their pictures must agree. (Batch normalisation uses its running
statistics, which after initialisation are mean 0 and variance 1.)
"""

from __future__ import annotations

from pathlib import Path

from subjects import CLASSES, Subject, answer, main, our_networks, torch_networks


def ours(subject: Subject, folder: Path, steps: int, with_patches: bool) -> None:
    """Our form; finding the patches is part of it."""
    from shanshui.data.labels import one_hot
    from shanshui.models.patch_spade import to_device
    from shanshui.patches import patch_pyramid
    from shanshui.runtime import load_jittor

    jt = load_jittor()
    nets, label_maps = our_networks(subject, folder), subject.label_maps()
    nets.G.eval(), nets.E.eval()

    def picture() -> list[float]:
        pyramid = patch_pyramid(label_maps, nets.G.patch_sizes(*label_maps.shape[1:]) if with_patches else [])
        with jt.no_grad():
            segmap = jt.array(one_hot(label_maps, CLASSES))
            fake = nets.G(nets.E(segmap), segmap, patches=to_device(pyramid, CLASSES)).numpy()
        return [float(x) for x in fake[0, :, ::7, ::7].ravel()]

    answer(picture, picture(), steps, subject.shares())


def theirs(subject: Subject, folder: Path, steps: int) -> None:
    """PyTorch's."""
    import torch

    from shanshui.data.labels import one_hot

    trainer, label_maps = torch_networks(subject, folder), subject.label_maps()
    trainer.G.eval(), trainer.E.eval()

    def picture() -> list[float]:
        with torch.no_grad():
            segmap = torch.from_numpy(one_hot(label_maps, CLASSES))
            fake = trainer.G(trainer.E(segmap), segmap).numpy()
        return [float(x) for x in fake[0, :, ::7, ::7].ravel()]

    answer(picture, picture(), steps, subject.shares())


if __name__ == "__main__":
    main(__doc__, "picture", ours, theirs)
