"""Extraction of features from image files: every file is decoded once, for all metrics together."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from shanshui.errors import ShanshuiError
from shanshui.evaluation.inception_features import InceptionFeatures, resize_299
from shanshui.evaluation.network_features import EfficientNetFeatures, LpipsFeatures
from shanshui.evaluation.segmenter_features import SegmenterFeatures
from shanshui.metrics.registry import FEATURES
from shanshui.storage.images import read_photo, resize_photo
from shanshui.storage.size import Size
from shanshui.weights.catalogue import require

BATCH = 16
SMALLEST = 8  # pixels of a side: one block of the cosine transform, and more than a patch
SWD_PHOTOS = 2048  # patches of more photographs change nothing but the memory used


class FeatureReader:
    """Reads images and extracts the wanted kinds of features.

    Args:
        kinds: names of `metrics.registry.FEATURES`. "segmenter" and "classes" come together, the latter where there
            are label maps, and "lpips" comes where there are photographs.
        size: to which images are resized for all kinds but "inception" and "efficientnet", which take
            them as they are. So photographs larger than the generated images are compared at the same scale.
        seed: of the positions of the patches.
        weights: Inception weight file for "inception"; None takes the published one from its place.
        segmenter: for "segmenter" and "classes".
    """

    def __init__(
        self,
        kinds: Iterable[str],
        size: Size,
        seed: int,
        weights: Path | None = None,
        segmenter: SegmenterFeatures | None = None,
    ) -> None:
        """Load the networks of the wanted kinds.

        Raises:
            ShanshuiError: where `size` has a side below 8 pixels, or a weight file is missing.
        """
        wanted = set(kinds)
        self._size = size
        self._seed = seed
        self._at_size = {kind: record.take for kind, record in FEATURES.items() if record.take and kind in wanted}
        if min(size) < SMALLEST and self._at_size:
            raise ShanshuiError(f"images of {size} pixels", f"sides of {SMALLEST} pixels or more", "score larger ones")
        self._inception = InceptionFeatures(require("fid_inception", weights)) if "inception" in wanted else None
        self._segmenter = segmenter if wanted & {"segmenter", "classes"} else None
        self._efficientnet = EfficientNetFeatures() if "efficientnet" in wanted else None
        self._lpips = LpipsFeatures() if "lpips" in wanted else None

    def _of_image(self, path: Path, label: Path | None, other: Path | None) -> dict[str, np.ndarray]:
        """Compute the features of one image by kind, or the network's input where it takes whole batches."""
        photo = read_photo(path)
        row = {"inception": resize_299(photo)} if self._inception else {}
        if self._efficientnet:
            row["efficientnet"] = self._efficientnet.sized(photo)
        if self._lpips and other:
            row["lpips"] = np.stack([resize_photo(one, self._size) for one in (photo, read_photo(other))])
        sized = resize_photo(photo, self._size) if self._at_size or self._segmenter else photo
        row |= {kind: take(sized, self._seed) for kind, take in self._at_size.items()}
        if self._segmenter:
            row["segmenter"] = self._segmenter.sized(sized)
            row |= {"classes": self._segmenter.label_map(label)} if label else {}
        return row

    def _of_batch(self, rows: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """Compute features (n, ...) by kind from the rows of n images."""
        batch = {kind: np.stack([row[kind] for row in rows]) for kind in rows[0]}
        if self._inception:
            batch["inception"] = self._inception(batch["inception"])
        if self._efficientnet:
            batch["efficientnet"] = self._efficientnet(batch["efficientnet"])
        if self._lpips and "lpips" in batch:
            batch["lpips"] = self._lpips(batch["lpips"][:, 0], batch["lpips"][:, 1])
        if self._segmenter:
            batch |= self._segmenter(batch["segmenter"], batch.get("classes"))
        return batch

    def read(
        self, paths: Sequence[Path], what: str, labels: Sequence[Path] = (), photographs: Sequence[Path] = ()
    ) -> dict[str, np.ndarray]:
        """Extract features (N, ...) by kind from `paths`, in their order.

        "patches" come from at most 2048 of the images, evenly spaced.

        Args:
            paths: image files.
            what: name of the progress bar.
            labels: label map of each image, or empty.
            photographs: real photograph of each image's label map, or empty.
        """
        every = -(-len(paths) // SWD_PHOTOS)
        nothing: list[Path | None] = [None] * len(paths)
        pairs = list(zip(paths, labels or nothing, photographs or nothing, strict=True))
        batches: list[dict[str, np.ndarray]] = []
        workers = min(4, len(os.sched_getaffinity(0)))
        with ThreadPoolExecutor(workers) as pool, tqdm(total=len(paths), desc=what, unit="img") as bar:
            for start in range(0, len(paths), BATCH):
                rows = list(pool.map(lambda pair: self._of_image(*pair), pairs[start : start + BATCH]))
                batch = self._of_batch(rows)
                if "patches" in batch:
                    batch["patches"] = batch["patches"][-start % every :: every]
                batches.append(batch)
                bar.update(len(rows))
        return {kind: np.concatenate([batch[kind] for batch in batches]) for kind in batches[0]}
