"""Milliseconds of one picture from its label map, in three forms; ratios of one run.

    python benchmarks/generate.py [--size 512x384] [--channels 32] [--batch 1] [--labels DIR]

The forms begin with the same weights: their pictures must agree. (Batch normalisation uses its running
statistics, which after initialisation are mean 0 and variance 1.)
"""

from __future__ import annotations

from pathlib import Path

from subjects import CLASSES, Subject, answer, main, our_networks, torch_networks

from shanshui.storage.size import Size


def ours(subject: Subject, folder: Path, steps: int, with_patches: bool) -> None:
    """Our form; finding the patches is part of it."""
    from shanshui.architectures.noise_source import seeded_noise
    from shanshui.backend.runtime import load_jittor

    jt = load_jittor()
    generator, label_maps = our_networks(subject, folder).generator, subject.label_maps()
    generator.G.eval(), generator.E.eval()

    def picture() -> list[float]:
        sizes = generator.patch_sizes(Size.of_maps(label_maps)) if with_patches else []
        with jt.no_grad():
            fake = generator.generate(generator.condition(label_maps, sizes), seeded_noise(None)([])).numpy()
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
