"""Named sets to score: folders of images, or stored features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from shanshui.architectures.segmenters import Segmenter
from shanshui.errors import ShanshuiError, UsageError
from shanshui.evaluation.feature_file import FeatureSet, Protocol, load_features
from shanshui.evaluation.feature_reader import FeatureReader
from shanshui.evaluation.image_folder import list_image_files, match_names
from shanshui.evaluation.inception_features import SIDE
from shanshui.evaluation.segmenter_features import SegmenterFeatures
from shanshui.metrics.registry import Metric
from shanshui.storage.files import read_csv
from shanshui.storage.images import photo_size
from shanshui.storage.names import normal, stem
from shanshui.storage.size import Size


@dataclass(frozen=True)
class ImageSet:
    """The images of a folder (`paths`), or the features `stored` of images.

    `labels` are the label maps of the images in the order of `paths`, or empty where they are not known;
    `photographs` likewise the real photographs of these label maps.
    """

    source: Path
    paths: list[Path]
    stored: FeatureSet | None = None
    labels: list[Path] = field(default_factory=list)
    photographs: list[Path] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """Return the stems of the images."""
        return self.stored.names if self.stored else [stem(path) for path in self.paths]


def open_sets(
    sources: Mapping[str, Path], labels: Mapping[str, Path], metrics: Sequence[Metric], real: Path | None = None
) -> dict[str, ImageSet]:
    """Open every set and check it against its label maps, if any.

    Args:
        sources: folder of images, or feature file (.npz), by name of the set.
        labels: list (CSV with the column `name`, and `label` and `image` for files) or folder of label maps, by name of
            the set.
        metrics: that will be computed.
        real: folder of photographs, which belong to the images of the same names where a list names none.

    Raises:
        UsageError: where `labels` are of a set that is not scored, or one of `metrics` needs label maps that are
            missing.
        ShanshuiError: where the images and label maps have different names, or a file cannot be read.
    """
    if unknown := set(labels) - set(sources):
        raise UsageError(f"--labels for {', '.join(sorted(unknown))}, which is not scored", ", ".join(sources))
    sets = {
        name: ImageSet(source, [], load_features(source, name))
        if source.suffix == ".npz"
        else ImageSet(source, list_image_files(source))
        for name, source in sources.items()
    }
    for name, source in labels.items():
        files = label_files(source)
        match_names(sets[name].names, files, sources[name])
        sets[name] = replace(sets[name], labels=_of_all(sets[name], files))
    needing = [metric.name for metric in metrics if metric.needs_labels]
    for name, one in sets.items():
        if needing and not one.stored and not one.labels:
            raise UsageError(
                f"{', '.join(needing)} of {name}: its label maps are not known",
                "a CSV with the columns name and label, or a folder of label maps of the same names",
                f"--labels {name}=CSV or --labels {name}=FOLDER",
            )
    if any(metric.needs_photographs for metric in metrics):
        beside: dict[str, Path | None] = {stem(path): path for path in list_image_files(real)} if real else {}
        for name, one in sets.items():
            listed = labels.get(name)
            found = _of_all(one, column_files(listed, "image")) if listed and listed.is_file() else []
            sets[name] = replace(one, photographs=found or _of_all(one, beside))
    return sets


def check_photographs(sets: Mapping[str, ImageSet], metrics: Sequence[Metric]) -> None:
    """Check that there are photographs for the metrics that compare with the photograph of the label map.

    Raises:
        UsageError: where no set has any.
    """
    pairing = [metric for metric in metrics if metric.needs_photographs]
    stored = {kind for one in sets.values() if one.stored for kind in one.stored.features}
    there = any(one.photographs for one in sets.values())
    if not there and any(metric.features not in stored for metric in pairing):
        raise UsageError(
            f"{', '.join(metric.name for metric in pairing)}: no photographs of the images' label maps are known",
            "photographs of the images' names: a folder as the first argument, or the column image of a CSV",
            "--labels NAME=CSV",
        )


def _of_all(one: ImageSet, files: Mapping[str, Path | None]) -> list[Path]:
    """Return the files of a set's images in their order; none where one of the images has none."""
    known = [file for path in one.paths if (file := files.get(stem(path)))]
    return known if len(known) == len(one.paths) else []


def label_files(source: Path) -> dict[str, Path | None]:
    """Return the label maps by name of a folder, or of a list (CSV); None where the list has no files."""
    if source.is_dir():
        return {stem(path): path for path in list_image_files(source)}
    return column_files(source, "label")


def column_files(source: Path, column: str) -> dict[str, Path | None]:
    """Return the files by name in a column of a list (CSV); None where there is none."""
    rows = read_csv(source, ("name",))
    return {normal(row["name"]): Path(row[column]) if row.get(column) else None for row in rows}


def list_photographs(sources: Sequence[Path]) -> list[tuple[str, Path]]:
    """List the photographs of folders and of manifests (CSV) as (name, file)."""
    found: list[tuple[str, Path]] = []
    for source in sources:
        if source.is_dir():
            found += [(stem(path), path) for path in list_image_files(source)]
        else:
            found += [(row["name"], Path(row["image"])) for row in read_csv(source, ("name", "image"))]
    return found


def common_size(sets: Mapping[str, ImageSet], metrics: Sequence[Metric]) -> Size:
    """Return the size of all images, or Inception's own where all metrics take images as they are.

    Raises:
        ShanshuiError: where two images have different sizes.
    """
    for one in sets.values():
        if one.stored:
            return Size.of_width_first(one.stored.protocol["size"])
    if all(metric.source.own_size for metric in metrics):
        return Size(SIDE, SIDE)
    paths = [path for one in sets.values() for path in one.paths]
    first = photo_size(paths[0])
    for path in paths:
        if (size := photo_size(path)) != first:
            raise ShanshuiError(f"{path} is {size}, {paths[0]} is {first}", "images of one size")
    return first


def take_features(
    sets: Mapping[str, ImageSet],
    metrics: Sequence[Metric],
    protocol: Protocol,
    weights: Path | None,
    segmenter: Segmenter | None = None,
) -> dict[str, FeatureSet]:
    """Return the features of every set under `protocol`: stored ones, checked against it, or extracted from the images.

    Args:
        sets: by name.
        metrics: that will be computed.
        protocol: see `make_protocol`.
        weights: Inception weight file; None takes the published one.
        segmenter: for metrics that need one.
    """
    found: dict[str, FeatureSet] = {}
    reader = None
    look = SegmenterFeatures(segmenter, protocol["label_rules"]) if segmenter else None
    kinds = [metric.features for metric in metrics]
    for name, one in sets.items():
        if one.stored:
            one.stored.check(metrics, protocol, one.source)
            found[name] = one.stored
            continue
        size = Size.of_width_first(protocol["size"])
        reader = reader or FeatureReader(kinds, size, protocol["seed"], weights, look)
        found[name] = FeatureSet(one.names, reader.read(one.paths, name, one.labels, one.photographs), protocol.copy())
    return found
