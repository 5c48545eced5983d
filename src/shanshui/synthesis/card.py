"""Description of a weights file, from its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

RECIPE = ("model", "parity", "preset", "seed", "training")


@dataclass(frozen=True)
class Card:
    """Description of a weights file; fields that its metadata lacks are empty.

    Attributes:
        source: the file, as it was given.
        generator: name of the generator: apf, spade, ccfpse and so on.
        data: classes, size of the images, and meaning of the values in label map files.
        recipe: sections of the networks and of the training they come from.
        phase: "pretrain" or "finetune".
        epoch: after which the weights were saved.
        averaged: checkpoints whose mean they are, each with file, sha256 and epoch.
        imported: files of another implementation they come from, with their SHA-256.
        teacher: file and identity of the weights that a student was trained on.
        metrics: scores in the metadata.
        stored: type of the numbers in the file, where it is not float32.
        code: version of this package that wrote the file.
    """

    source: str = ""
    generator: str = ""
    data: Mapping[str, object] = field(default_factory=dict)
    recipe: Mapping[str, object] = field(default_factory=dict)
    phase: str = ""
    epoch: int | None = None
    averaged: tuple[Mapping[str, object], ...] = ()
    imported: Mapping[str, str] = field(default_factory=dict)
    teacher: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    stored: str = ""
    code: str = ""

    @classmethod
    def of(cls, source: object, meta: Mapping[str, Any]) -> Card:
        """Create it from a checkpoint's metadata."""
        return cls(
            source=str(source),
            generator=meta["model"]["generator"]["name"],
            data=meta["data"],
            recipe={name: meta[name] for name in RECIPE if name in meta},
            phase=meta.get("phase", ""),
            epoch=meta.get("epoch"),
            averaged=tuple(meta.get("averaged", ())),
            imported=meta.get("imported", {}),
            teacher=meta.get("teacher", {}),
            metrics=meta.get("metrics", {}),
            stored=meta.get("stored", ""),
            code=meta.get("shanshui", ""),
        )
