"""Settings of a stage as one typed object, checked once where the stage reads its file.

A settings file holds what a stage's record cuts out of the configuration (`config.stages`). An unknown, missing or
wrong entry is refused here by its name; below the stage nothing reads dictionaries.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError

from shanshui.config.section import Positive, Section
from shanshui.config.settings import CODE
from shanshui.data.labels import Classes
from shanshui.errors import UsageError
from shanshui.storage.files import read_json
from shanshui.storage.size import Size

Kind = TypeVar("Kind", bound=Section)


def checked(kind: type[Kind], settings: Mapping[str, Any], source: object) -> Kind:
    """Convert the content of a settings file, or a section of it, to its type; the code digest is left out.

    Args:
        kind: the type.
        settings: the content.
        source: how the message calls the file.

    Raises:
        UsageError: names every entry that is unknown, missing or wrong.
    """
    try:
        return kind.model_validate({name: value for name, value in settings.items() if name != CODE})
    except ValidationError as error:
        wrong = "; ".join(_said(dict(item)) for item in error.errors(include_url=False))
        raise UsageError(
            f"{source}: {wrong}", "settings as Snakemake writes them for this stage", "let Snakemake write them again"
        ) from None


def read_settings(path: str | Path) -> dict[str, object]:
    """Read a stage's settings file."""
    settings = read_json(path)
    if not isinstance(settings, dict):
        raise UsageError(f"{path} is not a settings file", "a JSON object as written under results/<run>/settings/")
    return settings


def read_checked(kind: type[Kind], path: str | Path) -> Kind:
    """Read the settings file of a stage as its type; raises as `read_settings` and `checked` do."""
    return checked(kind, read_settings(path), path)


def _said(error: Mapping[str, Any]) -> str:
    """Say what is wrong with one entry."""
    place = ".".join(map(str, error["loc"])) or "the file"
    if error["type"] == "missing":
        return f"{place} is missing"
    if error["type"] == "extra_forbidden":
        return f"{place} is not known"
    return f"{place} is {error['input']!r}: {error['msg']}"


class LabelSettings(Section):
    """Classes, and the meaning of the values in label map files."""

    classes: Annotated[list[str], Field(min_length=1, max_length=255)]
    label_offset: int
    ignore_label: int | None

    @property
    def labels(self) -> Classes:
        """The same, ready to convert label maps."""
        return Classes(tuple(self.classes), self.label_offset, self.ignore_label)


class ImageSettings(LabelSettings):
    """Classes, and the size of the generated images."""

    width: Positive
    height: Positive

    @property
    def size(self) -> Size:
        """Size of the generated images."""
        return Size(self.height, self.width)


class LoadSettings(ImageSettings):
    """Classes, size of the images, and width at which training pairs are loaded before they are cropped to it."""

    load_width: Positive

    @property
    def load_size(self) -> Size:
        """Size to which training pairs are resized before cropping."""
        return self.size.at_width(self.load_width)


class DataSettings(LoadSettings):
    """Section `data` of a training stage."""

    flip: bool


class ChoiceSettings(Section):
    """What models are ranked by: a metric, and the set of label maps it is measured on."""

    rank_by: str
    on: Literal["holdout", "test", "train"]


class TableSettings(ChoiceSettings):
    """Settings of the table; `arithmetic` says in which precision models were trained, "" for that of a CPU."""

    arithmetic: str = ""


class ReportSettings(ChoiceSettings):
    """Settings of a report; `config` is the configuration of its run (`config.settings.validate_recorded`)."""

    run: str
    samples: Positive
    config: dict[str, object]


class MetricSettings(Section):
    """What `reference` and `score` depend on; `size` and `segmenter_size` are (width, height)."""

    metrics: tuple[str, ...] = ()
    size: tuple[Positive, Positive] | None = None
    seed: int | None = None
    classes: list[str] | None = None
    label_offset: int | None = None
    ignore_label: int | None = None
    segmenter_size: tuple[Positive, Positive] | None = None

    @property
    def size_of_images(self) -> Size | None:
        """Size at which images are compared."""
        return Size.of_width_first(self.size) if self.size else None

    @property
    def size_of_segmenter(self) -> Size | None:
        """Size at which the built-in segmenter works; files of others have their own."""
        return Size.of_width_first(self.segmenter_size) if self.segmenter_size else None

    @property
    def label_rules(self) -> dict[str, int | None] | None:
        """Meaning of the values in label map files; None where nothing is said of it."""
        if self.label_offset is None:
            return None
        return {"label_offset": self.label_offset, "ignore_label": self.ignore_label}
