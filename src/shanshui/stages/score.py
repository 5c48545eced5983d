"""Score folders of images against real photographs.

    python -m shanshui score PHOTOGRAPHS IMAGES [--metrics dct_frechet,swd]
    python -m shanshui score statistics.npz holdout=DIR test=DIR --settings S.json --out score.json
    python -m shanshui score PHOTOGRAPHS IMAGES --metrics mask_accuracy,miou --segmenter F --labels LABEL_MAPS

The first argument is a folder of photographs, an .npz of `python -m shanshui reference`, or one of
pytorch-fid. Everything after it is a folder, or name=folder, or name=features.npz as written by
--features-out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shanshui.config.settings import score_settings
from shanshui.config.stages import Stage
from shanshui.config.typed_settings import MetricSettings, read_checked
from shanshui.errors import ShanshuiError, UsageError
from shanshui.storage.outputs import add_file
from shanshui.storage.size import Size

if TYPE_CHECKING:
    from shanshui.architectures.segmenters import Segmenter
    from shanshui.evaluation.feature_file import FeatureSet, Protocol
    from shanshui.evaluation.image_sets import ImageSet
    from shanshui.evaluation.reference import Reference
    from shanshui.evaluation.scoring import Entry
    from shanshui.metrics.registry import Metric

WEIGHT_FREE = "dct_frechet,swd,sharpness"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    from shanshui.metrics.registry import METRICS, needs_in_words

    wide = max(map(len, METRICS))
    lines = [f"  {name:<{wide}}  {metric.description}{needs_in_words(metric)}" for name, metric in METRICS.items()]
    parser.epilog = "\n".join(["metrics:", *lines])
    parser.add_argument("reference", metavar="REFERENCE", help="folder of photographs, or .npz of statistics")
    parser.add_argument("images", nargs="+", metavar="[NAME=]FOLDER", help="images to score, or features of them")
    parser.add_argument(
        "--metrics", metavar="LIST", help=f"names with commas (default: {WEIGHT_FREE}, or the settings')"
    )
    parser.add_argument("--settings", metavar="JSON", help="metrics, size and seed as the pipeline passes them")
    parser.add_argument("--labels", nargs="+", action="extend", default=[], metavar="[NAME=]CSV",
                        help="label maps of the set, as a list or folder, one for every image")  # fmt: skip
    parser.add_argument("--weights-file", type=Path, metavar="FILE", help="Inception weights other than the usual file")
    parser.add_argument(
        "--segmenter",
        type=Path,
        metavar="FILE",
        help="for mask_accuracy, miou and seg_frechet: a file, or the word builtin",
    )
    parser.add_argument("--photographs", nargs="+", type=Path, default=[], metavar="PATH",
                        help="folder or manifests (CSV); statistics of other photographs are refused")  # fmt: skip
    parser.add_argument("--aesthetic-command", metavar="COMMAND",
                        help="program that takes a folder and prints CSV `name,score`, 0 to 10")  # fmt: skip
    parser.add_argument("--model", default="", help="name of the model, copied to the output")
    parser.add_argument("--seed", type=int, help="noise seed of the images, copied to the output")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    add_file(parser, "--out", metavar="JSON", help="write the result to this file")
    add_file(parser, "--features-out", ".npz", metavar="NPZ", help="save the features, for other metrics later")


@dataclass(frozen=True)
class Job:
    """Images, photographs and protocol of a comparison."""

    reference: Reference
    metrics: Sequence[Metric]
    sets: Mapping[str, ImageSet]
    protocol: Protocol
    segmenter: Segmenter | None
    aesthetic_command: str | None


def named(texts: Sequence[str], what: str) -> dict[str, Path]:
    """Parse `name=path`, or a path alone under a default name, for each of `texts`.

    Raises:
        UsageError: a name occurs twice.
    """
    found: dict[str, Path] = {}
    for text in texts:
        name, separator, path = text.partition("=")
        if not separator or Path(text).exists():
            name, path = "pictures", text
        if name in found:
            raise UsageError(f"two {what} are called {name!r}", f"name={what} with different names")
        found[name] = Path(path)
    return found


class ScoreSettings(MetricSettings):
    """Settings file of this stage, and what holds without one."""

    aesthetic_command: str | None = None


def read_request(args: argparse.Namespace, stored: Sequence[str]) -> ScoreSettings:
    """Read metrics and options from settings and command line.

    Args:
        args: of the command line.
        stored: names of the metrics in the statistics, which are computed if no others are named.

    Raises:
        UsageError: --metrics names none.
    """
    settings = read_checked(ScoreSettings, args.settings) if args.settings else ScoreSettings()
    named = settings.metrics
    if args.metrics is not None:
        named = tuple(name.strip() for name in args.metrics.split(","))
        if not any(named):
            raise UsageError(
                f"--metrics {args.metrics!r} names no metric", "names with commas", "leave it out for the default"
            )
    command = args.aesthetic_command or settings.aesthetic_command
    metrics = named or tuple(stored) or tuple(WEIGHT_FREE.split(","))
    return settings.model_copy(update={"metrics": tuple(metrics), "aesthetic_command": command})


def prepare(args: argparse.Namespace) -> Job:
    """Open all inputs and check that they fit together, before an image is read.

    Raises:
        ShanshuiError: they do not.
    """
    from shanshui.architectures.segmenters import load_segmenter
    from shanshui.evaluation import image_sets
    from shanshui.evaluation.reference import Reference, make_reference
    from shanshui.metrics.registry import choose

    source = Path(args.reference)
    reference = None if source.is_dir() else Reference.load(source)
    if reference and args.photographs:
        reference.check_photographs(image_sets.list_photographs(args.photographs))
    request = read_request(args, list(reference.arrays) if reference else [])
    metrics = choose(request.metrics)
    sets = image_sets.open_sets(
        named(args.images, "folder"), named(args.labels, "list"), metrics, source if source.is_dir() else None
    )
    if not args.settings:  # a run's test label maps have no photographs, and are scored by the other metrics
        image_sets.check_photographs(sets, metrics)
    seeing = any(metric.needs_segmenter for metric in metrics)
    segmenter = None
    if seeing and args.segmenter:
        segmenter = load_segmenter(args.segmenter, request.classes, request.size_of_segmenter)
    made_with: Protocol = reference.protocol if reference else {}
    size = request.size_of_images or (Size.of_width_first(made_with["size"]) if "size" in made_with else None)
    size = size or image_sets.common_size(sets, metrics)
    seed = made_with.get("seed", 0) if request.seed is None else request.seed
    if reference is None:
        photographs = image_sets.list_photographs([source])
        reference = make_reference(photographs, metrics, size, seed, args.weights_file, segmenter)
    protocol = choose_protocol(sets, metrics, request, size, seed, args.weights_file, segmenter)
    reference.check(metrics, protocol)
    return Job(reference, metrics, sets, protocol, segmenter, request.aesthetic_command)


def choose_protocol(
    sets: Mapping[str, ImageSet],
    metrics: Sequence[Metric],
    request: ScoreSettings,
    size: Size,
    seed: int,
    weights: Path | None,
    segmenter: Segmenter | None,
) -> Protocol:
    """Return the protocol of all sets; if all have stored features, no network is needed."""
    from shanshui.architectures.segmenters import check_classes
    from shanshui.evaluation.reference import make_protocol
    from shanshui.evaluation.segmenter_features import PLAIN_RULES

    stored = [(one.source, one.stored.protocol) for one in sets.values() if one.stored]
    if len(stored) < len(sets):
        protocol = make_protocol(metrics, size, seed, weights, segmenter)
        if segmenter:
            protocol["label_rules"] = request.label_rules or PLAIN_RULES
        return protocol
    source, first = stored[0]
    protocol = first | {"size": list(size.width_first), "seed": seed}
    if any(metric.needs_segmenter for metric in metrics) and "segmenter" in protocol:
        protocol["label_rules"] = request.label_rules or first["label_rules"]
        if segmenter:
            protocol["segmenter"] = segmenter.identity
        check_classes(first["segmenter_facts"]["classes"], request.classes, str(source))
    return protocol


def compute(
    job: Job, features: Mapping[str, FeatureSet], all_measured: bool = True
) -> tuple[dict[str, Entry], dict[str, str]]:
    """Compute the entry of every set in the score file, and describe the features of every metric.

    Raises:
        NotMeasured: a ShanshuiError: a metric has no value, and `all_measured` requires all.
    """
    from shanshui.evaluation.aesthetic_command import measure
    from shanshui.evaluation.reference import describe, is_published
    from shanshui.evaluation.scoring import BOARD_A, BOARD_A_FEATURES, estimate_all, score_entry
    from shanshui.metrics.estimate import NotMeasured
    from shanshui.metrics.segmentation import per_class, unjudged_share

    scores: dict[str, Entry] = {}
    described = describe(job.metrics, job.protocol)
    for name, one in job.sets.items():
        seen = features[name].features
        metrics = [metric for metric in job.metrics if metric.features in seen]  # photographs are not of every set
        estimates = estimate_all(seen, metrics, job.reference, job.protocol["seed"])
        lacking = {metric: found for metric, found in estimates.items() if isinstance(found, NotMeasured)}
        for metric, reason in lacking.items():
            if all_measured:
                raise reason
            print(f"{metric} of {name} is not measured: {reason.found}", file=sys.stderr)
        if job.aesthetic_command:
            if one.stored:
                raise ShanshuiError(f"{one.source} holds features", "a folder of images, for the aesthetic command")
            estimates["aesthetic"] = measure(job.aesthetic_command, one.source, one.paths)
            described["aesthetic"] = f"mean of the scores from 0 to 10 that `{job.aesthetic_command}` gives"
        masks = any(metric.needs_labels for metric in job.metrics)
        masks = masks and not any(metric.name in lacking for metric in job.metrics if metric.needs_labels)
        by_class = per_class(seen["classes"], job.protocol["segmenter_facts"]["classes"]) if masks else None
        unjudged = unjudged_share(seen["classes"]) if masks else None
        scores[name] = score_entry(estimates, len(one.names), is_published(job.protocol), by_class, unjudged)
        described |= {BOARD_A: BOARD_A_FEATURES} if BOARD_A in scores[name]["metrics"] else {}
    return scores, described


def run(args: argparse.Namespace) -> None:
    """Compute the scores, and print or write them; a result of an earlier call is removed first."""
    from shanshui.evaluation.feature_file import save_features
    from shanshui.evaluation.image_sets import take_features
    from shanshui.evaluation.scoring import as_text
    from shanshui.storage.files import write_json
    from shanshui.storage.provenance import code_version

    if args.out:
        args.out.unlink(missing_ok=True)
    job = prepare(args)
    features = take_features(job.sets, job.metrics, job.protocol, args.weights_file, job.segmenter)
    scores, described = compute(job, features, all_measured=not args.settings)  # in a run others may go on without
    result = {
        "model": args.model,
        "seed": args.seed,
        "sets": scores,
        "features": described,
        "reference": {"n": job.reference.count or None, "fingerprint": job.reference.fingerprint},
        "settings": {"metrics": [metric.name for metric in job.metrics], **job.protocol},
        "shanshui": code_version(),
    }
    if args.features_out:
        save_features(args.features_out, features)
    if args.out:
        write_json(args.out, result)
    if args.json:
        print(json.dumps(result, indent=1, sort_keys=True))
    elif not args.out:
        print(as_text(scores, described))


STAGE = Stage(
    after="generate",
    settings=score_settings,
    section="score",
    rules={"score_seed": "infer", "score_fused": "fuse"},
    device=True,
    report_as="scoring",
)
