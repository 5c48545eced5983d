"""Several images in one forward pass on a CPU: the bits of an image alone, within a bound on the pixels of a pass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from shanshui.architectures.base import GENERATORS, Generator
from shanshui.architectures.context import Context
from shanshui.architectures.generator_networks import BuiltGenerator
from shanshui.backend.device import on_cpu
from shanshui.backend.lazy import jt
from shanshui.data.labels import Classes
from shanshui.data.patches import patch_pyramid
from shanshui.nn.cpu_numbering import patches_alone
from shanshui.storage.size import Size
from shanshui.synthesis import synthesizer as module
from shanshui.synthesis.passes import label_maps_per_pass
from shanshui.synthesis.synthesizer import Synthesizer

SIZE = Size(64, 64)
Counted = Callable[[Synthesizer], list[int]]


@pytest.fixture(autouse=True)
def cpu() -> None:
    """Skip on a GPU."""
    if not on_cpu():
        pytest.skip("on a GPU")


def untrained(name: str, width: int, **options: object) -> Synthesizer:
    """A generator of five classes with random weights, and noise of some strength."""
    jt.set_global_seed(width)
    kind = GENERATORS[name].model_validate({"name": name, "base_channels": width, **options})
    declared: Generator = kind.within(Context(5, SIZE)).in_phase(0, seg_noise=True)
    generator = BuiltGenerator(declared, *declared.build())
    declared.initialise(*generator.networks().values(), gain=0.5)
    for key, weight in generator.G.state_dict().items():
        if "seg_noise_var" in key:
            weight.assign(jt.randn(weight.shape))
    for network in generator.networks().values():
        network.eval()
    return Synthesizer(generator, Classes(tuple("abcde")), SIZE)


def maps() -> np.ndarray:
    """Six label maps: of large regions, of single pixels, and between, whose sizes with distinct patches differ."""
    rng, found = np.random.default_rng(0), []
    for side in (16, 1, 16, 4, 1, 32):
        small = rng.integers(0, 5, (SIZE.height // side, SIZE.width // side), dtype=np.uint8)
        found.append(np.repeat(np.repeat(small, side, 0), side, 1))
    return np.stack(found)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of label maps of each forward pass from now on."""
    counted: list[int] = []
    forward = Synthesizer._forward

    def counting(synthesizer: Synthesizer, ids: np.ndarray, *others: object) -> np.ndarray:
        counted.append(len(ids))
        made: np.ndarray = forward(synthesizer, ids, *others)  # type: ignore[arg-type]
        return made

    monkeypatch.setattr(module.Synthesizer, "_forward", counting)
    return counted


@pytest.mark.parametrize(("name", "width"), [("apf", 6), ("apf", 16), ("spade", 6)])
def test_images_have_the_bits_that_they_have_alone(name: str, width: int, passes: list[int]) -> None:
    synthesizer, ids = untrained(name, width, spade_hidden=12), maps()
    names = [f"image {number}" for number in range(len(ids))]
    alone = np.concatenate([synthesizer.generate(one, of) for one, of in zip(ids, names, strict=True)])
    passes.clear()
    assert np.array_equal(synthesizer.generate(ids, names), alone)
    assert max(passes) > 1
    assert sorted(passes) != [len(ids)], "label maps with other sizes on patches share no pass"
    assert np.array_equal(synthesizer.generate(ids[::-1], names[::-1], batch=2), alone[::-1])
    assert max(passes[-3:]) == 2


@pytest.mark.parametrize("name", ["clade", "oasis"])
def test_other_generators_take_one_label_map_per_pass(name: str, passes: list[int]) -> None:
    synthesizer, ids = untrained(name, 4), maps()[:2]
    assert not synthesizer.together
    synthesizer.generate(ids)
    assert passes == [1, 1]
    assert synthesizer.label_maps_at_once(20) == 1


def test_the_pixels_of_a_pass_are_bounded(passes: list[int]) -> None:
    sizes = {Size(64, 64): 32, Size(128, 128): 8, Size(192, 256): 2, Size(384, 512): 1, Size(1024, 1024): 1}
    assert {size: label_maps_per_pass(size) for size in sizes} == sizes
    assert label_maps_per_pass(Size(64, 64), 5) == 5
    assert label_maps_per_pass(Size(384, 512), 20) == 1
    synthesizer = untrained("apf", 4).at_size(Size(256, 256))
    synthesizer.generate(np.zeros((5, 256, 256), np.uint8), batch=20)
    assert passes == [2, 2, 1]


def test_calls_of_the_stage_fill_their_passes() -> None:
    synthesizer = untrained("apf", 4)
    assert [synthesizer.label_maps_at_once(batch) for batch in (None, 20, 1)] == [128, 80, 1]
    assert synthesizer.at_size(Size(512, 512)).label_maps_at_once(20) == 1


def test_patches_of_many_label_maps_are_those_of_each_alone() -> None:
    ids, sizes = maps(), [Size(64, 64), Size(32, 32), Size(16, 16)]
    for one, found in zip(ids, patches_alone(ids, sizes), strict=True):
        expected = patch_pyramid(one[None], sizes)
        assert found.keys() == expected.keys()
        for size in found:
            for array in ("labels", "neighbours", "index"):
                assert np.array_equal(getattr(found[size], array), getattr(expected[size], array))
