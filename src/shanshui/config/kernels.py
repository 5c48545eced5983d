"""What decides which kernels a run needs: networks at their smallest widths, losses, augmentation."""

from __future__ import annotations

from typing import Literal, TypedDict

from shanshui.architectures.context import SWITCHES, Sections
from shanshui.architectures.schedule import schedule
from shanshui.config.schema import Config
from shanshui.config.sections import Finetune, Pretrain
from shanshui.metrics.registry import need_segmenter

READ = ("loss_resize", "perceptual_input", "inception_norm")  # switches of the losses


class PhaseKernels(TypedDict):
    """Options of one phase; of weights only whether they are 0."""

    weights: dict[str, float]
    perceptual: str
    gan: Literal["hinge", "ls", "bce", "w"]
    label_mix: float
    kl: float
    kl_reduction: Literal["sum", "mean"]
    augment: list[str]
    seg_noise: bool
    average: bool


class RunKernels(Sections):
    """What `training.precompilation` goes through to compile the kernels of one run; JSON.

    Equal values need the same kernels, whatever the widths, sizes, batches, rates and numbers of epochs.
    """

    sizes: int
    fades: bool
    phases: dict[Literal["pretrain", "finetune"], PhaseKernels]
    segmenter: bool


def kernels_of(config: Config) -> RunKernels:
    """Return what decides which kernels a run of this configuration needs."""
    networks, parity = config.networks(), config.parity.resolved()
    sizes, epochs = networks.discriminator.output_sizes, config.pretrain.epochs
    trained = need_segmenter(config.score.metrics) and not config.segmenter.weights
    return {
        **networks.minimal(),
        "parity": {name: parity[name] for name in (*SWITCHES, *READ)},
        "sizes": sizes,
        "fades": any(map(schedule(epochs, sizes).starts_fade, range(1, epochs + 1))),
        "phases": {"pretrain": _phase(config.pretrain), "finetune": _phase(config.finetune)},
        "segmenter": trained,
    }


def _phase(options: Pretrain | Finetune) -> PhaseKernels:
    last = options if isinstance(options, Finetune) else None
    weights = {"feat": options.feature_matching, "rec": options.reconstruction, "perceptual": options.perceptual.weight}
    return {
        "weights": {name: float(weight > 0) for name, weight in weights.items()},
        "perceptual": options.perceptual.net,
        "gan": options.gan,
        "label_mix": float(options.label_mix > 0),
        "kl": float(options.kl > 0),
        "kl_reduction": options.kl_reduction,
        "augment": list(last.augment) if last else [],
        "seg_noise": bool(last and last.seg_noise),
        "average": bool(last and last.ema),
    }
