"""Find training pairs, matched by file stem, without the excluded ones; read and write their manifests."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shanshui.errors import ShanshuiError
from shanshui.storage.files import digest, read_csv, sha256
from shanshui.storage.names import check_plain, normal, stem
from shanshui.storage.texts import read_text

MANIFEST_COLUMNS = ("name", "image", "label")
INSTANCE_COLUMN = "instance"  # one column more, where a dataset has instance maps
CONTENT_COLUMN = "content"  # digest of the files of a row: whatever reads them has to run again when they change


@dataclass(frozen=True)
class Pair:
    """One row of a manifest, in which `name` is unique; test label maps have no image, most have no instance map."""

    name: str
    image: Path | None
    label: Path
    instance: Path | None = None

    def row(self) -> dict[str, str]:
        """Return the row as written to a manifest; the column `instance` only if there is an instance map."""
        row = {"name": self.name, "image": str(self.image) if self.image else "", "label": str(self.label)}
        return row | ({INSTANCE_COLUMN: str(self.instance)} if self.instance else {})


def content(pair: Pair) -> str:
    """Return the first 12 hex digits of a SHA-256 over the contents of a pair's files."""
    files = [file for file in (pair.image, pair.label, pair.instance) if file]
    return digest([sha256(file) for file in files])[:12]


@dataclass(frozen=True)
class Exclusion:
    """Names of pairs to leave out: distinct, in the order of the list; and those that are listed repeatedly."""

    names: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Pairing:
    """Contents of two folders: pairs in natural order, files without partner, and files that share a stem."""

    pairs: list[Pair] = field(default_factory=list)
    unpaired_photos: list[Path] = field(default_factory=list)
    unpaired_labels: list[Path] = field(default_factory=list)
    ambiguous: list[Path] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)
    not_found: list[str] = field(default_factory=list)


def parse_exclusion(text: str) -> Exclusion:
    """Parse an exclusion list: one file stem per line; blank lines and comments after # are skipped."""
    names: dict[str, int] = {}
    for line in text.splitlines():
        name = normal(re.sub(r"(^|\s)#.*", "", line).strip())
        if name:
            names[name] = names.get(name, 0) + 1
    return Exclusion(list(names), [name for name, times in names.items() if times > 1])


def read_exclusion(path: str | Path | None) -> Exclusion:
    """Read an exclusion list; without a path, no names are excluded.

    Raises:
        ShanshuiError: the file cannot be read or is not UTF-8.
    """
    if path is None:
        return Exclusion()
    what = "a text file with one file stem per line"
    return parse_exclusion(read_text(path, "the exclusion list", what, "put it there, or set data.exclude to null"))


def ambiguous_files(files: Iterable[Path], name: Callable[[Path], str] = stem) -> list[Path]:
    """Return the files that share their `name` with another one of the list."""
    by_name: dict[str, list[Path]] = {}
    for path in files:
        by_name.setdefault(name(path), []).append(path)
    return [path for same in by_name.values() if len(same) > 1 for path in same]


def pair_files(
    photos: Sequence[Path], labels: Sequence[Path], exclude: Sequence[str] = (), name: Callable[[Path], str] = stem
) -> Pairing:
    """Match photographs and label maps by `name`; excluded names count neither as pairs nor as unmatched."""
    photo_of, label_of = {name(p): p for p in photos}, {name(p): p for p in labels}
    there, out = photo_of.keys() | label_of.keys(), set(exclude)
    return Pairing(
        pairs=[Pair(s, photo_of[s], p) for s, p in label_of.items() if s in photo_of and s not in out],
        unpaired_photos=[p for s, p in photo_of.items() if s not in label_of and s not in out],
        unpaired_labels=[p for s, p in label_of.items() if s not in photo_of and s not in out],
        ambiguous=[*ambiguous_files(photos, name), *ambiguous_files(labels, name)],
        excluded=[s for s in exclude if s in there],
        not_found=[s for s in exclude if s not in there],
    )


def holdout_names(names: Collection[str], count: int, seed: int) -> set[str]:
    """Choose the `count` names with the smallest SHA-256 of (seed, name): one more pair changes at most one of them."""
    return set(
        sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode("utf-8", "surrogateescape")).digest())[
            :count
        ]
    )


def _path(text: str) -> Path | None:
    return Path(text) if text else None


def read_manifest(path: str | Path) -> list[Pair]:
    """Read a manifest: train.csv, holdout.csv or test.csv.

    Raises:
        ShanshuiError: it lacks a column, has no rows, or a name in it has a folder.
    """
    rows = read_csv(path)
    if not rows or not set(MANIFEST_COLUMNS) <= rows[0].keys():
        raise ShanshuiError(
            f"{path} holds no rows with the columns {', '.join(MANIFEST_COLUMNS)}",
            "a manifest written by `python -m shanshui validate`",
        )
    check_plain((row["name"] for row in rows), path)
    return [
        Pair(row["name"], _path(row["image"]), Path(row["label"]), _path(row.get(INSTANCE_COLUMN, ""))) for row in rows
    ]
