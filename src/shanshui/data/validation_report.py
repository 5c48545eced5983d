"""The report of `validate`: its content, which the page of the run shows too, and the content as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypedDict

from tabulate import tabulate

from shanshui.data.findings import Finding
from shanshui.data.statistics import ClassStatistics, pixel_statistics
from shanshui.data.survey import Survey
from shanshui.storage.names import number, printable
from shanshui.storage.size import Size

FILES_SHOWN = 200
SIZES_SHOWN = 4
TITLES = {"error": "Errors", "warning": "Warnings", "note": "Notes"}


class ListedFinding(TypedDict):
    """A finding with the first of its files, and the number of the others."""

    what: str
    expected: str
    do: str
    files: list[str]
    more: int


class Findings(TypedDict):
    """All findings of one level."""

    title: str
    findings: list[ListedFinding]


class Table(TypedDict):
    """A table with its title and an explanation, perhaps empty."""

    title: str
    explained: str
    columns: list[str]
    rows: list[list[str]]


class ValidationReport(TypedDict):
    """The content of the report; `levels` without findings are left out, without images there are no `tables`."""

    verdict: str
    levels: list[Findings]
    tables: list[Table]


def _sizes(sizes: Iterable[Size]) -> str:
    common = Counter(str(size) for size in sizes if size.pixels)
    shown = ", ".join(f"{size} ({times})" for size, times in common.most_common(SIZES_SHOWN))
    return shown + (f" and {len(common) - SIZES_SHOWN} other sizes" if len(common) > SIZES_SHOWN else "")


def _count_rows(survey: Survey, train: ClassStatistics, test: ClassStatistics) -> list[tuple[str, object]]:
    """Return the rows of the table of numbers: files, pairs, sizes, brightness."""
    required, pairing, exclusion = survey.required, survey.pairing, survey.exclusion
    trained, held = survey.split()
    rows: list[tuple[str, object]] = []
    for folder in survey.folders:
        rows.append((f"{folder.holds} found in {folder.path}", len(folder.files or [])))
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


def _class_table(survey: Survey, train: ClassStatistics, test: ClassStatistics) -> Table:
    """Return the classes in order of falling share in training."""
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
    columns = ["id", "class"]
    for split in ("train", "test"):
        columns += [f"{split}: pixels", "images", "mean share there"]
    explained = (
        "Pixels: share of all pixels that have a class. Images: how many contain the class. "
        "Mean share there: what it covers of those, on average."
    )
    return {"title": "Classes", "explained": explained, "columns": columns, "rows": _as_text(rows)}


def _as_text(rows: Iterable[Iterable[object]]) -> list[list[str]]:
    return [[printable(cell) for cell in row] for row in rows]


def _listed(finding: Finding) -> ListedFinding:
    return {
        "what": printable(finding.what), "expected": printable(finding.expected), "do": printable(finding.do),
        "files": [printable(file) for file in finding.files[:FILES_SHOWN]],
        "more": max(0, len(finding.files) - FILES_SHOWN),
    }  # fmt: skip


def verdict(findings: Sequence[Finding]) -> str:
    """Summarise the findings in one line: whether training may start."""
    errors = sum(f.level == "error" for f in findings)
    warnings = number(sum(f.level == "warning" for f in findings), "warning")
    return f"not usable: {number(errors, 'error')}, {warnings}" if errors else f"usable, {warnings}"


def collect(survey: Survey, findings: Sequence[Finding]) -> ValidationReport:
    """Collect what the report says: verdict, findings by level and, where every folder has images, statistics."""
    levels: list[Findings] = []
    for level, title in TITLES.items():
        if listed := [_listed(finding) for finding in findings if finding.level == level]:
            levels.append({"title": title, "findings": listed})
    tables: list[Table] = []
    if survey.complete():
        train, test = survey.class_statistics()
        counts = _as_text(_count_rows(survey, train, test))
        tables = [
            {"title": "Numbers", "explained": "", "columns": ["what", "found"], "rows": counts},
            _class_table(survey, train, test),
        ]
    return {"verdict": verdict(findings), "levels": levels, "tables": tables}


def _finding_lines(finding: ListedFinding) -> list[str]:
    lines = [f"- **{finding['what']}**"]
    lines += [f"  - expected: {finding['expected']}"] if finding["expected"] else []
    lines += [f"  - to do: {finding['do']}"] if finding["do"] else []
    lines += [f"  - `{file}`" for file in finding["files"]]
    return lines + ([f"  - ... and {finding['more']} more"] if finding["more"] else [])


def markdown(report: ValidationReport, plot: str = "") -> str:
    """Format the report as Markdown; `plot` is the link to the plot of the classes, empty if there is none."""
    parts = ["# Data report", f"The data is **{report['verdict']}**."]
    for level in report["levels"]:
        lines = [line for finding in level["findings"] for line in _finding_lines(finding)]
        parts += [f"## {level['title']}", "\n".join(lines)]
    for table in report["tables"]:
        parts += [f"## {table['title']}", table["explained"]]
        parts += [f"![classes]({printable(plot)})"] if plot and table["title"] == "Classes" else []
        parts += [tabulate(table["rows"], table["columns"], tablefmt="github", disable_numparse=True)]
    return "\n\n".join(part for part in parts if part) + "\n"
