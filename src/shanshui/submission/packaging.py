"""Requirements of a submission: one readable RGB image of one size per label map, under its name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from shanshui.errors import ShanshuiError
from shanshui.storage.size import Size

SUFFIXES = {"jpg": ".jpg", "png": ".png"}
KINDS = {"jpg": "JPEG", "png": "PNG"}


@dataclass(frozen=True)
class SubmittedImage:
    """Properties of an image file: its actual type, colour mode and size."""

    name: str
    kind: str
    mode: str
    size: Size


def _some(names: Iterable[str], most: int = 8) -> str:
    listed = list(names)
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")


def expected_names(stems: Sequence[str], suffix: str) -> list[str]:
    """Return the sorted file names of a submission for label maps with these stems.

    Raises:
        ShanshuiError: a stem is repeated.
    """
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise ShanshuiError(f"label maps of the same name: {_some(twice)}", "every label map once")
    return sorted(stem + suffix for stem in stems)


def check_names(found: Iterable[str], expected: Sequence[str], folder: str) -> None:
    """Check that `folder` has exactly the images `expected`.

    Raises:
        ShanshuiError: images are missing, or files are there that do not belong to the submission.
    """
    there = set(found)
    missing = [name for name in expected if name not in there]
    if missing:
        raise ShanshuiError(
            f"{folder} lacks {len(missing)} of {len(expected)} images: {_some(missing)}",
            f"{len(expected)} images, one per label map",
            "generate them again",
        )
    foreign = sorted(there - set(expected))
    if foreign:
        raise ShanshuiError(
            f"{folder} holds {len(foreign)} file(s) that no label map asks for: {_some(foreign)}",
            f"the {len(expected)} images and nothing else",
            "remove them",
        )


def check_images(images: Sequence[SubmittedImage], kind: str, size: Size) -> None:
    """Check that all images are of type `kind`, in RGB, and of `size`.

    Raises:
        ShanshuiError: some are not.
    """
    for what, wanted, value in (
        ("file type", kind, lambda p: p.kind),
        ("colour mode", "RGB", lambda p: p.mode),
        ("size", str(size), lambda p: str(p.size)),
    ):
        wrong = [f"{p.name} ({value(p)})" for p in images if value(p) != wanted]
        if wrong:
            raise ShanshuiError(
                f"{len(wrong)} of {len(images)} images have the wrong {what}: {_some(wrong)}",
                f"{what} {wanted}",
            )


def build_manifest(
    files: Sequence[Mapping[str, object]],
    archive: Mapping[str, object],
    settings: Mapping[str, object],
    provenance: Mapping[str, object],
    stamped: Mapping[str, object],
) -> dict[str, object]:
    """Return the manifest: SHA-256 of every image and of the zip, settings, code version and choices.

    Args:
        files: name and digest of every image.
        archive: name and digest of the zip.
        settings: of the stage.
        provenance: content of provenance files by stem; the choice of those that are rankings (they have `chosen`) is
            repeated under `chosen`.
        stamped: code version and the like.
    """
    chosen = {
        name: {"models": part["chosen"], "seeds": part["chosen_seeds"]}
        for name, part in provenance.items()
        if isinstance(part, Mapping) and "chosen" in part
    }
    return {
        **stamped,
        "count": len(files),
        "files": list(files),
        "zip": dict(archive),
        "settings": dict(settings),
        "chosen": chosen,
        "provenance": dict(provenance),
    }
