"""Checkpoints: safetensors with everything needed to use the weights in the file's metadata."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from shanshui.errors import ShanshuiError
from shanshui.storage.files import atomic, sha256
from shanshui.storage.kinds import kind_of
from shanshui.storage.provenance import stamp

Arrays = dict[str, np.ndarray]
Meta = dict[str, Any]  # JSON in the header of a file
META = "shanshui"


@dataclass(frozen=True)
class Checkpoint:
    """Arrays by prefixed name (`G.head_0.conv_0.weight`, `E....`) and the metadata of the file."""

    arrays: Arrays
    meta: Meta

    def part(self, prefix: str) -> Arrays:
        """Return the arrays of the network `prefix` ("G", "E" or "D") under their names without the prefix."""
        start = f"{prefix}."
        return {name.removeprefix(start): a for name, a in self.arrays.items() if name.startswith(start)}


def prefixed(prefix: str, arrays: Arrays) -> Arrays:
    """Prefix all names with the letter of a network, as in `G.fc.weight`."""
    return {f"{prefix}.{name}": array for name, array in arrays.items()}


def save(path: str | Path, arrays: Arrays, **meta: object) -> None:
    """Write arrays and metadata to a safetensors file; equal content gives equal bytes.

    The version of the code is added to the metadata.
    """
    text = json.dumps(stamp(**meta), sort_keys=True, ensure_ascii=False)
    with atomic(path) as staged:
        save_file({name: np.ascontiguousarray(a) for name, a in arrays.items()}, staged, metadata={META: text})


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator[tuple[safe_open, Meta]]:
    """Open a safetensors file and yield it with its metadata.

    Raises:
        ShanshuiError: the file is missing, truncated, or was not written by this package.
    """
    try:
        with safe_open(str(path), framework="numpy") as file:
            text = (file.metadata() or {}).get(META)
            if text is None:
                raise ShanshuiError(
                    f"{path} is a safetensors file without shanshui's metadata",
                    "a checkpoint written by this pipeline",
                    "foreign weights come in through `python -m shanshui import`",
                )
            meta = json.loads(text)
            if not isinstance(meta, dict):
                raise ValueError("its metadata is no JSON object")
            yield file, meta
    except FileNotFoundError:
        raise ShanshuiError(f"{path} does not exist", "a checkpoint (*.safetensors)") from None
    except (SafetensorError, OSError, ValueError) as error:
        kind = kind_of(path)
        raise ShanshuiError(
            f"{path} is not a whole safetensors file: {f'it is {kind}' if kind else error}",
            "a checkpoint written by this pipeline",
            "if a run wrote it, remove it and run again; else fetch or copy it again",
        ) from None


def load(path: str | Path) -> Checkpoint:
    """Read a checkpoint written by `save`.

    Raises:
        ShanshuiError: the file is missing, truncated, or was not written by this package.
    """
    with _opened(path) as (file, meta):
        return Checkpoint({name: file.get_tensor(name) for name in file.keys()}, meta)  # noqa: SIM118


def read_meta(path: str | Path) -> Meta:
    """Read the metadata alone, without reading an array.

    Raises:
        ShanshuiError: the file is missing, truncated, or was not written by this package.
    """
    with _opened(path) as (_, meta):
        return meta


def fingerprint(arrays: Arrays) -> str:
    """Compute the SHA-256 of all names, types, shapes and values."""
    total = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        total.update(f"{name} {array.dtype} {array.shape}\n".encode())
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()


def identity(path: str | Path) -> str:
    """Return the fingerprint in a checkpoint's metadata or, without one, the SHA-256 of the file."""
    return str(read_meta(path).get("fingerprint") or sha256(path))


def check_keys(found: Arrays, wanted: dict[str, tuple[int, ...]], source: str) -> None:
    """Check that arrays have exactly the names and shapes `wanted`.

    Args:
        found: arrays read from a file.
        wanted: shape by name, of the network that is to be loaded.
        source: how the error message calls the file.

    Raises:
        ShanshuiError: names or shapes differ; the first four differences are listed.
    """
    problems = [f"missing {name}" for name in wanted if name not in found]
    problems += [f"unexpected {name}" for name in found if name not in wanted]
    problems += [
        f"{name} has shape {found[name].shape}, expected {tuple(shape)}"
        for name, shape in wanted.items()
        if name in found and tuple(found[name].shape) != tuple(shape)
    ]
    if problems:
        shown = "; ".join(problems[:4]) + (f"; and {len(problems) - 4} more" if len(problems) > 4 else "")
        raise ShanshuiError(
            f"{source} does not fit the network: {shown}",
            f"{len(wanted)} arrays",
            "check that model and data sections are those the weights were trained with",
        )
