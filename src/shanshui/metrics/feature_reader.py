"""From picture files to features: every file is decoded once, for all metrics together."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from shanshui.errors import ShanshuiError
from shanshui.images import read_photo, resize_photo
from shanshui.metrics.colour_distance import colour_statistics
from shanshui.metrics.dct import dct_features
from shanshui.metrics.inception_features import InceptionFeatures, resize_299
from shanshui.metrics.sharpness import laplacian_variance
from shanshui.metrics.swd import patch_features
from shanshui.weights.catalogue import require

BATCH = 16
SMALLEST = 8  # pixels of a side: one block of the cosine transform, and more than a patch
SWD_PHOTOS = 2048  # patches of more photographs change nothing but the memory used


class FeatureReader:
    """Reads pictures and returns the wanted kinds of features.

    Args:
        kinds: of "inception", "dct", "patches", "laplacian", "colour".
        size: (width, height) to which pictures are brought before all but "inception", which takes them as
            they are. Photographs larger than the generated pictures are so compared at the same scale.
        seed: chooses the places of the patches.
        weights: Inception weight file for "inception"; None takes the published one from its place.
    """

    def __init__(self, kinds: Iterable[str], size: tuple[int, int], seed: int, weights: Path | None = None) -> None:
        self._kinds = list(dict.fromkeys(kinds))
        self._size = size
        self._at_size: dict[str, Callable[[np.ndarray], np.ndarray]] = {
            "dct": dct_features,
            "patches": lambda photo: patch_features(photo, seed),
            "laplacian": laplacian_variance,
            "colour": colour_statistics,
        }
        if min(size) < SMALLEST and set(self._kinds) & set(self._at_size):
            raise ShanshuiError(
                f"pictures of {size[0]}x{size[1]} pixels", f"sides of {SMALLEST} pixels or more", "score larger ones"
            )
        self._network = None
        if "inception" in self._kinds:
            self._network = InceptionFeatures(require("fid_inception", weights))

    def _of_photo(self, path: Path) -> dict[str, np.ndarray]:
        photo = read_photo(path)
        found = {"inception": resize_299(photo)} if self._network else {}
        at_size = [kind for kind in self._kinds if kind != "inception"]
        sized = resize_photo(photo, self._size) if at_size else photo
        return found | {kind: self._at_size[kind](sized) for kind in at_size}

    def read(self, paths: Sequence[Path], what: str) -> dict[str, np.ndarray]:
        """Return kind -> features (N, ...) of `paths`, in their order.

        "patches" come from at most 2048 of the pictures, evenly spread. `what` names the progress bar.
        """
        paths = list(paths)
        every = -(-len(paths) // SWD_PHOTOS)
        collected: dict[str, list[np.ndarray]] = {kind: [] for kind in self._kinds}
        workers = min(4, len(os.sched_getaffinity(0)))
        with ThreadPoolExecutor(workers) as pool, tqdm(total=len(paths), desc=what, unit="img") as bar:
            for start in range(0, len(paths), BATCH):
                rows = list(pool.map(self._of_photo, paths[start : start + BATCH]))
                for kind in self._kinds:
                    batch = np.stack([row[kind] for row in rows])
                    if kind == "inception" and self._network:
                        batch = self._network(batch)
                    elif kind == "patches":
                        batch = batch[-start % every :: every]
                    collected[kind].append(batch)
                bar.update(len(rows))
        return {kind: np.concatenate(parts) for kind, parts in collected.items()}
