"""Score folders of pictures against real photographs.

    python -m shanshui score PHOTOGRAPHS PICTURES [--metrics dct_frechet,swd]
    python -m shanshui score statistics.npz holdout=DIR test=DIR --settings S.json --out score.json

The first argument is a folder of photographs, an .npz of `python -m shanshui reference`, or one of
pytorch-fid. Everything after it is a folder, or name=folder. Metrics: fid, kid (both need
`python -m shanshui weights fid_inception`), dct_frechet, swd, sharpness.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shanshui.errors import ShanshuiError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from shanshui.metrics.reference import Reference
    from shanshui.metrics.registry import Metric

WEIGHT_FREE = "dct_frechet,swd,sharpness"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("reference", metavar="REFERENCE", help="folder of photographs, or .npz of statistics")
    parser.add_argument("pictures", nargs="+", metavar="[NAME=]FOLDER", help="folders of pictures to score")
    parser.add_argument(
        "--metrics", metavar="LIST", help=f"names with commas (default: {WEIGHT_FREE}, or the settings')"
    )
    parser.add_argument("--settings", metavar="JSON", help="metrics, size and seed as the pipeline passes them")
    parser.add_argument("--labels", nargs="+", action="extend", default=[], metavar="NAME=CSV",
                        help="list of names that the set must have, no more and no less")  # fmt: skip
    parser.add_argument("--weights-file", type=Path, metavar="FILE", help="Inception weights other than the usual file")
    parser.add_argument("--model", default="", help="name of the model, copied to the output")
    parser.add_argument("--seed", type=int, help="noise seed of the pictures, copied to the output")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--out", metavar="JSON", help="write the result to this file")


def named(texts: Sequence[str], what: str) -> dict[str, Path]:
    """`name=path`, or a path alone under the name "pictures", for each of `texts`."""
    found: dict[str, Path] = {}
    for text in texts:
        name, separator, path = text.partition("=")
        if not separator or Path(text).exists():
            name, path = "pictures", text
        if name in found:
            raise UsageError(f"two {what} are called {name!r}", f"name={what} with different names")
        found[name] = Path(path)
    return found


def collect(pictures: Mapping[str, Path], labels: Mapping[str, Path]) -> dict[str, list[Path]]:
    """List the pictures of every set, checked against its list of names where there is one."""
    from shanshui.files import read_csv
    from shanshui.metrics.picture_folder import list_pictures, match_names

    if unknown := set(labels) - set(pictures):
        raise UsageError(f"--labels for {', '.join(sorted(unknown))}, which is not scored", ", ".join(pictures))
    sets = {name: list_pictures(folder) for name, folder in pictures.items()}
    for name, manifest in labels.items():
        match_names(sets[name], [row["name"] for row in read_csv(manifest)], pictures[name])
    return sets


def common_size(sets: Mapping[str, Sequence[Path]], metrics: Sequence[Metric]) -> tuple[int, int]:
    """(width, height) of all pictures, Inception's own where it is alone; ShanshuiError where two differ."""
    from shanshui.images import photo_size
    from shanshui.metrics.inception_features import SIDE

    if all(metric.features == "inception" for metric in metrics):
        return SIDE, SIDE
    paths = [path for paths in sets.values() for path in paths]
    first = photo_size(paths[0])
    for path in paths:
        if (size := photo_size(path)) != first:
            raise ShanshuiError(
                f"{path} is {size[0]}x{size[1]}, {paths[0]} is {first[0]}x{first[1]}", "pictures of one size"
            )
    return first


def read_request(args: argparse.Namespace, stored: Sequence[str]) -> dict[str, Any]:
    """Metrics, and size and seed where they are given, from settings and command line."""
    from shanshui.settings import read_settings

    settings = read_settings(args.settings) if args.settings else {}
    request: dict[str, Any] = {key: settings[key] for key in ("metrics", "size", "seed") if key in settings}
    if args.metrics:
        request["metrics"] = [name.strip() for name in args.metrics.split(",")]
    request.setdefault("metrics", list(stored) or WEIGHT_FREE.split(","))
    return request


def score_set(features: Mapping[str, np.ndarray], count: int, metrics: Sequence[Metric], reference: Reference,
              seed: int) -> dict[str, Any]:  # fmt: skip
    """All metrics of one set; ShanshuiError where one of them is not a number."""
    estimates = {m.name: m.score(features[m.features], reference.arrays[m.name], seed) for m in metrics}
    for name, estimate in estimates.items():
        if not math.isfinite(estimate.value):
            raise ShanshuiError(f"{name} is {estimate.value}", "a finite number", "look at the pictures")
    errors = {name: e.standard_error for name, e in estimates.items() if e.standard_error is not None}
    values = {name: e.value for name, e in estimates.items()}
    return {"n": count, "metrics": values, **({"standard_errors": errors} if errors else {})}


def compute(args: argparse.Namespace) -> dict[str, Any]:
    """Everything `--out` holds."""
    from shanshui.metrics.feature_reader import FeatureReader
    from shanshui.metrics.picture_folder import list_pictures
    from shanshui.metrics.reference import Reference, describe, make_protocol, make_reference
    from shanshui.metrics.registry import choose
    from shanshui.provenance import code_version

    source = Path(args.reference)
    reference = None if source.is_dir() else Reference.load(source)
    request = read_request(args, list(reference.arrays) if reference else [])
    metrics = choose(request["metrics"])
    sets = collect(named(args.pictures, "folder"), named(args.labels, "list"))
    made_with = reference.protocol if reference else {}
    size = tuple(request.get("size") or made_with.get("size") or common_size(sets, metrics))
    seed = request.get("seed", made_with.get("seed", 0))
    if reference is None:
        photographs = [(path.stem, path) for path in list_pictures(source)]
        reference = make_reference(photographs, metrics, size, seed, args.weights_file)
    protocol = make_protocol(metrics, size, seed, args.weights_file)
    reference.check(metrics, protocol)
    reader = FeatureReader([metric.features for metric in metrics], size, seed, args.weights_file)
    scores = {}
    for name, paths in sets.items():
        scores[name] = score_set(reader.read(paths, name), len(paths), metrics, reference, seed)
    return {
        "model": args.model,
        "seed": args.seed,
        "sets": scores,
        "features": describe(metrics, protocol),
        "reference": {"n": reference.count or None, "fingerprint": reference.fingerprint},
        "settings": {"metrics": [metric.name for metric in metrics], "size": list(size), "seed": seed},
        "shanshui": code_version(),
    }


def as_text(result: Mapping[str, Any]) -> str:
    """The result for people: a line per set and metric, and what each metric looks at."""
    lines = []
    for name, scores in result["sets"].items():
        lines.append(f"{name}: {scores['n']} pictures")
        errors = scores.get("standard_errors", {})
        for metric, value in scores["metrics"].items():
            error = f" +- {errors[metric]:.2g}" if metric in errors else ""
            lines.append(f"  {metric:<12} {value:<10.6g}{error}  {result['features'][metric]}")
    return "\n".join(lines)


def run(args: argparse.Namespace) -> None:
    """Score, print, write."""
    from shanshui.files import write_json

    result = compute(args)
    if args.out:
        write_json(args.out, result)
    if args.json:
        print(json.dumps(result, indent=1, sort_keys=True))
    elif not args.out:
        print(as_text(result))
