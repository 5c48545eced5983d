"""Statistics of the real photographs: arrays of every metric, and the protocol that computed them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from shanshui.architectures.segmenters import Segmenter, describe_segmenter
from shanshui.errors import ShanshuiError, UsageError
from shanshui.evaluation.feature_file import Protocol, differences
from shanshui.evaluation.feature_reader import FeatureReader
from shanshui.evaluation.network_features import weights_digest
from shanshui.evaluation.other_statistics import of_others
from shanshui.evaluation.segmenter_features import SegmenterFeatures
from shanshui.metrics.registry import Metric
from shanshui.storage.checkpoint import fingerprint as numbers_digest
from shanshui.storage.files import atomic, digest, sha256
from shanshui.storage.kinds import ZIP, kind_of
from shanshui.storage.size import Size
from shanshui.weights.catalogue import entry, require

VERSION = 1  # of all features together; raised when any of them is computed in another way
RESIZE = "pytorch-fid"  # how images come to 299x299
HEADER = "header"
KEYS = {"protocol", "count", "photographs", "fingerprint"}  # of it


@dataclass(frozen=True)
class Reference:
    """Statistics of `count` photographs (0: not known) for the metrics in `arrays`.

    `protocol` holds what both sides must agree on: size, seed, resize, weights, efficientnet, segmenter, version;
    `photographs` is a digest of their names and contents. Statistics made by pytorch-fid have an empty protocol.
    """

    arrays: dict[str, dict[str, np.ndarray]]
    count: int
    photographs: str
    protocol: Protocol = field(default_factory=Protocol)

    @property
    def fingerprint(self) -> str:
        """Compute a digest of everything a score depends on besides the scored images."""
        return digest([self.protocol, self.count, self.photographs, sorted(self.arrays)])

    def save(self, path: str | Path) -> None:
        """Write an .npz of `<metric>.<array>` and a JSON header; arrays of the same content are stored once."""
        header = {"protocol": self.protocol, "count": self.count, "photographs": self.photographs}
        flat = {f"{metric}.{name}": a for metric, arrays in self.arrays.items() for name, a in arrays.items()}
        first: dict[bytes, str] = {}  # what several metrics keep is stored once
        same = {name: first.setdefault(_content(array), name) for name, array in flat.items()}
        header |= {
            "fingerprint": self.fingerprint,
            "numbers": numbers_digest(flat),
            "same": {name: one for name, one in same.items() if name != one},
        }
        with atomic(path) as staged:
            np.savez(staged, **{HEADER: np.array(json.dumps(header))}, **{one: flat[one] for one in first.values()})

    @classmethod
    def load(cls, path: str | Path) -> Reference:
        """Read statistics written by `save`, or by pytorch-fid with `mu` and `sigma`.

        Raises:
            ShanshuiError: where the file is missing, altered, of another version or of any other kind.
        """
        again = "make it again with `python -m shanshui reference`"
        wanted = "a folder of photographs, or an .npz of statistics"
        try:
            archive = np.load(path, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise ValueError(f"it is one array of shape {archive.shape}, an .npy file")
            with archive:
                content = {name: archive[name] for name in archive.files}
            if foreign := [name for name, value in content.items() if not isinstance(value, np.ndarray)]:
                raise ValueError(f"it is a zip archive with {foreign[0]} in it, no .npz")
            header = json.loads(str(content.pop(HEADER))) if HEADER in content else None
            if header is not None and not (isinstance(header, dict) and ("sets" in header or header.keys() >= KEYS)):
                raise ValueError("its header is not one of statistics written here")
        except FileNotFoundError:
            raise ShanshuiError(f"{path} does not exist", wanted, "look at the path, letter by letter") from None
        except Exception as error:  # a damaged archive can raise nearly anything
            kind = kind_of(path)
            why = f"it is {kind}" if kind and kind != ZIP else error
            raise ShanshuiError(f"{path} cannot be read: {why}", wanted, again) from None
        if header is None:
            return cls({"fid": {**of_others(content, str(path)), "count": np.array(0)}}, 0, sha256(path))
        if "sets" in header:
            raise ShanshuiError(
                f"{path} holds features of images, as `score --features-out` keeps them", "statistics", again
            )
        content |= {name: content[one] for name, one in header.get("same", {}).items() if one in content}
        if header.get("numbers") != numbers_digest(content):
            raise ShanshuiError(f"{path} was made by another version of shanshui, or altered", do=again)
        arrays: dict[str, dict[str, np.ndarray]] = {}
        for name, value in content.items():
            metric, _, key = name.partition(".")
            arrays.setdefault(metric, {})[key] = value
        loaded = cls(arrays, header["count"], header["photographs"], header["protocol"])
        if loaded.protocol.get("version") != VERSION or loaded.fingerprint != header["fingerprint"]:
            raise ShanshuiError(f"{path} was made by another version of shanshui, or altered", do=again)
        return loaded

    def check(self, metrics: Sequence[Metric], protocol: Protocol) -> None:
        """Check that the statistics serve `metrics` and were computed under `protocol`.

        Raises:
            ShanshuiError: where a metric is missing, or the protocol differs.
        """
        missing = [metric.name for metric in metrics if metric.reference and metric.name not in self.arrays]
        again = "run `python -m shanshui reference` with these settings"
        if missing:
            raise ShanshuiError(f"the statistics lack {', '.join(missing)}", f"only {', '.join(self.arrays)}", again)
        for key, ours, theirs in differences(self.protocol, protocol):
            raise ShanshuiError(f"the statistics were made with {key} {ours}", f"{key} {theirs}", again)

    def check_photographs(self, photographs: Sequence[tuple[str, Path]]) -> None:
        """Check that the statistics are of these (name, file) pairs.

        Raises:
            ShanshuiError: where a name or the content of a photograph differs.
        """
        if photographs_digest(photographs) != self.photographs:
            raise ShanshuiError(
                f"the statistics are of other photographs ({self.count or 'unknown in number'})",
                f"of these {len(photographs)}, by name and content",
                "make them again with `python -m shanshui reference`",
            )


def _content(array: np.ndarray) -> bytes:
    """Compute a digest of an array's type, shape and values."""
    kind = f"{array.dtype} {array.shape} ".encode()
    return hashlib.sha256(kind + np.ascontiguousarray(array).tobytes()).digest()


