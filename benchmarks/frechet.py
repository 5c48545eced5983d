"""Seconds of the Frechet distance as scored here, against `scipy.linalg.sqrtm`; ratios of one run.

    python benchmarks/frechet.py [--count 1000] [--size 2048] [--reference 10000] [--evaluations 63] [--all]

63 evaluations are a whole table: 39 checkpoints, 4 averages, 20 noise seeds. `sqrtm` of the product, as most
tools compute it, is timed for three evaluations and multiplied, or with --all for every one of them. Both
sides begin with the features in memory and the statistics of the reference at hand.
"""

from __future__ import annotations

import argparse
import os
import statistics as numbers
import time
from collections.abc import Callable, Iterator

import numpy as np
from scipy import linalg

from shanshui.metrics.frechet import Gaussian, frechet_distance, statistics
from shanshui.metrics.frechet_estimate import frechet_estimate

TRACE = 120.0  # about that of Inception features of photographs
TIMED = 3  # evaluations of the slow form


def spectrum(size: int) -> np.ndarray:
    """Standard deviations (size,) whose squares fall as a power law, as those of Inception features do."""
    variances = np.arange(1, size + 1) ** -1.2
    return np.sqrt(variances * TRACE / variances.sum())


def generators(args: argparse.Namespace) -> Iterator[np.ndarray]:
    """Features float32 (count, size) of every evaluated generator, none of them kept."""
    deviations = spectrum(args.size)
    for seed in range(args.evaluations):
        draw = np.random.default_rng([1, seed])
        scale = draw.uniform(0.8, 1.2, args.size)
        rows = draw.standard_normal((args.count, args.size)) * deviations * scale + 0.05 * deviations
        yield rows.astype(np.float32)


def by_sqrtm(reference: Gaussian, features: np.ndarray) -> float:
    """The distance by the square root of the product of the covariances."""
    rows = features.astype(np.float64)
    mean, covariance = rows.mean(axis=0), np.cov(rows, rowvar=False)
    root = linalg.sqrtm(reference.covariance @ covariance)
    traces = np.trace(reference.covariance) + np.trace(covariance) - 2 * np.trace(root).real
    return float(((mean - reference.mean) ** 2).sum() + traces)


def timed(distance: Callable[[np.ndarray], float], features: np.ndarray) -> tuple[float, float]:
    """(value, wall seconds) of one evaluation."""
    start = time.perf_counter()
    value = distance(features)
    return value, time.perf_counter() - start


def main() -> None:
    """Time the three forms on the same features, one evaluation after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="pictures of one evaluation")
    parser.add_argument("--size", type=int, default=2048, help="features of a picture")
    parser.add_argument("--reference", type=int, default=10000, help="photographs of the reference")
    parser.add_argument("--evaluations", type=int, default=63, help="evaluations of the table")
    parser.add_argument("--all", action="store_true", help="time sqrtm for every evaluation (minutes)")
    args = parser.parse_args()

    real = np.random.default_rng(0).standard_normal((args.reference, args.size)) * spectrum(args.size)
    reference = statistics(real.astype(np.float32))
    forms: dict[str, Callable[[np.ndarray], float]] = {
        "ours": lambda features: frechet_distance(reference, features),
        "with error and hint": lambda features: frechet_estimate(reference, features, 0).value,
        "sqrtm": lambda features: by_sqrtm(reference, features),
    }
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    apart = 0.0
    for index, features in enumerate(generators(args)):
        slow = args.all or index < TIMED
        found = {name: timed(f, features) for name, f in forms.items() if slow or name != "sqrtm"}
        for name, (_, taken) in found.items():
            seconds[name].append(taken)
        if slow:
            apart = max(apart, abs(found["sqrtm"][0] / found["ours"][0] - 1))

    threads = os.environ.get("OMP_NUM_THREADS", "all")
    sizes = f"{args.count} x {args.size} features against {args.reference} photographs"
    print(f"{args.evaluations} evaluations of {sizes}, {threads} thread(s)")
    whole = {name: sum(taken) * args.evaluations / len(taken) for name, taken in seconds.items()}
    for name, taken in seconds.items():
        how = "" if len(taken) == args.evaluations else f"  ({len(taken)} timed, multiplied)"
        ratio = whole["sqrtm"] / whole[name]
        print(f"  {name:<20} {numbers.median(taken):9.3f} s each {whole[name]:9.1f} s in all {ratio:8.1f}x{how}")
    print(f"  largest relative difference from sqrtm: {apart:.1e}")


if __name__ == "__main__":
    main()
