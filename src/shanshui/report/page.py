"""The report: one self-contained HTML file, readable offline, in dark mode and in print."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, cast

import numpy as np

from shanshui.config.schema import Config
from shanshui.config.settings import arithmetic_text
from shanshui.config.stages import purpose, rules
from shanshui.evaluation.selection import SETS, Ranking
from shanshui.pipeline.run_paths import RunPaths
from shanshui.report import students, wording
from shanshui.report.students import StudentReport
from shanshui.report.tables import Row, features_lines, number_cells, value_columns
from shanshui.report.timing import StageTime, duration

if TYPE_CHECKING:
    from shanshui.data.validation_report import ValidationReport

TEMPLATE = "report.html.j2"


@dataclass(frozen=True)
class Sample:
    """A label map as shown in the strip: coloured label map, generated image, photograph (None for test maps)."""

    name: str
    label: np.ndarray
    ours: np.ndarray
    photo: np.ndarray | None


@dataclass(frozen=True)
class Frame:
    """A moment of training: epoch, resolution trained at (may be empty), one image per label map shown."""

    epoch: int
    resolution: str
    images: list[np.ndarray]


class ClassShares(TypedDict):
    """A class with its colour and its share of the pixels, in training and in testing."""

    name: str
    colour: tuple[int, int, int]
    train_share: float
    test_share: float


@dataclass
class Page:
    """Everything the report may show; `missing[part]` is the reason why a part is None or empty."""

    run: str
    rank_by: str
    on: str
    manifest: Mapping[str, object]
    rows: Sequence[Row]
    checkpoints: Ranking
    model: Ranking
    seed: Ranking
    config: Config
    samples: Sequence[Sample]
    legend: Sequence[tuple[str, tuple[int, int, int]]]
    curve: str
    frames: Sequence[Frame] = ()
    frame_labels: Sequence[np.ndarray] = ()
    frame_photos: Sequence[np.ndarray] = ()
    losses: str = ""
    training: str = ""
    signs: Sequence[str] = ()
    classes: Sequence[ClassShares] = ()
    found: Mapping[str, Mapping[str, Mapping[str, float | None]]] = field(default_factory=dict)
    validation: ValidationReport | None = None
    times: Sequence[StageTime] = ()
    times_plot: str = ""
    times_text: str = ""
    fusion: Mapping[str, object] | None = None
    fused_values: Sequence[tuple[str, float | None, float | None]] = ()
    sheet: np.ndarray | None = None
    machine: Mapping[str, object] = field(default_factory=dict)
    students: StudentReport | None = None
    students_strip: np.ndarray | None = None
    missing: dict[str, str] = field(default_factory=dict)


def data_uri(pixels: np.ndarray, kind: str = "JPEG", most: int = 512) -> str:
    """Encode uint8 (H, W, 3) as a data URI: JPEG for photographs, PNG for label maps.

    Args:
        pixels: the image.
        kind: "JPEG" or "PNG".
        most: width in pixels to which larger images are reduced.
    """
    from PIL import Image

    image = Image.fromarray(pixels)
    if image.width > most:
        how = Image.Resampling.LANCZOS if kind == "JPEG" else Image.Resampling.NEAREST
        image = image.resize((most, round(image.height * most / image.width)), how)
    buffer = io.BytesIO()
    if kind == "JPEG":
        image.save(buffer, "JPEG", quality=90, subsampling="4:4:4")
    else:
        image.save(buffer, "PNG", optimize=True)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _facts(page: Page) -> list[tuple[str, str]]:
    """Summarise the submission: number of images, model, noise seed, and its scores."""
    winner = page.seed["ranking"][0]
    values = cast("Mapping[str, float | None]", winner)  # by set, among others
    facts = [
        ("images", str(page.manifest["count"])),
        ("model", wording.model_name(winner["model"])),
        ("noise seed", str(winner["seed"])),
    ]
    name = wording.metric_label(page.rank_by)
    facts += [(f"{name}, {wording.SET_NAMES[part]}", wording.number(values[part])) for part in SETS if part in winner]
    return facts


def _machine(machine: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return the machine's description from `doctor`, as names and texts."""
    known = [
        (key, ", ".join(map(str, value)) if isinstance(value, list) else str(value))
        for key, value in machine.items()
        if key not in ("shanshui", "python", "why") and value not in ("", [], None)
    ]
    return sorted(known)


