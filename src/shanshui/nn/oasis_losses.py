"""Losses of OASIS (Schönfeld et al. 2021): D classifies every pixel, with one more class for fakes.

D gives logits (N, L + 1, H, W) for L classes: channel 0 is "generated", channel k + 1 is class k. Classes are
balanced: a class that covers few pixels counts as much as the sky. LabelMix pastes a photograph and a fake
together along the borders of classes and asks D for the same answers as for the two alone.

All functions are pure; the random choices of LabelMix are arguments. Pixels without a class (all-zero columns of the
segmap) are left out of the losses on classes, and count as any other where "generated" is the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from shanshui.backend.lazy import jt
from shanshui.nn.losses import mean
from shanshui.nn.norms import over_ranks

if TYPE_CHECKING:
    from jittor import Var


LABEL_MIX = 10.0  # weight of the consistency term


def oasis_generator_losses(fake_logits: Var, segmap: Var) -> dict[str, Var]:
    """Compute the loss terms of G, each (1,): D should classify the pixels of the fake as in the label map.

    Args:
        fake_logits: D's answer to the fakes (N, L + 1, H, W).
        segmap: one-hot label maps (N, L, H, W).
    """
    return {"G/adv": class_loss(fake_logits, segmap)}


def oasis_discriminator_losses(
    fake_logits: Var, real_logits: Var, segmap: Var, mixed_logits: Var | None = None, mask: Var | None = None,
    label_mix: float = LABEL_MIX,
) -> dict[str, Var]:  # fmt: skip
    """Compute the loss terms of D, each (1,).

    Args:
        fake_logits: D's answer to the fakes (N, L + 1, H, W), held constant for G.
        real_logits: its answer to the photographs.
        segmap: one-hot label maps (N, L, H, W).
        mixed_logits: its answer to `mix` of both along `mask`; None for no LabelMix.
        mask: (N, 1, H, W), see `mix_mask`.
        label_mix: weight of the consistency term.
    """
    terms = {"D/real": class_loss(real_logits, segmap), "D/fake": generated_loss(fake_logits)}
    if mixed_logits is not None:
        terms["D/mix"] = label_mix * consistency(mixed_logits, real_logits, fake_logits, cast("Var", mask))
    return terms


def class_weights(segmap: Var) -> Var:
    """Compute the weight (L,) of a pixel of each class: N * H * W / (present classes * pixels of the class), or 0.

    An absent class has weight 0. So every class present in the batch has the same share of a mean over all pixels. Of
    several MPI ranks the batch is the global one: N and pixels are then means over the ranks, which gives the same
    weights.
    """
    n, _, height, width = segmap.shape
    pixels = over_ranks(segmap.sum(3).sum([0, 2]))  # (L,)
    present = (pixels > 0).float32()
    shares = present.sum().maximum(1) * (pixels + 1 - present)  # of the absent not zero, which divides
    return present * (n * height * width) / shares


def class_loss(logits: Var, segmap: Var) -> Var:
    """Compute the balanced cross entropy (1,) of logits (N, L + 1, H, W) with classes (N, L, H, W), one-hot.

    The mean over the present classes of the mean over their pixels of -log p(class).
    """
    weighted = segmap * class_weights(segmap).reshape(1, -1, 1, 1)  # (N, L, H, W)
    weight = weighted.sum(1, keepdims=True)  # (N, 1, H, W)
    return mean(log_total(logits) * weight - (logits[:, 1:] * weighted).sum(1, keepdims=True))


def generated_loss(logits: Var) -> Var:
    """Compute the cross entropy (1,) of logits (N, L + 1, H, W) with "generated", the mean over all pixels."""
    return mean(log_total(logits) - logits[:, :1])


def log_total(logits: Var) -> Var:
    """Compute log(sum over channels of exp(logits)): (N, C, H, W) -> (N, 1, H, W), without overflow."""
    highest = logits.max(1, keepdims=True).detach()  # (N, 1, H, W)
    return (logits - highest).exp().sum(1, keepdims=True).log() + highest


def draw_classes(rng: np.random.Generator, n: int, num_classes: int) -> np.ndarray:
    """Draw the choices of `mix_mask`, (n, num_classes) of 0 and 1: for each image and class, fake or photograph."""
    return rng.integers(0, 2, (n, num_classes), dtype=np.int32)


def mix_mask(segmap: Var, draws: np.ndarray) -> Var:
    """Build the mask (N, 1, H, W) of LabelMix: 1 where it shows the photograph, 0 where the fake.

    Each class is looked up in the draws, so that it comes whole from one side and no class depends on another.
    Pixels without a class come from the fake.

    Args:
        segmap: one-hot label maps (N, L, H, W).
        draws: (N, L), or (1, L) for the same choice in all images, of 0 and 1.
    """
    chosen = jt.array(draws.astype(np.float32)).reshape(*draws.shape, 1, 1)  # (N, L, 1, 1)
    return (segmap * chosen).sum(1, keepdims=True)


def mix(real: Var, fake: Var, mask: Var) -> Var:
    """Take `real` where the mask (N, 1, H, W) is 1, `fake` where it is 0; for images and logits (N, C, H, W)."""
    return mask * real + (1 - mask) * fake


def consistency(mixed_logits: Var, real_logits: Var, fake_logits: Var, mask: Var) -> Var:
    """Compute the mean squared difference (1,) between D's answer to the mixed image and the mixture of its answers."""
    difference = mixed_logits - mix(real_logits, fake_logits, mask)
    return mean(difference * difference)
