"""The report of `validate`, as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tabulate import tabulate

from shanshui.data.findings import Finding
from shanshui.data.statistics import ClassStatistics, pixel_statistics
from shanshui.data.survey import Survey
from shanshui.storage.names import number, printable
from shanshui.storage.size import Size

FILES_SHOWN = 200
SIZES_SHOWN = 4


def _sizes(sizes: Iterable[Size]) -> str:
    common = Counter(str(size) for size in sizes if size.pixels)
    shown = ", ".join(f"{size} ({times})" for size, times in common.most_common(SIZES_SHOWN))
    return shown + (f" and {len(common) - SIZES_SHOWN} other sizes" if len(common) > SIZES_SHOWN else "")


def _table(rows: Sequence[Sequence[object]], headers: Sequence[str]) -> str:
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def _count_rows(survey: Survey, train: ClassStatistics, test: ClassStatistics) -> list[tuple[str, object]]:
    """Return the rows of the table of numbers: files, pairs, sizes, brightness."""
    required, pairing, exclusion = survey.required, survey.pairing, survey.exclusion
    trained, held = survey.split()
    rows: list[tuple[str, object]] = []
    for folder in survey.folders:
        rows.append((f"{folder.holds} found in `{folder.path}`", len(folder.files or [])))
        rows += [("... besides, left out as not outdoor", folder.indoor)] if folder.indoor else []
    twice = f", {len(exclusion.repeated)} of them listed more than once" if exclusion.repeated else ""
    rows += [
        ("names on the exclusion list", f"{len(exclusion.names)}{twice}"),
        ("of these left out / not found", f"{len(pairing.excluded)} / {len(pairing.not_found)}"),
        ("pairs", len(pairing.pairs)),
        ("... trained on", len(trained)),
        ("... held out", len(held)),
        (f"steps per epoch with batch {required.batch}", len(trained) // required.batch),
        ("sizes of the photographs", _sizes(p.size for p in survey.photos)),
        ("sizes of the test label maps", _sizes(t.size for t in survey.tests)),
        ("trained at", f"{required.load_size}, cropped to {required.size}"),
        ("pixels without class, train / test", f"{train.no_class:.2%} / {test.no_class:.2%}"),
    ]
    if edges := [found.edges for found in survey.instances.values() if not found.problem]:
        rows.append(("pixels on an edge between objects, on average", f"{sum(edges) / len(edges):.2%}"))
    means, deviations = pixel_statistics(survey.trained_photos())
    for title, values in (("mean", means), ("standard deviation", deviations)):
        rows.append((f"{title} of red, green, blue (0 to 255)", ", ".join(f"{value:.1f}" for value in values)))
    return rows


def _class_table(survey: Survey, train: ClassStatistics, test: ClassStatistics) -> str:
    """Format the classes in order of falling share in training."""
    names = survey.required.classes.names
    order = sorted(range(len(names)), key=lambda i: -train.share[i])
    rows = [
        (
            i, names[i],
            f"{train.share[i]:.2%}", int(train.present[i]), f"{train.mean_share[i]:.2%}",
            f"{test.share[i]:.2%}", int(test.present[i]), f"{test.mean_share[i]:.2%}",
        )
        for i in order
    ]  # fmt: skip
    headers = ["id", "class"]
    for split in ("train", "test"):
        headers += [f"{split}: pixels", "images", "mean share there"]
    return _table(rows, headers)


def _finding(finding: Finding) -> str:
    lines = [f"- **{finding.what}**"]
    lines += [f"  - expected: {finding.expected}"] if finding.expected else []
    lines += [f"  - to do: {finding.do}"] if finding.do else []
    lines += [f"  - `{file}`" for file in finding.files[:FILES_SHOWN]]
    more = len(finding.files) - FILES_SHOWN
    return "\n".join(lines + ([f"  - ... and {more} more"] if more > 0 else []))


def verdict(findings: Sequence[Finding]) -> str:
    """Summarise the findings in one line: whether training may start."""
    errors = sum(f.level == "error" for f in findings)
    warnings = number(sum(f.level == "warning" for f in findings), "warning")
    return f"not usable: {number(errors, 'error')}, {warnings}" if errors else f"usable, {warnings}"


def render(survey: Survey, findings: Sequence[Finding], plot: str = "") -> str:
    """Render the whole report as Markdown; `plot` is the link to the plot of the classes, empty if there is none."""
    parts = ["# Data report", f"The data is **{verdict(findings)}**."]
    for level, title in (("error", "Errors"), ("warning", "Warnings"), ("note", "Notes")):
        chosen = [_finding(f) for f in findings if f.level == level]
        parts += [f"## {title}", "\n".join(chosen)] if chosen else []
    if not survey.complete():
        return printable("\n\n".join(parts) + "\n")
    train, test = survey.class_statistics()
    parts += ["## Numbers", _table(_count_rows(survey, train, test), ("what", "found"))]
    explained = (
        "Pixels: share of all pixels that have a class. Images: how many contain the class. "
        "Mean share there: what it covers of those, on average."
    )
    parts += [
        "## Classes",
        explained,
        *([f"![classes]({plot})"] if plot else []),
        _class_table(survey, train, test),
    ]
    return printable("\n\n".join(parts) + "\n")
