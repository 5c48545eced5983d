"""Read torch checkpoints (`.pth`, `.pt`) without torch: both file formats, NumPy only, no code executed.

Since torch 1.6 a checkpoint is a zip archive: `<name>/data.pkl` describes the tensors, `<name>/data/<key>` holds each
storage's raw bytes. Before, it was a sequence of pickles (magic number, protocol, system, the object, the list of
storage keys) followed by the storages, each as an 8-byte count and its elements.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from shanshui.errors import ShanshuiError
from shanshui.weights.restricted_pickle import Call, Ignored, Name, PlainDict, Refused, RestrictedUnpickler
from shanshui.weights.state_dicts import state_of

ZIP_START = b"PK\x03\x04"
LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the number 0x1950a86a20f9469cfc6c, pickled
LEGACY_PROTOCOL = 1001
STORAGES = {
    "DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "BFloat16Storage": "<u2",
    "LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "i1",
    "ByteStorage": "u1", "BoolStorage": "?",
}  # fmt: skip
AGAIN = "fetch the file again; weight files hold tensors and nothing else"


@dataclass(frozen=True)
class StorageKind:
    """A torch storage class by name."""

    name: str

    def __call__(self, *_args: object) -> object:
        """Refuse a call: checkpoints name storage classes but do not call them."""
        raise Refused(f"it calls torch.{self.name}")

    @property
    def dtype(self) -> np.dtype:
        """Type of the elements as stored (bfloat16 as its 16 bits)."""
        return np.dtype(STORAGES[self.name])


@dataclass(frozen=True)
class Storage:
    """A one-dimensional piece of `size` elements, `start` elements into the stored block `key`."""

    key: str
    kind: StorageKind
    size: int
    start: int = 0


@dataclass(frozen=True)
class Tensor:
    """A strided view of a storage; its bounds are checked when it is created."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __post_init__(self) -> None:
        numbers = (self.offset, *self.shape, *self.strides)
        if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in numbers):
            raise Refused(f"it holds a tensor with shape {self.shape}, strides {self.strides}, offset {self.offset}")
        if len(self.shape) != len(self.strides):
            raise Refused(f"it holds a tensor with shape {self.shape} but strides {self.strides}")
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        elements = math.prod(self.shape)
        if elements and (last >= self.storage.size or elements > self.storage.size):
            raise Refused(f"a tensor of shape {self.shape} reaches outside of its storage of {self.storage.size}")

    def array(self, block: np.ndarray) -> np.ndarray:
        """Copy the view out of the stored block (1-D, type as in the file)."""
        if math.prod(self.shape) == 0:
            flat = np.zeros(self.shape, block.dtype)
        else:
            step = block.dtype.itemsize
            piece = block[self.storage.start + self.offset : self.storage.start + self.storage.size]
            flat = np.lib.stride_tricks.as_strided(
                piece, self.shape, tuple(s * step for s in self.strides), writeable=False
            ).copy()
        if self.storage.kind.name == "BFloat16Storage":
            return (flat.astype(np.uint32) << 16).view(np.float32)
        return flat


def _rebuild_tensor(storage: object, offset: object, shape: object, strides: object, *_rest: object) -> Tensor:
    if not isinstance(storage, Storage):
        raise Refused("it holds a tensor without storage")
    numbers = tuple(cast("Iterable[int]", shape)), tuple(cast("Iterable[int]", strides))  # as Tensor checks
    return Tensor(storage, cast("int", offset), *numbers)


def _rebuild_parameter(tensor: object, *_rest: object) -> object:
    return tensor


def _size(shape: Iterable[object]) -> tuple[object, ...]:
    return tuple(shape)


def _empty(*_args: object) -> PlainDict:
    return PlainDict()


ADMITTED: dict[Name, Call] = {
    ("collections", "OrderedDict"): PlainDict,
    ("collections", "defaultdict"): _empty,  # an optimiser's, beside weights
    ("builtins", "dict"): _empty,
    ("__builtin__", "dict"): _empty,
    ("argparse", "Namespace"): Ignored,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch", "Size"): _size,
    **{("torch", name): StorageKind(name) for name in STORAGES},
}


def _storage(pid: object) -> Storage:
    """Create the storage that a persistent id names: ("storage", class, key, device, size[, view])."""
    if not isinstance(pid, tuple) or len(pid) not in (5, 6) or pid[0] != "storage":
        raise Refused(f"it refers to {pid!r:.60}")
    kind, key, size = getattr(pid[1], "call", None), pid[2], pid[4]
    if not isinstance(kind, StorageKind) or not isinstance(key, str) or not isinstance(size, int) or size < 0:
        raise Refused("it holds a malformed storage")
    view = pid[5] if len(pid) == 6 else None
    if view is None:
        return Storage(key, kind, size)
    _view_key, start, length = view
    if not isinstance(start, int) or not isinstance(length, int) or min(start, length) < 0 or start + length > size:
        raise Refused("it holds a view outside of its storage")
    return Storage(key, kind, length, start)