def make_protocol(
    metrics: Sequence[Metric],
    size: Size,
    seed: int,
    weights: Path | None,
    segmenter: Segmenter | None = None,
) -> Protocol:
    """Return the scoring protocol, see `Reference`.

    Args:
        metrics: that will be computed.
        size: of the scored images.
        seed: of patches and of random subsets.
        weights: Inception weight file; None takes the published one.
        segmenter: for metrics that need one.

    Raises:
        UsageError: where one of `metrics` needs a segmenter and there is none.
        ShanshuiError: where a weight file is missing.
    """
    needed = any(metric.needs_weights for metric in metrics)
    deep = any(metric.features == "efficientnet" for metric in metrics)
    seeing = [metric.name for metric in metrics if metric.needs_segmenter]
    if seeing and segmenter is None:
        raise UsageError(
            f"no segmenter for {', '.join(seeing)}",
            "a file of `python -m shanshui segmenter` or `python -m shanshui import segformer`",
            "--segmenter FILE",
        )
    protocol: Protocol = {"version": VERSION, "size": list(size.width_first), "seed": seed, "resize": RESIZE}
    if needed:
        protocol["weights"] = sha256(require("fid_inception", weights))
    if deep:
        protocol["efficientnet"] = weights_digest("efficientnet_lite0")
    if seeing and segmenter:
        protocol |= {"segmenter": segmenter.identity, "segmenter_facts": segmenter.facts}
    return protocol


def photographs_digest(photographs: Sequence[tuple[str, Path]]) -> str:
    """Compute a digest of (name, file) pairs by name and content, in any order."""
    return digest(sorted([name, sha256(path)] for name, path in photographs))


def make_reference(
    photographs: Sequence[tuple[str, Path]],
    metrics: Sequence[Metric],
    size: Size,
    seed: int,
    weights: Path | None = None,
    segmenter: Segmenter | None = None,
) -> Reference:
    """Compute the statistics of (name, file) pairs; their order does not matter.

    Metrics that do not compare with the set of photographs are skipped, and so is what they alone need. For the other
    arguments see `make_protocol`.
    """
    keeping = [metric for metric in metrics if metric.reference]
    protocol = make_protocol(keeping, size, seed, weights, segmenter)
    in_order = [path for _, path in sorted(photographs)]
    look = SegmenterFeatures(segmenter) if segmenter else None
    reader = FeatureReader([m.features for m in keeping], size, seed, weights, look)
    features = reader.read(in_order, "reference") if keeping else {}
    arrays = {m.name: m.reference(features[m.features], seed) for m in keeping if m.reference}
    return Reference(arrays, len(in_order), photographs_digest(photographs), protocol)


def is_published(protocol: Protocol) -> bool:
    """Return whether the Inception weights are the published ones, so that a score may be called FID."""
    return bool(protocol.get("weights") == entry("fid_inception").sha256)


def describe(metrics: Sequence[Metric], protocol: Protocol) -> dict[str, str]:
    """Describe the features behind each metric by its name; unpublished Inception weights are named."""
    return {metric.name: _basis(metric, protocol) for metric in metrics}


def _basis(metric: Metric, protocol: Protocol) -> str:
    if metric.needs_weights and not is_published(protocol):
        found = str(protocol.get("weights"))[:12]
        return f"Inception-v3 with weights {found}, NOT the published ones: comparable to itself only"
    if metric.needs_segmenter:
        return f"{metric.description}; {describe_segmenter(protocol['segmenter'], protocol['segmenter_facts'])}"
    return metric.description
