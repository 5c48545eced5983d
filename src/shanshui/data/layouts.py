"""Dataset layouts: folder structure, pairing, and meaning of the label values.

One entry of LAYOUTS per dataset, with the file of its classes; plug-ins add theirs with `declare`. `config.yaml` names
one, `shanshui.config.settings` fills in what the configuration leaves out, and everything after the manifests of
`validate` knows class names, offset and ignored value alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypedDict

from shanshui.data.class_tables import Colours, class_colours, class_names
from shanshui.data.landscape_classes import CLASSES
from shanshui.data.listing import Listing, Passed, list_images, walk
from shanshui.errors import ShanshuiError, UsageError
from shanshui.plugins.discovery import load_plugins
from shanshui.storage.names import normal
from shanshui.storage.size import Size

FOLDERS = ("train_images", "train_labels", "test_labels")  # every layout has these, and perhaps:
INSTANCES = ("train_instances", "test_instances")


@dataclass(frozen=True)
class Layout:
    """Folder structure, pairing, classes and usual sizes of one dataset.

    Attributes:
        folders: folder below `data.root` by option of `data`.
        patterns: file name pattern by option of `data`; all images where none is given.
        endings: suffixes that are removed from a file's stem to get the name of its pair.
        deep: search subfolders as well.
        twin: suffix of the name of a second folder whose files are added to those of the folder without it.
        classes: class names in id order; if empty, the configuration has to name them.
        colours: (red, green, blue) of each class, if the dataset defines colours.
        label_offset: is added to every value of a label map.
        ignore_label: value in the files for pixels without a class.
        size: of the images, as usually trained.
        load_width: width in pixels to which images are resized before cropping.
        scenes: file below `data.root` with a line `name scene` per image; only those of outdoor scenes are taken.
    """

    folders: Mapping[str, str] = field(default_factory=dict)
    patterns: Mapping[str, str] = field(default_factory=dict)
    endings: tuple[str, ...] = ()
    deep: bool = False
    twin: str = ""
    classes: tuple[str, ...] = ()
    colours: Colours | None = None
    label_offset: int = 0
    ignore_label: int | None = None
    size: Size = Size(384, 512)
    load_width: int = 572
    scenes: str = ""

    def name(self, file: Path) -> str:
        """Return the name of the pair that `file` belongs to."""
        stem = normal(file.stem)
        return next((stem.removesuffix(ending) for ending in self.endings if stem.endswith(ending)), stem)

    def find(self, folder: Path, option: str) -> list[Path]:
        """List the images in `folder` that match the pattern of `option`, in natural order, without hidden files."""
        return self.listing(folder, option).taken

    def listing(self, folder: Path, option: str) -> Listing:
        """List the images in `folder` and in its twin, and the unused files."""
        return list_images(self.places(folder), self.patterns.get(option, "*"), self.deep)

    def files(self, folder: Path) -> Iterator[Path]:
        """Yield all files in `folder`, in its twin and, if `deep`, in their subfolders, following links to folders."""
        for place in self.places(folder):
            yield from (entry for entry in walk(place, self.deep) if not isinstance(entry, Passed))

    def places(self, folder: Path) -> list[Path]:
        """Return `folder`, and its twin if there is one."""
        twin = folder.with_name(folder.name + self.twin)
        return [folder, twin] if self.twin and twin.is_dir() else [folder]

    def usual(self, root: str) -> dict[str, object]:
        """Return the options of `data` that this layout defines, for a dataset at `root`."""
        options: dict[str, object] = {
            name: str(Path(root, self.folders[name])) for name in FOLDERS if name in self.folders
        }
        options |= {"classes": list(self.classes)} if self.classes else {}
        options |= {"width": self.size.width, "height": self.size.height, "load_width": self.load_width}
        return options | {"label_offset": self.label_offset, "ignore_label": self.ignore_label}


class ClassTable(TypedDict):
    """Names and colours of the classes of a dataset, in id order."""

    classes: tuple[str, ...]
    colours: Colours | None


def class_table(file: str | Path) -> ClassTable:
    """Read the arguments `classes` and `colours` of a layout from a table of classes; see `data.class_tables`."""
    return {"classes": class_names(file), "colours": class_colours(file)}


_ADE20K = Layout(
    folders=dict.fromkeys(FOLDERS, ""),
    patterns={"train_images": "*_train_*.jpg", "train_labels": "*_train_*.png", "test_labels": "*_val_*.png"},
    deep=True,
    **class_table("ade20k.csv"),
    label_offset=-1,
    ignore_label=0,
    size=Size(256, 256),
    load_width=286,
)
_BY_PHASE = {"train_images": "train_img", "train_labels": "train_label", "test_labels": "val_label"}

LAYOUTS: dict[str, Layout] = {
    "competition": Layout(
        folders={"train_images": "train/imgs", "train_labels": "train/labels", "test_labels": "test/labels"},
        classes=CLASSES,
    ),
    "folders": Layout(),
    "ade20k": _ADE20K,
    "ade20k-outdoor": replace(_ADE20K, scenes="sceneCategories.txt"),
    "coco-stuff": Layout(
        folders=_BY_PHASE | {"train_instances": "train_inst", "test_instances": "val_inst"},
        twin="_portrait",
        **class_table("coco_stuff.csv"),
        ignore_label=255,
        size=Size(256, 256),
        load_width=286,
    ),
    "cityscapes": Layout(
        folders={
            "train_images": "leftImg8bit/train",
            "train_labels": "gtFine/train",
            "train_instances": "gtFine/train",
            "test_labels": "gtFine/val",
            "test_instances": "gtFine/val",
        },
        patterns={
            "train_images": "*_leftImg8bit.*",
            "train_labels": "*_labelIds.png",
            "train_instances": "*_instanceIds.png",
            "test_labels": "*_labelIds.png",
            "test_instances": "*_instanceIds.png",
        },
        endings=(
            "_leftImg8bit",
            "_gtFine_labelIds",
            "_gtFine_instanceIds",
            "_gtCoarse_labelIds",
            "_gtCoarse_instanceIds",
        ),
        deep=True,
        **class_table("cityscapes.csv"),
        size=Size(256, 512),
        load_width=512,
    ),
    "facades": Layout(folders=_BY_PHASE, **class_table("facades.csv"), size=Size(256, 256), load_width=286),
}


def declare(name: str, layout: Layout) -> None:
    """Register a dataset, as plug-ins of the group `shanshui.datasets` do.

    Raises:
        ShanshuiError: a dataset of this name is registered already.
    """
    if name in LAYOUTS:
        raise ShanshuiError(f"two declarations of the dataset {name}", "one name for each", "rename one of them")
    LAYOUTS[name] = layout


def colours_of(names: tuple[str, ...]) -> Colours | None:
    """Return (red, green, blue) per class if `names` are exactly the classes of a dataset with colours, else None."""
    return next((layout.colours for layout in LAYOUTS.values() if layout.colours and layout.classes == names), None)


def completed(data: Mapping[str, object]) -> dict[str, object]:
    """Complete the section `data` of a configuration: options that are missing or null are taken from its layout.

    An unknown layout is left to the configuration's own check.

    Raises:
        UsageError: neither the section nor the layout defines a folder or the class names.
    """
    layout = data.get("layout") or "competition"
    if not isinstance(layout, str) or layout not in LAYOUTS:
        return dict(data)
    given = {name: value for name, value in data.items() if value is not None}
    options = LAYOUTS[layout].usual(str(given.get("root", "data"))) | given
    if lacking := [name for name in (*FOLDERS, "classes") if name not in options]:
        raise UsageError(
            f"data.layout {layout} lacks " + ", ".join(f"data.{name}" for name in lacking),
            "folders and class names of your own, all of them named",
        )
    return options


load_plugins("shanshui.datasets")
