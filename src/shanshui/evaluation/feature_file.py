"""Files with features of scored images, from which other metrics are computed later without the images.

All features are stored but the patches of `swd`, which are larger than the images. The file holds the protocol
under which the features were extracted, and is refused under any other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from shanshui.errors import ShanshuiError
from shanshui.metrics.registry import FEATURES, Metric
from shanshui.storage.checkpoint import fingerprint
from shanshui.storage.files import atomic, digest

if TYPE_CHECKING:
    from shanshui.architectures.segmenters import SegmenterFacts

HEADER = "header"
AGAIN = "score the folder of images instead"


class Protocol(TypedDict, total=False):
    """How features were extracted: JSON in the files of features, statistics and scores.

    Attributes:
        version: of all features together.
        size: width and height of the images.
        seed: of patches and of random subsets.
        resize: how images come to Inception's size.
        weights: SHA-256 of the Inception weights.
        efficientnet: SHA-256 of the EfficientNet weights.
        segmenter: digest of the segmenter's weights.
        segmenter_facts: description of the segmenter.
        label_rules: meaning of the values in the label map files of the images.
    """

    version: int
    size: Sequence[int]
    seed: int
    resize: str
    weights: str
    efficientnet: str
    segmenter: str
    segmenter_facts: SegmenterFacts
    label_rules: Mapping[str, int | None]


def differences(one: Mapping[str, object], other: Mapping[str, object]) -> list[tuple[str, object, object]]:
    """List the entries that two protocols both have and that differ: name, value in the one, value in the other."""
    return [(key, value, other[key]) for key, value in one.items() if key in other and other[key] != value]


@dataclass(frozen=True)
class FeatureSet:
    """Features (N, ...) by kind of the images `names` (stems, N), and the protocol under which they were extracted."""

    names: list[str]
    features: dict[str, np.ndarray]
    protocol: Protocol

    def check(self, metrics: Sequence[Metric], protocol: Protocol, source: str | Path) -> None:
        """Check that the features serve `metrics` and were extracted under `protocol`.

        Raises:
            ShanshuiError: where features are missing, or the protocol differs.
        """
        for key, ours, theirs in differences(self.protocol, protocol):
            raise ShanshuiError(f"{source} was made with {key} {ours}", f"{key} {theirs}", AGAIN)
        measured = (metric for metric in metrics if not metric.needs_photographs)  # which not every set has
        lacking = [metric.name for metric in measured if metric.features not in self.features]
        if lacking:
            raise ShanshuiError(
                f"{source} has no features for {', '.join(lacking)}", f"metrics on {', '.join(self.features)}", AGAIN
            )


def save_features(path: str | Path, sets: Mapping[str, FeatureSet]) -> None:
    """Write sets by name as an .npz of `<set>.<kind>` (float32) and a JSON header."""
    kept = {
        name: {kind: array.astype(np.float32) for kind, array in one.features.items() if FEATURES[kind].kept}
        for name, one in sets.items()
    }
    listed = {
        name: {"names": one.names, "protocol": one.protocol, "numbers": fingerprint(kept[name])}
        for name, one in sets.items()
    }
    flat = {f"{name}.{kind}": array for name, features in kept.items() for kind, array in features.items()}
    header = json.dumps({"sets": listed, "fingerprint": digest(listed)})
    with atomic(path) as staged:
        np.savez(staged, **{HEADER: np.array(header)}, **flat)


def load_features(path: str | Path, name: str) -> FeatureSet:
    """Read the set called `name`, or the only one.

    Raises:
        ShanshuiError: where the file is no feature file or was altered, or has several sets and none called `name`.
    """
    wanted = "an .npz written by `python -m shanshui score --features-out`"
    try:
        with np.load(path, allow_pickle=False) as archive:
            header = json.loads(str(archive[HEADER]))
            listed = header["sets"]
            chosen = next(iter(listed)) if len(listed) == 1 else name
            keys = [key for key in archive.files if key.rpartition(".")[0] == chosen]
            features = {key.rpartition(".")[2]: archive[key] for key in keys}
    except Exception as error:  # a damaged archive can raise nearly anything
        raise ShanshuiError(f"{path} cannot be read as features: {error}", wanted, AGAIN) from None
    if chosen not in listed:
        raise ShanshuiError(f"{path} has no set called {name}", f"one of {', '.join(listed)}", f"name it: SET={path}")
    names = listed[chosen]["names"]
    whole = header["fingerprint"] == digest(listed) and listed[chosen].get("numbers") == fingerprint(features)
    if not whole or any(len(array) != len(names) for array in features.values()):
        raise ShanshuiError(f"{path} has been altered", wanted, AGAIN)
    return FeatureSet(names, features, listed[chosen]["protocol"])