def read_torch_file(path: str | Path, role: str | None = None) -> dict[str, np.ndarray]:
    """Read a state dict saved by torch, in the zip or the legacy format.

    Args:
        path: the file.
        role: letter of the network to read, see `state_dicts.state_of`.

    Returns:
        Array by key, in the order and types of the file (bfloat16 becomes float32; 0-d tensors stay 0-d).

    Raises:
        ShanshuiError: the file is truncated, compressed, malicious, or of another format.
    """
    content = Path(path).read_bytes()
    try:
        if content.startswith(ZIP_START):
            tensors, blocks = _read_zip(content, str(path), role)
        elif content.startswith(LEGACY_START):
            tensors, blocks = _read_legacy(content, str(path), role)
        else:
            raise Refused("it is neither a zip archive nor a legacy torch file")
        return {name: tensor.array(blocks[tensor.storage.key]) for name, tensor in tensors.items()}
    except ShanshuiError:
        raise
    except Refused as refusal:
        raise ShanshuiError(f"{path} was refused: {refusal}", "a state dict saved by torch.save", AGAIN) from None
    except Exception as error:  # a damaged file can raise nearly anything
        raise ShanshuiError(
            f"{path} cannot be read: {type(error).__name__}: {error}",
            "a complete file saved by torch.save",
            AGAIN,
        ) from None


def _read_zip(content: bytes, source: str, role: str | None) -> tuple[dict[str, Tensor], dict[str, np.ndarray]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {info.filename: info for info in archive.infolist()}
        if any(info.compress_type != zipfile.ZIP_STORED for info in members.values()):
            raise Refused("it is a compressed archive")
        heads = [name for name in members if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(heads) != 1:
            raise Refused("it is a zip archive without a torch checkpoint in it")
        folder = heads[0].removesuffix("data.pkl")
        if folder + "constants.pkl" in members:
            raise Refused("it is a TorchScript program, not a state dict")
        if folder + "byteorder" in members and archive.read(folder + "byteorder") != b"little":
            raise Refused("it was written on a big-endian machine")
        loaded = RestrictedUnpickler(io.BytesIO(archive.read(heads[0])), ADMITTED, _storage).load()
        tensors = _tensors(loaded, source, role)
        blocks: dict[str, np.ndarray] = {}
        for key, (dtype, size) in _blocks_needed(tensors.values()).items():
            blocks[key] = np.frombuffer(archive.read(f"{folder}data/{key}"), dtype)
            if blocks[key].size < size:
                raise Refused(f"storage {key} has {blocks[key].size} elements instead of {size}")
        return tensors, blocks


def _read_legacy(content: bytes, source: str, role: str | None) -> tuple[dict[str, Tensor], dict[str, np.ndarray]]:
    stream = io.BytesIO(content)

    def load() -> object:
        return RestrictedUnpickler(stream, ADMITTED, _storage).load()

    load()  # the magic number, compared by the caller
    protocol, system = load(), load()
    if protocol != LEGACY_PROTOCOL or not isinstance(system, dict) or system.get("little_endian") is not True:
        raise Refused(f"it is of protocol {protocol!r:.20}, or from a big-endian machine")
    loaded, keys = load(), load()
    tensors = _tensors(loaded, source, role)
    needed = _blocks_needed(_every_tensor(loaded))
    if not isinstance(keys, list) or not set(needed) <= set(keys):
        raise Refused("its list of storages does not fit its tensors")
    blocks: dict[str, np.ndarray] = {}
    place = stream.tell()
    for key in keys:
        if key not in needed:
            raise Refused(f"storage {key!r:.40} belongs to no tensor")
        dtype, size = needed[key]
        (count,) = struct.unpack_from("<q", content, place)
        if count < size:
            raise Refused(f"storage {key} has {count} elements instead of {size}")
        blocks[key] = np.frombuffer(content, dtype, count, place + 8)
        place += 8 + count * dtype.itemsize
    return tensors, blocks


def _tensors(loaded: object, source: str, role: str | None) -> dict[str, Tensor]:
    if not isinstance(loaded, dict):
        raise Refused(f"it holds a {type(loaded).__name__} instead of a state dict")
    state = state_of(loaded, lambda value: isinstance(value, Tensor), source, role)
    tensors = {}
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise Refused(f"entry {key!r:.60} is not a tensor but a {type(value).__name__}")
        tensors[key] = value
    return tensors


def _every_tensor(loaded: object) -> Iterator[Tensor]:
    """Yield all tensors in nested dicts, lists and tuples."""
    if isinstance(loaded, Tensor):
        yield loaded
    elif isinstance(loaded, dict | list | tuple):
        for part in loaded.values() if isinstance(loaded, dict) else loaded:
            yield from _every_tensor(part)


def _blocks_needed(tensors: Iterable[Tensor]) -> dict[str, tuple[np.dtype, int]]:
    """Return element type and number of elements needed, by key of the stored block."""
    needed: dict[str, tuple[np.dtype, int]] = {}
    for tensor in tensors:
        storage = tensor.storage
        dtype, size = needed.get(storage.key, (storage.kind.dtype, 0))
        if dtype != storage.kind.dtype:
            raise Refused(f"storage {storage.key} has two element types")
        needed[storage.key] = (dtype, max(size, storage.start + storage.size))
    return needed
