"""What a student learns from: batches of label maps, with photographs where there are any."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shanshui.architectures.generator_networks import BuiltGenerator, Conditioning
from shanshui.backend.device import on_cpu
from shanshui.backend.lazy import jt
from shanshui.config.training_settings import TrainingConfig
from shanshui.data.loader import TrainingPairs, batches, steps_per_epoch
from shanshui.errors import ShanshuiError
from shanshui.nn.condition import one_hot_maps
from shanshui.nn.patch_numbering import patches_of, sizes_for_loader
from shanshui.storage.size import Size

if TYPE_CHECKING:
    from jittor import Var


@dataclass(frozen=True)
class Examples:
    """One batch.

    Attributes:
        names: of the N images, on which their noise depends.
        conditioning: their label maps and further inputs.
        real: their photographs (N, 3, H, W) in [-1, 1], or None.
    """

    names: Sequence[str]
    conditioning: Conditioning
    real: Var | None = None

    def photographs(self) -> Var:
        """Return the photographs.

        Raises:
            ShanshuiError: there are none.
        """
        if self.real is None:
            raise ShanshuiError("label maps without photographs", "training pairs, for losses by photographs")
        return self.real


@dataclass(frozen=True)
class Source:
    """Examples by epoch.

    Attributes:
        steps: batches per epoch.
        epoch: (number of the epoch, its random numbers) -> batches.
        identity: digests of the data.
    """

    steps: int
    epoch: Callable[[int, np.random.Generator], Iterator[Examples]]
    identity: tuple[object, ...]


def of_label_maps(generator: BuiltGenerator, label_maps: np.ndarray, batch: int) -> Source:
    """Take every label map once per epoch, in random order.

    Args:
        generator: for which they are prepared.
        label_maps: class ids uint8 (N, H, W).
        batch: label maps per step; the last batch is filled up with the first ones.
    """

    def epoch(number: int, rng: np.random.Generator) -> Iterator[Examples]:
        for part in batches_of(rng.permutation(len(label_maps)), batch):
            yield named(generator, label_maps[part], [f"{number}.{index}" for index in part])

    found = hashlib.sha256(label_maps.tobytes()).hexdigest()
    return Source(-(-len(label_maps) // batch), epoch, (found, list(label_maps.shape)))


def named(generator: BuiltGenerator, label_maps: np.ndarray, names: Sequence[str]) -> Examples:
    """Prepare label maps uint8 (N, H, W) with the names of their images."""
    return Examples(names, generator.condition(label_maps, generator.patch_sizes(Size.of_maps(label_maps))))


def batches_of(order: np.ndarray, size: int) -> list[np.ndarray]:
    """Cut indices into batches of equal size; the last is filled up with the first indices."""
    lacking = -len(order) % size
    return list(np.resize(order, len(order) + lacking).reshape(-1, size))


def of_pairs(
    generator: BuiltGenerator, pairs: TrainingPairs, config: TrainingConfig, batch: int, identity: Sequence[str]
) -> Source:
    """Take the training pairs in full batches, shuffled, cropped and flipped as in fine-tuning.

    Args:
        generator: for which they are prepared.
        pairs: at load size.
        config: settings of fine-tuning.
        batch: pairs per step; the rest of an epoch is dropped.
        identity: digests of the pairs.

    Raises:
        ShanshuiError: there is no full batch.
    """
    data, declared = config.data, generator.declared
    sizes, num_classes = generator.patch_sizes(data.size), len(data.classes)

    def epoch(number: int, rng: np.random.Generator) -> Iterator[Examples]:
        for found in batches(
            pairs, batch, config.seed, number, data.size, config.parity.crop, data.flip,
            sizes_for_loader(sizes, num_classes),
            extra_inputs=declared.extra_inputs, sort=not on_cpu(),
        ):  # fmt: skip
            more = {name: jt.array(array) for name, array in found.extra_inputs.items()}
            patches = patches_of(found.label_map, sizes, num_classes, found.patches)
            conditioning = Conditioning(one_hot_maps(found.label_map, num_classes), patches=patches, **more)
            yield Examples([f"{number}.{index}" for index in found.indices], conditioning, jt.array(found.real))

    return Source(steps_per_epoch(len(pairs), batch), epoch, tuple(identity))
