"""Reference outputs: whole where the reference material is, else the bundle in `golden/`, and one comparison for both.

The bundle keeps small arrays and all inputs whole; of a large output it keeps a `Sampled`.
"""

from __future__ import annotations

import fnmatch
import json
import zlib
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import golden_rule as rule
import numpy as np

BUNDLE = Path(__file__).resolve().parent / "golden"
COUNT = 256  # of the positions at which a large output is kept


@dataclass(frozen=True)
class Sampled:
    """What is kept of a large output: values at positions drawn from its name, channel means, the largest size.

    Channels are all indices of the first two axes (samples and channels); rank 2 has no means.
    """

    name: str
    shape: tuple[int, ...]
    values: np.ndarray
    means: np.ndarray
    largest: float


def sample(name: str, array: np.ndarray) -> Sampled:
    """Take from an array what the bundle keeps of it."""
    places = np.random.RandomState(zlib.crc32(name.encode())).randint(0, array.size, COUNT)
    means = array.reshape(*array.shape[:2], -1).mean(2, dtype=np.float64).ravel() if array.ndim > 2 else np.zeros(0)
    return Sampled(name, array.shape, array.ravel()[places], means.astype(np.float32), float(np.abs(array).max()))


Wanted = np.ndarray | Sampled


def largest(wanted: Wanted) -> float:
    """The largest absolute value of an output."""
    return wanted.largest if isinstance(wanted, Sampled) else float(np.abs(wanted).max())


def close(found: Any, wanted: Wanted, tolerance: float) -> None:
    """Compare an array or a Jittor variable with a reference output, all of it or what is kept of it."""
    array = np.asarray(found.numpy() if hasattr(found, "numpy") else found)
    assert tuple(array.shape) == wanted.shape
    if isinstance(wanted, Sampled):
        ours = sample(wanted.name, array)
        np.testing.assert_allclose(ours.values, wanted.values, atol=tolerance, rtol=0)
        np.testing.assert_allclose(ours.means, wanted.means, atol=tolerance, rtol=0)
    else:
        np.testing.assert_allclose(array, wanted, atol=tolerance, rtol=0)


def pack(arrays: dict[str, np.ndarray], sampled: list[str], smooth: dict[str, Any], settings: Any) -> dict[str, Any]:
    """Arrays, those of them to sample, and the arguments of `rule.smooth` of inputs -> the entries of an npz file."""
    entries: dict[str, Any] = {name: array for name, array in arrays.items() if name not in smooth}
    for name in sampled:
        kept = sample(name, arrays[name])
        entries[name] = np.concatenate([kept.values, kept.means, [kept.largest]]).astype(np.float32)
    shapes = {name: arrays[name].shape for name in sampled}
    note = json.dumps({"settings": settings, "sampled": shapes, "smooth": smooth}, separators=(",", ":"))
    return {**entries, "note": np.frombuffer(note.encode(), np.uint8)}


def unpack(entries: dict[str, np.ndarray]) -> tuple[Any, dict[str, Any]]:
    """The settings, and the arrays by name: whole, made by the rule, or `Sampled`."""
    note = json.loads(entries.pop("note").tobytes())
    found: dict[str, Any] = dict(entries)
    for name, shape in note["sampled"].items():
        kept = entries[name]
        found[name] = Sampled(name, tuple(shape), kept[:COUNT], kept[COUNT:-1], float(kept[-1]))
    return note["settings"], found | {name: rule.smooth(*given) for name, given in note["smooth"].items()}


def read(file: Path) -> dict[str, np.ndarray]:
    with np.load(file) as arrays:
        return dict(arrays)


def fillings(keys: list[Any], path: str) -> dict[str, np.ndarray]:
    """The rule's arrays of a checkpoint as its file holds them; no vectors of spectral norm, which BLAS rounds.

    An average is that of the rule's weights and of those with the salt `held`, in float64 where arrays are numpy's.
    """
    kept = [(key, tuple(shape)) for key, shape in keys if not key.endswith(("weight_u", "weight_v"))]
    if "avg" not in path:
        return {key: rule.value(key, shape) for key, shape in kept}
    kind = np.float64 if "numpy" in path else np.float32
    pairs = {key: [rule.value(key, shape, salt).astype(kind) for salt in ("", "held")] for key, shape in kept}
    return {key: (first + second) / kind(2) for key, (first, second) in pairs.items()}


class GoldenFiles:
    """Reads reference outputs from the folder of the reference material; from the bundle what is not there."""

    def __init__(self, whole: Path | None, scratch: Path) -> None:
        self.whole = whole
        self.scratch = scratch
        self.opened: dict[str, tuple[Any, dict[str, Any]]] = {}

    def __call__(self, name: str) -> tuple[Any, dict[str, Any]]:
        """Settings and arrays of one file."""
        if name not in self.opened:
            whole = self.whole / f"{name}.npz" if self.whole else None
            if whole and whole.is_file():
                settings = whole.with_suffix(".json")
                self.opened[name] = json.loads(settings.read_text()) if settings.is_file() else {}, read(whole)
            else:
                self.opened[name] = unpack(read(BUNDLE / f"{Path(name).name}.npz"))
        return self.opened[name]

    def checkpoint(self, path: str) -> Path:
        """A checkpoint file as users have it, such as `spade/latest_net_G.pth`; the bundle gives the same bytes."""
        if self.whole and (self.whole / "checkpoints" / path).is_file():
            return self.whole / "checkpoints" / path
        file = self.scratch / path
        if not file.is_file():
            notes, contents = self("checkpoints")
            content = rebuild(contents[path].tobytes(), notes[path], path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        return file


def rebuild(skeleton: bytes, note: dict[str, Any], path: str) -> bytes:
    """Put the rule's weights back into a checkpoint whose weights are zero."""
    content = bytearray(skeleton)
    for key, array in fillings(note["keys"], path).items():
        if key in note["places"]:
            start = note["places"][key]
            content[start : start + array.nbytes] = array.tobytes()
    assert sha256(content).hexdigest() == note["sha256"], f"{path}: the rule gives other weights on this machine"
    return bytes(content)


def matching(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
