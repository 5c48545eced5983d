"""All metrics by name, those of installed plug-ins included; importing this module declares them.

Each is declared in a file of this package (see `metrics.record`); metrics on the same features share their extraction.
No score without the published Inception weights is ever named FID or KID: on EfficientNet's features the same
formulas are `fd_efficientnet` and `kd_efficientnet`.
"""

from __future__ import annotations

from collections.abc import Iterable

from shanshui.errors import UsageError
from shanshui.metrics.record import Features, Metric, declared_features, declared_metrics
from shanshui.plugins.discovery import import_modules, load_plugins

import_modules("shanshui.metrics")
load_plugins("shanshui.metrics")
METRICS = declared_metrics()
FEATURES = declared_features()


def choose(names: Iterable[str]) -> list[Metric]:
    """Look metrics up by name, each once.

    Raises:
        UsageError: where `names` is empty or holds unknown ones; the message lists the known ones.
    """
    chosen = list(dict.fromkeys(names))
    unknown = [name for name in chosen if name not in METRICS]
    if unknown or not chosen:
        raise UsageError(f"unknown metric: {', '.join(unknown) or '(none given)'}", ", ".join(METRICS))
    return [METRICS[name] for name in chosen]


def kinds_of(names: Iterable[str]) -> list[Features]:
    """Return the kinds of features that the metrics `names` are computed from, each once, sorted by name."""
    wanted = {METRICS[name].features for name in names}
    return [record for name, record in FEATURES.items() if name in wanted]


def weights_of(names: Iterable[str]) -> set[str]:
    """Return the names of the weight files that the metrics `names` need."""
    return {record.weights for record in kinds_of(names) if record.weights}


def need_segmenter(names: Iterable[str]) -> bool:
    """Return whether one of the metrics `names` needs a segmenter."""
    return any(METRICS[name].needs_segmenter for name in names)


def need_photographs(names: Iterable[str]) -> list[str]:
    """Return those of the metrics `names` that compare each image with the photograph of its label map."""
    return [name for name in names if METRICS[name].needs_photographs]


def needs_in_words(metric: Metric) -> str:
    """Describe what a metric needs besides the images, as ` [needs ...]` after its description, or ""."""
    words = {
        "segmenter": "--segmenter",
        "labels": "--labels",
        "photographs": "photographs of the same names",
    }
    needed = [word for need, word in words.items() if need in metric.source.needs]
    weights = metric.source.weights
    needed += [f"the weight file {weights}"] if weights else []
    return f" [needs {', '.join(needed)}]" if needed else ""
