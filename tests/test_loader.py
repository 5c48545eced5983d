"""Batches: what chance decides, what may not depend on chance, and the thread behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from shanshui.data.loader import (
    TrainingPairs,
    batches,
    plan_epoch,
    prefetched,
    read_training_pairs,
    steps_per_epoch,
)
from shanshui.errors import ShanshuiError
from shanshui.storage.size import Size

WIDTH, HEIGHT = 8, 6
SIZE = Size(HEIGHT, WIDTH)


def draw(n: int = 11, load: tuple[int, int] = (12, 9)) -> TrainingPairs:
    """Photographs in which red, green, blue tell row, column, pair; label map = column."""
    width, height = load
    index, row, column = np.indices((n, height, width), np.uint8)
    return TrainingPairs(np.stack([row, column, index], axis=-1), column)


def epoch(pairs: TrainingPairs, number: int = 0, seed: int = 5, **more: object) -> list[tuple[np.ndarray, ...]]:
    options = {"crop": "full", "flip": True} | more
    found = batches(pairs, 4, seed, number, SIZE, **options)  # type: ignore[arg-type]
    return [(b.real, b.label_map, b.indices) for b in found]


def levels(real: np.ndarray) -> np.ndarray:
    """Back to 0 .. 255."""
    return np.rint((real + 1) * 127.5).astype(int)


def same(one: list[tuple[np.ndarray, ...]], other: list[tuple[np.ndarray, ...]]) -> bool:
    return all(np.array_equal(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True))


def test_shapes_types_and_range() -> None:
    real, label_map, indices = epoch(draw())[0]
    assert real.shape == (4, 3, HEIGHT, WIDTH)
    assert real.dtype == np.float32
    assert label_map.shape == (4, HEIGHT, WIDTH)
    assert label_map.dtype == np.uint8
    assert indices.shape == (4,)
    white = TrainingPairs(np.full((4, 6, 8, 3), 255, np.uint8), np.zeros((4, 6, 8), np.uint8))
    assert epoch(white)[0][0].min() == 1.0
    assert epoch(TrainingPairs(white.photos * 0, white.label_maps))[0][0].max() == -1.0


def test_instances_go_with_their_label_maps() -> None:
    pairs = draw()
    pairs = TrainingPairs(pairs.photos, pairs.label_maps, pairs.label_maps.astype(np.uint16) + 300)
    extra_inputs = lambda label_maps, instances: {"both": np.stack([label_maps, instances])}
    for batch in batches(pairs, 4, 5, 0, SIZE, extra_inputs=extra_inputs):
        assert np.array_equal(batch.extra_inputs["both"][0] + 300, batch.extra_inputs["both"][1])
    with pytest.raises(ShanshuiError, match="of the same size"):
        TrainingPairs(pairs.photos, pairs.label_maps, pairs.label_maps[:, 1:])


def test_an_epoch_is_the_same_again_and_no_two_are_alike() -> None:
    pairs = draw()
    assert same(epoch(pairs, 3), epoch(pairs, 3))
    assert not same(epoch(pairs, 3), epoch(pairs, 4))
    assert not same(epoch(pairs, 3), epoch(pairs, 3, seed=6))


def test_the_chances_of_an_epoch_never_change_between_versions() -> None:
    plan = plan_epoch(6, 2022, 1, Size(45, 60), "full", True)
    assert plan.order.tolist() == [4, 0, 1, 5, 2, 3]
    assert plan.left.tolist() == [23, 18, 42, 1, 22, 53]
    assert plan.top.tolist() == [11, 31, 2, 18, 35, 1]
    assert plan.mirrored.tolist() == [True, False, False, False, False, False]


def test_last_incomplete_batch_is_dropped_and_no_pair_comes_twice() -> None:
    found = epoch(draw(11))
    assert len(found) == steps_per_epoch(11, 4) == 2
    indices = np.concatenate([batch[2] for batch in found])
    assert len(set(indices.tolist())) == 8
    seen = {int(i) for number in range(20) for batch in epoch(draw(11), number) for i in batch[2]}
    assert seen == set(range(11))


def test_every_picture_is_the_one_its_index_names() -> None:
    for real, _, indices in epoch(draw()):
        assert (levels(real[:, 2]) == indices[:, None, None]).all()


def test_the_label_moves_with_the_photograph() -> None:
    left_to_right = set()
    for number in range(6):
        for real, label_map, _ in epoch(draw(), number):
            columns = levels(real[:, 1])
            assert (columns == label_map).all()
            left_to_right |= set((columns[:, 0, 1] - columns[:, 0, 0]).tolist())
    assert left_to_right == {1, -1}


def test_without_flip_nothing_is_mirrored_and_crops_stay() -> None:
    pairs = draw()
    for (plain, _, order), (_, _, same_order) in zip(epoch(pairs, flip=False), epoch(pairs), strict=True):
        assert (np.diff(levels(plain[:, 1]), axis=2) == 1).all()
        assert (order == same_order).all()


@pytest.mark.parametrize(("crop", "lowest"), [("full", 45), ("top", 0)])
def test_crop_windows_reach_exactly_the_edges(crop: str, lowest: int) -> None:
    """572x429 -> 512x384: 0..60 to the right, 0..45 down, or never down as the winner ran."""
    plan = plan_epoch(20000, 0, 0, Size(429 - 384, 572 - 512), crop, True)  # type: ignore[arg-type]
    assert (plan.left.min(), plan.left.max()) == (0, 60)
    assert (plan.top.min(), plan.top.max()) == (0, lowest)
    assert np.bincount(plan.left).min() > 200  # of about 328 each
    assert 0.48 < plan.mirrored.mean() < 0.52


def test_windows_are_cut_where_the_plan_says() -> None:
    pairs = draw(4)
    plan = plan_epoch(4, 5, 0, Size(3, 4), "full", True)
    ((real, _, _),) = epoch(pairs)
    for place in range(4):
        assert levels(real[place, 0]).min() == plan.top[place]
        assert levels(real[place, 1]).min() == plan.left[place]
        assert levels(real[place, 1]).max() == plan.left[place] + WIDTH - 1
    assert (levels(epoch(pairs, crop="top")[0][0][:, 0]).min(axis=(1, 2)) == 0).all()


def test_pairs_that_cannot_fill_a_batch_or_a_crop_are_refused_at_once() -> None:
    with pytest.raises(ShanshuiError, match="batch of 4 is more than the 3 training pairs"):
        batches(draw(3), 4, 0, 0, SIZE)
    with pytest.raises(ShanshuiError, match="prepared pairs are 12x9, the crop is 16x6"):
        batches(draw(), 4, 0, 0, Size(HEIGHT, 16))
    with pytest.raises(ShanshuiError, match="as many label maps as photographs"):
        TrainingPairs(np.zeros((2, 4, 4, 3), np.uint8), np.zeros((3, 4, 4), np.uint8))


def test_memory_maps_are_opened_and_broken_ones_named(tmp_path: Path) -> None:
    pairs = draw()
    np.save(tmp_path / "p.npy", pairs.photos)
    np.save(tmp_path / "l.npy", pairs.label_maps)
    opened = read_training_pairs(tmp_path / "p.npy", tmp_path / "l.npy")
    assert isinstance(opened.photos, np.memmap)
    assert same(epoch(opened), epoch(pairs))
    (tmp_path / "p.npy").write_bytes(b"")
    with pytest.raises(ShanshuiError, match=r"p\.npy cannot be read"):
        read_training_pairs(tmp_path / "p.npy", tmp_path / "l.npy")


def prefetch_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_an_error_in_the_thread_surfaces_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("disk gone")

    running = prefetched(items())
    assert [next(running), next(running)] == [1, 2]
    with pytest.raises(OSError, match="disk gone"):
        next(running)
    assert not prefetch_threads()


def test_the_thread_ends_when_the_consumer_stops_early() -> None:
    made = []

    def items() -> Iterator[int]:
        for number in range(1000):
            made.append(number)
            yield number

    running = prefetched(items(), ahead=2)
    assert next(running) == 0
    running.close()  # type: ignore[attr-defined]
    assert not prefetch_threads()
    assert len(made) <= 5


def test_no_more_than_asked_is_made_ahead() -> None:
    made = threading.Semaphore(0)
    count = []

    def items() -> Iterator[int]:
        for number in range(50):
            count.append(number)
            made.release()
            yield number

    running = prefetched(items(), ahead=3)
    next(running)
    while made.acquire(timeout=0.1):
        pass
    assert len(count) == 1 + 3 + 1  # taken, waiting, in the thread's hand
    assert list(running) == list(range(1, 50))
    assert not prefetch_threads()
