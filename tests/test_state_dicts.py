"""Weights in wrappers: read where it is certain which are meant, else named."""

from __future__ import annotations

import pickle
import sys
import zipfile
from argparse import Namespace
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from shanshui.errors import ShanshuiError
from shanshui.weights.catalogue import load_state
from shanshui.weights.torch_file import LEGACY_START

PLAIN = {"head.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "fc.bias": np.ones(2, np.float32)}
OTHER = {"first.weight": np.zeros((1, 2), np.float32)}


class Stored:
    """A tensor as torch pickles it."""

    def __init__(self, array: np.ndarray, key: str) -> None:
        self.array, self.key = array, key

    def __reduce__(self) -> tuple[Any, ...]:
        strides = tuple(step // 4 for step in np.zeros(self.array.shape, np.float32).strides)
        place = Place(self.key, self.array.size)
        rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
        return rebuild, (place, 0, self.array.shape, strides, False, OrderedDict())


class Place:
    def __init__(self, key: str, size: int) -> None:
        self.key, self.size = key, size


class Pickler(pickle.Pickler):
    def persistent_id(self, value: object) -> object:
        if isinstance(value, Place):
            return ("storage", sys.modules["torch"].FloatStorage, value.key, "cpu", value.size)
        return None


def as_torch(value: Any, blocks: list[np.ndarray]) -> Any:
    """The same with every array as a stored tensor."""
    if isinstance(value, np.ndarray):
        blocks.append(value)
        return Stored(value, str(len(blocks) - 1))
    if isinstance(value, dict):
        kind = type(value)() if not isinstance(value, defaultdict) else defaultdict(dict)
        kind.update({key: as_torch(entry, blocks) for key, entry in value.items()})
        return kind
    return value


@pytest.fixture
def torch_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that a pickle of torch refers to."""
    torch, utils = ModuleType("torch"), ModuleType("torch._utils")
    storage = type("FloatStorage", (), {"__module__": "torch"})

    def rebuild(*_: object) -> None: ...

    rebuild.__module__, rebuild.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    torch.FloatStorage, utils._rebuild_tensor_v2 = storage, rebuild  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


def write_zip(path: Path, content: Any) -> Path:
    blocks: list[np.ndarray] = []
    head = path.with_suffix(".head")
    with open(head, "wb") as handle:
        Pickler(handle, 2).dump(as_torch(content, blocks))
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(head, "w/data.pkl")
        for i, block in enumerate(blocks):
            archive.writestr(f"w/data/{i}", block.tobytes())
    return path


def write_legacy(path: Path, content: Any) -> Path:
    blocks: list[np.ndarray] = []
    system = {"little_endian": True, "protocol_version": 1001, "type_sizes": {}}
    with open(path, "wb") as handle:
        handle.write(LEGACY_START + pickle.dumps(1001, 2) + pickle.dumps(system, 2))
        Pickler(handle, 2).dump(as_torch(content, blocks))
        handle.write(pickle.dumps([str(i) for i in range(len(blocks))], 2))
        for block in blocks:
            handle.write(block.size.to_bytes(8, "little") + block.tobytes())
    return path


def write_pickle(path: Path, content: Any) -> Path:
    path.write_bytes(pickle.dumps(content, 4))
    return path


def prefixed(start: str, state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {start + key: array for key, array in state.items()}


OPTIMISER = {"state": defaultdict(dict, {0: {"exp_avg": np.zeros(3, np.float32)}}), "param_groups": [{"lr": 0.1}]}
CERTAIN: dict[str, tuple[Any, str | None]] = {
    "DataParallel": (prefixed("module.", PLAIN), None),
    "torch.compile": (prefixed("_orig_mod.", PLAIN), None),
    "both": (prefixed("_orig_mod.module.", PLAIN), "G"),
    "averaged model": ({"n_averaged": np.zeros((), np.float32), **prefixed("module.", PLAIN)}, None),
    "state_dict": ({"state_dict": PLAIN, "epoch": 3}, None),
    "model and optimizer": ({"model": prefixed("module.", PLAIN), "optimizer": OPTIMISER, "step": 1.5}, None),
    "options": ({"args": Namespace(lr=1), "model": PLAIN}, None),
    "generator of two": ({"generator": PLAIN, "discriminator": OTHER}, "G"),
    "deep": ({"models": {"netG": PLAIN, "netD": OTHER}}, "G"),
    "only an average": ({"ema": PLAIN}, None),
    "Lightning": ({"state_dict": prefixed("generator.", PLAIN) | prefixed("discriminator.", OTHER)}, "G"),
}
WRITERS: dict[str, Callable[[Path, Any], Path]] = {"zip": write_zip, "legacy": write_legacy, "pickle": write_pickle}


@pytest.mark.usefixtures("torch_names")
@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("what", CERTAIN)
def test_what_is_certain_is_read(what: str, form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content, role = CERTAIN[what]
    if form == "pickle" and what in ("model and optimizer", "options"):
        pytest.skip("of torch alone")
    found = load_state(WRITERS[form](tmp_path / "w.pth", content), role)
    assert found.keys() == PLAIN.keys()
    for key, array in PLAIN.items():
        np.testing.assert_array_equal(found[key], array)
    nested = not all(isinstance(value, np.ndarray) for value in content.values())
    assert ("is taken" in capsys.readouterr().err) == nested


UNCERTAIN: dict[str, tuple[Any, str | None]] = {
    "two": ({"generator": PLAIN, "discriminator": OTHER}, None),
    "an average beside": ({"generator": PLAIN, "g_ema": PLAIN}, "G"),
    "no generator": ({"encoder": PLAIN, "discriminator": OTHER}, "G"),
}


@pytest.mark.usefixtures("torch_names")
@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("what", UNCERTAIN)
def test_what_could_be_either_is_named(what: str, form: str, tmp_path: Path) -> None:
    content, role = UNCERTAIN[what]
    with pytest.raises(ShanshuiError, match="several state dicts") as caught:
        load_state(WRITERS[form](tmp_path / "w.pth", content), role)
    for name in content:
        assert f"{name} (" in str(caught.value)


@pytest.mark.parametrize("average", ["generator_ema", "ema_generator", "g_ema", "ema"])
def test_an_average_beside_under_prefixes_is_named(average: str, tmp_path: Path) -> None:
    state = prefixed("generator.", PLAIN) | prefixed(f"{average}.", PLAIN) | prefixed("discriminator.", OTHER)
    with pytest.raises(ShanshuiError, match=f"generator and {average}, a moving average"):
        load_state(write_pickle(tmp_path / "w.pkl", state), "G")
    state = prefixed("generator.", PLAIN) | prefixed("cinema.", OTHER)
    assert load_state(write_pickle(tmp_path / "w.pkl", state), "G").keys() == PLAIN.keys()


def test_a_part_under_the_wrapper_stays_as_it_is(tmp_path: Path) -> None:
    """Only what stands before every key is a wrapper."""
    state = {**prefixed("module.", PLAIN), **OTHER}
    assert load_state(write_pickle(tmp_path / "w.pkl", state)).keys() == state.keys()


def test_safetensors_are_unwrapped_too(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file(prefixed("module.", PLAIN), tmp_path / "w.safetensors")
    assert load_state(tmp_path / "w.safetensors").keys() == PLAIN.keys()
