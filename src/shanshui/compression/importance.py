"""Importance of the channels inside of a generator's blocks, measured on the images that it makes.

Of channel j with activations a_j, read by weights W:

    s_j = sqrt(mean a_j^2) * sqrt(sum of W[:, j]^2)

A SPADE layer has no scale of its own to rank channels by, as CAT does (Jin et al. 2021): its output is standardised
features times 1 + gamma(labels), and this measures gamma and beta as often as each label occurs. The divisor of
spectral norm is the same for all channels of a group, and is left out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from shanshui.architectures.generator_networks import BuiltGenerator
from shanshui.architectures.noise_source import seeded_noise
from shanshui.backend.lazy import jt
from shanshui.backend.modules import gather
from shanshui.nn.channel_groups import ChannelGroup, channel_groups
from shanshui.storage.size import Size

if TYPE_CHECKING:
    from jittor import Module, Var

CALLED = "execute"  # the method that Jittor's modules run when they are called


def importances(mean_squares: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray:
    """Compute the importance of channels, float64 (C,).

    Args:
        mean_squares: of the activations (C,).
        weights: that read them (out, C, ...); further channels of theirs are not looked at.
    """
    channels = len(mean_squares)
    read = sum((w[:, :channels].astype(np.float64) ** 2).sum(axis=(0, *range(2, w.ndim))) for w in weights)
    return np.sqrt(mean_squares.astype(np.float64)) * np.sqrt(read)


def relative(importance: np.ndarray) -> np.ndarray:
    """Divide by the root mean square, so that the channels of different groups compare; zeros stay zeros."""
    scale = float(np.sqrt(np.mean(importance**2))) if importance.size else 0.0
    return importance / scale if scale else importance


def measure(generator: BuiltGenerator, label_maps: np.ndarray, seed: int = 0) -> dict[str, np.ndarray]:
    """Measure the importance of the channels that can be removed from G, relative within each group, by group.

    Args:
        generator: in evaluation mode; it is not changed.
        label_maps: class ids uint8 (N, H, W) to generate images of.
        seed: of the noise.
    """
    groups = channel_groups(generator.G)
    squares = {group.name: np.zeros(group.channels) for group in groups}
    sizes = generator.patch_sizes(Size.of_maps(label_maps))
    for number, label_map in enumerate(label_maps):
        with jt.no_grad(), _watched(generator.G, groups) as found:
            generator.generate(generator.condition(label_map[None], sizes), seeded_noise(seed)([str(number)])).sync()
            for name, var in found.items():
                squares[name] += var.numpy()
        jt.sync_all()
    arrays = gather(generator.G)
    return {
        group.name: relative(
            importances(squares[group.name] / len(label_maps), [arrays[name] for name in group.consumers])
        )
        for group in groups
    }


@contextlib.contextmanager
def _watched(network: Module, groups: Sequence[ChannelGroup]) -> Iterator[dict[str, Var]]:
    """Yield a dictionary that fills with the mean squares of the groups' activations (C,) while a network runs."""
    means: dict[str, Var] = {}
    layers = dict(network.named_modules())
    groups = [group for group in groups if group.channels]

    def record(group: ChannelGroup, execute: Callable[..., Var], *args: Var, **named: Var) -> Var:
        found = group.activations(*args, **named)
        means[group.name] = (found * found).mean(3).mean(2).mean(0)
        return execute(*args, **named)

    try:
        for group in groups:
            layer = layers[group.watched]
            vars(layer)[CALLED] = partial(record, group, getattr(layer, CALLED))  # of this layer, not of its class
        yield means
    finally:
        for group in groups:
            vars(layers[group.watched]).pop(CALLED, None)
