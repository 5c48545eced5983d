"""Load batches of training pairs: shuffled, cropped and flipped identically in every process, prefetched."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from shanshui.data.patches import Patches, patch_pyramid
from shanshui.errors import ShanshuiError
from shanshui.storage.images import to_float
from shanshui.storage.size import Size

AHEAD = 3

Item = TypeVar("Item")


@dataclass(frozen=True)
class TrainingPairs:
    """Training pairs at load size, as arrays or memory maps.

    `photos` are uint8 (N, H, W, 3), `label_maps` uint8 class ids (N, H, W). `instances`, uint16 (N, H, W), number the
    objects in each label map, if the configuration uses them.
    """

    photos: np.ndarray
    label_maps: np.ndarray
    instances: np.ndarray | None = None

    def __post_init__(self) -> None:
        shapes = {self.photos.shape[:3], self.label_maps.shape}
        if len(shapes | ({self.instances.shape} if self.instances is not None else set())) > 1:
            raise ShanshuiError(
                f"photographs {self.photos.shape} and label maps {self.label_maps.shape}",
                "as many label maps as photographs, of the same size",
                "run `prepare` again",
            )

    def __len__(self) -> int:
        return len(self.photos)


@dataclass(frozen=True)
class Batch:
    """One batch: `real` float32 (N, 3, H, W) in [-1, 1], `label_map` uint8 (N, H, W), 255 = no class, `indices` (N,).

    `patches` are the distinct patches of the label maps at the sizes at which they save time;
    `extra_inputs` are additional inputs of the generator, by name.
    """

    real: np.ndarray
    label_map: np.ndarray
    indices: np.ndarray
    patches: dict[Size, Patches]
    extra_inputs: dict[str, np.ndarray]


@dataclass(frozen=True)
class EpochPlan:
    """The random choices of one epoch: the order of the pairs and, per position in it, crop and flip."""

    order: np.ndarray
    left: np.ndarray
    top: np.ndarray
    mirrored: np.ndarray


def read_training_pairs(photos: str | Path, label_maps: str | Path) -> TrainingPairs:
    """Open the arrays written by `prepare` as memory maps.

    Raises:
        ShanshuiError: an array cannot be read, or their sizes differ.
    """
    arrays = []
    for path in (photos, label_maps):
        try:
            arrays.append(np.load(path, mmap_mode="r", allow_pickle=False))
        except (OSError, EOFError, ValueError) as error:
            raise ShanshuiError(
                f"{path} cannot be read: {error}", "an array written by `prepare`", "run it again"
            ) from None
    return TrainingPairs(*arrays)


def steps_per_epoch(n: int, batch: int) -> int:
    """Return the number of full batches in `n` pairs.

    Raises:
        ShanshuiError: there is not one.
    """
    if batch > n:
        raise ShanshuiError(
            f"a batch of {batch} is more than the {n} training pairs",
            "one full batch",
            "lower batch, or add pairs",
        )
    return n // batch


def plan_epoch(n: int, seed: int, epoch: int, room: Size, crop: Literal["full", "top"], flip: bool) -> EpochPlan:
    """Draw the random choices of `epoch` from (seed, epoch) alone.

    Everything is drawn whether used or not: without flips, order and crops stay the same.

    Args:
        n: number of pairs.
        seed: of the run.
        epoch: number of the epoch.
        room: rows and columns by which the crop can move.
        crop: "top" starts every crop at the first row, as the competition's winner did.
        flip: mirror half of the pairs horizontally.
    """
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(epoch,))))
    order = rng.permutation(n)
    left, top = (rng.integers(0, most + 1, n) for most in room.width_first)
    mirrored = rng.random(n) < 0.5
    return EpochPlan(order, left, top if crop == "full" else np.zeros_like(top), mirrored & flip)


ExtraInputs = Callable[[np.ndarray, np.ndarray | None], dict[str, np.ndarray]]  # of label maps and instances (N, H, W)


def nothing(label_maps: np.ndarray, instances: np.ndarray | None) -> dict[str, np.ndarray]:
    """Return no additional inputs."""
    return {}


def cut(
    pairs: TrainingPairs, plan: EpochPlan, places: range, size: Size, sizes: Sequence[Size] = (),
    extra_inputs: ExtraInputs = nothing, sort: bool = False,
) -> Batch:  # fmt: skip
    """Assemble the batch of the pairs at `places` in the epoch's order, cropped and flipped as `plan` says.

    Args:
        pairs: training pairs at load size.
        plan: random choices of the epoch.
        places: positions in the epoch's order.
        size: of the crop.
        sizes: at which the label maps' distinct patches are found.
        extra_inputs: computes additional inputs by name from label maps and instances (N, H, W).
        sort: give the patches the sorted lists that GPU kernels need.
    """
    indices = plan.order[places.start : places.stop]
    real = np.empty((len(indices), 3, *size), np.float32)
    label_map = np.empty((len(indices), *size), np.uint8)
    numbers = None if pairs.instances is None else np.empty(label_map.shape, pairs.instances.dtype)
    for row, (place, index) in enumerate(zip(places, indices, strict=True)):
        left, top = plan.left[place], plan.top[place]
        window = (index, slice(top, top + size.height), slice(left, left + size.width))
        step = -1 if plan.mirrored[place] else 1
        real[row] = to_float(pairs.photos[window][:, ::step])
        label_map[row] = pairs.label_maps[window][:, ::step]
        if numbers is not None and pairs.instances is not None:
            numbers[row] = pairs.instances[window][:, ::step]
    return Batch(real, label_map, indices, patch_pyramid(label_map, sizes, sort), extra_inputs(label_map, numbers))


def prefetched(items: Iterator[Item], ahead: int = AHEAD) -> Iterator[Item]:
    """Yield `items`, computed up to `ahead` in advance by one thread; its errors are raised here.

    The thread ends with the items, with an error, or as soon as the consumer stops.
    """
    ready: queue.Queue[tuple[Item | None, Exception | None]] = queue.Queue(ahead)
    stop = threading.Event()

    def work() -> None:
        try:
            for item in items:
                ready.put((item, None))
                if stop.is_set():
                    return
            ready.put((None, None))
        except Exception as error:  # handed over, whatever it is
            ready.put((None, error))

    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is None:
                return
            yield item
    finally:
        stop.set()
        while not ready.empty():  # at most one more item is put after the signal: one free place is enough
            ready.get_nowait()
        thread.join()


def batches(
    pairs: TrainingPairs,
    batch: int,
    seed: int,
    epoch: int,
    size: Size,
    crop: Literal["full", "top"] = "full",
    flip: bool = True,
    sizes: Sequence[Size] = (),
    part: tuple[int, int] = (0, 1),
    extra_inputs: ExtraInputs = nothing,
    sort: bool = False,
    accumulate: int = 1,
) -> Iterator[Batch]:
    """Yield one epoch of full batches, cropped to `size`; the rest of the pairs is dropped.

    Order, crops and flips depend on (seed, epoch) only.

    Args:
        pairs: training pairs at load size.
        batch: batch size over all processes.
        seed: of the run.
        epoch: number of the epoch.
        size: of the crop.
        crop: "top" starts every crop at the first row, as the competition's winner did.
        flip: mirror half of the pairs horizontally.
        sizes: at which the label maps' distinct patches are found.
        part: (rank, number of processes); each process gets an equal share of the rows of every batch.
        extra_inputs: computes additional inputs by name from label maps and instances (N, H, W).
        sort: give the patches the sorted lists that GPU kernels need.
        accumulate: number of equal parts in which every batch is yielded, one after another.

    Raises:
        ShanshuiError: if there is no full batch or the pairs are smaller than the crop.
    """
    steps = steps_per_epoch(len(pairs), batch)
    held = Size.of_maps(pairs.label_maps)
    room = Size(held.height - size.height, held.width - size.width)
    if min(room) < 0:
        found = f"the prepared pairs are {held}, the crop is {size}"
        raise ShanshuiError(found, do="raise data.load_width and run `prepare` again")
    plan = plan_epoch(len(pairs), seed, epoch, room, crop, flip)
    rank, processes = part
    own = batch // (processes * accumulate)
    starts = range(rank * own, steps * batch, batch // accumulate)
    return prefetched(cut(pairs, plan, range(start, start + own), size, sizes, extra_inputs, sort) for start in starts)