def _sentences(page: Page) -> list[str]:
    return [
        wording.checkpoints_text(page.checkpoints),
        wording.model_text(page.model),
        wording.seed_text(page.seed),
        wording.selection_text(page.rank_by, page.on),
    ]


def _table(page: Page) -> dict[str, object]:
    """Return the cells of the score table, numbers aligned by column."""
    values = value_columns(page.rows)
    body = [
        {"row": row, "name": wording.model_name(row["model"]), "numbers": cells}
        for row, cells in zip(page.rows, number_cells(page.rows), strict=True)
    ]
    metrics = list(dict.fromkeys(metric for _, metric in values))
    groups = [(wording.metric_name(m), [part for part, other in values if other == m]) for m in metrics]
    return {
        "groups": groups,
        "body": body,
        "features": [line.removeprefix("- ") for line in features_lines(page.rows)],
    }


def _times(times: Sequence[StageTime]) -> dict[str, object]:
    """Return the rows of the stages that ran, in data-flow order, and their sums."""
    runs = rules()
    stages = [
        {"name": t.name, "purpose": purpose(runs[t.name]) if t.name in runs else "",
         "time": duration(t.seconds), "jobs": t.jobs,
         "memory": f"{t.max_rss / 1024:.1f} GiB" if t.max_rss >= 1024 else f"{t.max_rss:.0f} MiB"}
        for t in times
    ]  # fmt: skip
    return {
        "stages": stages,
        "total": duration(sum(entry.seconds for entry in times)),
        "jobs": sum(t.jobs for t in times),
    }


def _class_bars(classes: Sequence[ClassShares]) -> list[dict[str, object]]:
    """Compute bars on a square-root scale, so that rare classes stay visible next to the sky."""
    largest = max((max(c["train_share"], c["test_share"]) for c in classes), default=0.0) or 1.0
    return [
        {
            **c,
            "train_width": 100 * (c["train_share"] / largest) ** 0.5,
            "test_at": 100 * (c["test_share"] / largest) ** 0.5,
        }
        for c in sorted(classes, key=lambda c: -c["train_share"])
    ]


def _repeat(page: Page) -> str:
    """Write the command that generates the submitted images again, but for those filled from photographs."""
    model, seed = page.seed["chosen"][0], page.seed["chosen_seeds"][0]
    run = f"results/{page.run}"
    return (
        f"python -m shanshui generate --weights {RunPaths.weights_of(page.run, model)} --seed {seed} "
        f"--labels test={run}/validate/test.csv --settings {run}/settings/generate.json --out again"
    )


def _found(page: Page) -> list[tuple[str, list[str]]]:
    """Return for each class that occurs the cells of every set: share of the pixels, accuracy, IoU in percent."""
    names = list(dict.fromkeys(name for classes in page.found.values() for name in classes))
    rows = []
    for name in names:
        measured = [classes.get(name, {}) for classes in page.found.values()]
        if any(one.get("pixels") for one in measured):
            numbers = [one.get(key) for one in measured for key in ("pixels", "accuracy", "iou")]
            rows.append((name, ["–" if n is None else f"{100 * n:.1f}" for n in numbers]))
    return rows


def _students(page: Page) -> dict[str, object]:
    """Return the table of a model's students, and what is said of it; nothing without students."""
    if page.students is None:
        return {}
    head, rows = students.cells(page.students)
    return {"head": head, "rows": rows, "text": page.students["text"], "machine": students.machine_text(page.students)}


def render(page: Page) -> str:
    """Render the whole page as HTML."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["photo"] = data_uri
    environment.filters["small"] = lambda pixels: data_uri(pixels, most=256)
    environment.filters["large"] = lambda pixels: data_uri(pixels, most=1600)
    environment.filters["label"] = lambda pixels: data_uri(pixels, "PNG")
    config = page.config.model_dump(mode="json")
    return environment.get_template(TEMPLATE).render(
        page=page,
        facts=_facts(page),
        sentences=_sentences(page),
        metric=wording.metric_title(page.rank_by),
        table=_table(page),
        found=_found(page),
        unjudged=wording.unjudged_message(page.found),
        repeat=_repeat(page),
        fused_values=[(wording.metric_name(m), *wording.column([a, b])) for m, a, b in page.fused_values],
        time=_times(page.times),
        classes=_class_bars(page.classes),
        machine=_machine(page.machine),
        students=_students(page),
        parity=page.config.parity.resolved(),
        arithmetic=arithmetic_text(page.config),
        config_text=json.dumps(config, indent=2, ensure_ascii=False),
    )
