"""Read Jittor's `.pkl` checkpoints without Jittor: NumPy only, no code executed.

Such a file is a pickled dict (protocol 4), mostly followed by 28 bytes: the SHA-1 of the pickle and a magic word. Up to
mid-2023 its values are NumPy arrays; newer Jittor writes `jittor_core.Var` objects, each a call of that class with one
NumPy array, which is replaced by a function that returns the array.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from shanshui.errors import ShanshuiError
from shanshui.storage.kinds import HEAD, what_it_is
from shanshui.weights.restricted_pickle import Call, Name, PlainDict, Refused, RestrictedUnpickler
from shanshui.weights.state_dicts import state_of

MAGIC = b"HCAJSLHD"
TAIL_BYTES = 20 + len(MAGIC)
DTYPES = {kind: np.dtype(kind) for kind in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")}


class _DType:
    """Stand-in for a pickled `numpy.dtype`: one of the plain number types."""

    __slots__ = ("dtype",)

    def __init__(self, code: object, *_flags: object) -> None:
        if code not in DTYPES:
            raise Refused(f"it holds an array of type {code!r}")
        self.dtype = DTYPES[str(code)]

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise Refused("it holds a malformed number type")
        self.dtype = self.dtype.newbyteorder(state[1])


def _array(data: object, shape: object, kind: object, fortran: object) -> np.ndarray:
    """Build an array from its bytes; raise Refused if shape and number of bytes disagree."""
    if not isinstance(kind, _DType) or not isinstance(data, bytes | bytearray) or not isinstance(shape, tuple):
        raise Refused("it holds a malformed array")
    if not all(isinstance(side, int) and side >= 0 for side in shape):
        raise Refused(f"it holds an array of shape {shape}")
    if math.prod(shape) * kind.dtype.itemsize != len(data):
        raise Refused(f"an array of shape {shape} has {len(data)} bytes")
    array = np.frombuffer(data, kind.dtype).reshape(shape, order="F" if fortran else "C")
    return np.ascontiguousarray(array.astype(kind.dtype.newbyteorder("="))).reshape(shape)


class _Array:
    """Stand-in for a pickled `numpy.ndarray`, which pickle creates empty before it sets its state."""

    __slots__ = ("value",)
    value: np.ndarray

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise Refused("it holds a malformed array")
        _version, shape, kind, fortran, data = state
        if isinstance(data, str):  # arrays pickled by Python 2
            data = data.encode("latin1")
        self.value = _array(data, shape, kind, fortran)


def _reconstruct(*_args: object) -> _Array:
    return _Array()


def _from_buffer(data: object, kind: object, shape: object, order: object) -> np.ndarray:
    return _array(data, shape, kind, order == "F")


def _encode(text: object, encoding: object) -> bytes:
    """Encode text as bytes, as pickle protocols below 3 do."""
    if not isinstance(text, str) or encoding != "latin1":
        raise Refused(f"it encodes text as {encoding!r}")
    return text.encode("latin1")


def _ndarray(*_args: object) -> object:
    raise Refused("it calls numpy.ndarray")


def _var(value: object) -> object:
    return value


ADMITTED: dict[Name, Call] = {
    ("jittor", "jittor_core.Var"): _var,
    ("jittor_core", "Var"): _var,
    ("numpy", "dtype"): _DType,
    ("numpy", "ndarray"): _ndarray,
    ("collections", "OrderedDict"): PlainDict,
    ("_codecs", "encode"): _encode,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
}


def read_jittor_file(path: str | Path, role: str | None = None) -> dict[str, np.ndarray]:
    """Read a `.pkl` of Jittor (old or new, with or without checksum) or any pickled dict of NumPy arrays.

    Args:
        path: the file.
        role: letter of the network to read, see `state_dicts.state_of`.

    Returns:
        Array by key, in the order and type of the file.

    Raises:
        ShanshuiError: the file is truncated, altered, malicious, or of another format.
    """
    content = Path(path).read_bytes()
    again = "fetch the file again; weight files hold arrays and nothing else"
    if content.endswith(MAGIC):
        content, tail = content[:-TAIL_BYTES], content[-TAIL_BYTES:]
        if hashlib.sha1(content, usedforsecurity=False).digest() != tail[:20]:
            raise ShanshuiError(f"{path} is damaged: its content does not match its own checksum", do=again)
    try:
        loaded = RestrictedUnpickler(io.BytesIO(content), ADMITTED).load()
    except Refused as refusal:
        raise ShanshuiError(f"{path} was refused: {refusal}", "a dict of arrays as Jittor saves it", again) from None
    except Exception as error:  # a damaged pickle can raise nearly anything
        kind = what_it_is(content[:HEAD])
        raise ShanshuiError(
            f"{path} cannot be read: {f'it is {kind}' if kind else f'{type(error).__name__}: {error}'}",
            "a complete file saved by Jittor or torch",
            again,
        ) from None
    return _as_state(loaded, path, role)


def _flat(loaded: Mapping[str, object], above: str = "") -> Iterator[tuple[str, object]]:
    """Yield the entries of nested dicts, with keys joined by `/` as flax does."""
    for key, value in loaded.items():
        name = f"{above}{key}" if above else key
        if isinstance(value, dict):
            yield from _flat(value, f"{name}/")
        else:
            yield name, value


def _as_state(loaded: object, path: str | Path, role: str | None) -> dict[str, np.ndarray]:
    if not isinstance(loaded, dict):
        raise ShanshuiError(f"{path} holds a {type(loaded).__name__}", "a dict: parameter name -> array")
    found = state_of(loaded, lambda value: isinstance(value, _Array | np.ndarray), str(path), role)
    state: dict[str, np.ndarray] = {}
    for key, value in _flat(found):
        array = getattr(value, "value", None) if isinstance(value, _Array) else value
        if not isinstance(key, str) or not isinstance(array, np.ndarray):
            raise ShanshuiError(f"{path}: entry {key!r} is not an array", "a dict: parameter name -> array")
        state[key] = array
    return state
