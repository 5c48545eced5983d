"""The comparison of a teacher with its students: numbers, ties, the page; and the names of students in a run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from small_students import command, save_run
from small_weights import save_label_maps

from shanshui.__main__ import main
from shanshui.compression import student_names
from shanshui.config.compress_section import Compress
from shanshui.config.settings import validate
from shanshui.errors import EXIT_USAGE
from shanshui.evaluation.selection import parse_score
from shanshui.pipeline.retention import TidySettings, kept_names
from shanshui.pipeline.run_paths import RunPaths
from shanshui.report.students import Measured, StudentReport, cells, student_report, verdict
from shanshui.report.wording import model_name
from shanshui.storage.files import write_csv, write_json
from shanshui.storage.images import read_photo

MODELS = ["003+004", "small_025_of_003+004", "alone_025_of_003+004"]


def score(model: str, **metrics: tuple[float, float | None]) -> dict[str, Any]:
    """A score file with one set; values with their standard errors."""
    errors = {name: error for name, (_, error) in metrics.items() if error is not None}
    values = {name: value for name, (value, _) in metrics.items()}
    return {"model": model, "seed": 0, "sets": {"holdout": {"n": 9, "metrics": values, "standard_errors": errors}}}


def measured(model: str, seconds: float) -> Measured:
    return {
        "model": model, "method": "narrow", "widths": {"base_channels": 4}, "parameters": 100, "megabytes": 1.0,
        "gmac": 2.0, "gmac_on_patches": 1.0, "seconds": seconds, "peak_mib": None,
    }  # fmt: skip


def compared(*scores: dict[str, Any]) -> StudentReport:
    parsed = [parse_score(raw, raw["model"]) for raw in scores]
    models = [measured(raw["model"], seconds) for raw, seconds in zip(scores, (2.0, 0.5, 0.5), strict=True)]
    return student_report(models, parsed, {"device": "CPU", "threads": 1, "calls": 8, "size": "64x32"})


# --- what differences mean --------------------------------------------------------------------------------


def test_differences_are_named_with_their_errors() -> None:
    found = compared(
        score(MODELS[0], fd_efficientnet=(10.0, 1.0), mask_accuracy=(0.9, 0.01), sharpness=(1.0, 0.1)),
        score(MODELS[1], fd_efficientnet=(20.0, 3.0), mask_accuracy=(0.80, 0.01), sharpness=(2.0, 0.1)),
        score(MODELS[2], fd_efficientnet=(24.0, 4.0), mask_accuracy=(0.70, 0.01), sharpness=(1.0, 0.1)),
    )
    against = {(d["against"], d["metric"]): d for d in found["differences"]}
    tie, better = against["control", "fd_efficientnet"], against["control", "mask_accuracy"]
    assert (tie["difference"], tie["error"], tie["verdict"]) == (-4.0, 5.0, "tie")
    assert better["verdict"] == "better"
    assert against["teacher", "fd_efficientnet"]["verdict"] == "worse"
    assert against["control", "sharpness"]["verdict"] == "unknown", "it has no better end"
    assert [line["kind"] for line in found["models"]] == ["teacher", "student", "control"]
    assert found["models"][1]["ratios"]["seconds"] == 0.25
    cost, quality = found["text"]
    assert cost.startswith("The student of 25% takes 25.0 % of the time per image")
    assert "better in Mask accuracy" in quality
    assert "a tie in " in quality
    assert "helped" not in quality


def test_it_is_said_where_learning_from_the_teacher_brought_nothing() -> None:
    found = compared(*(score(model, mask_accuracy=(0.8, 0.01)) for model in MODELS))
    assert (
        "a tie in Mask accuracy. None of these metrics shows that learning from the teacher helped" in found["text"][1]
    )


def test_verdicts() -> None:
    assert verdict("mask_accuracy", 0.1, 0.05) == "better"
    assert verdict("fd_efficientnet", 0.1, 0.05) == "worse"
    assert verdict("mask_accuracy", 0.05, 0.05) == "tie"
    assert verdict("mask_accuracy", 0.1, None) == "unknown"


def test_cells_are_one_per_heading() -> None:
    head, rows = cells(compared(*(score(model, mask_accuracy=(0.8, 0.01), miou=(0.5, None)) for model in MODELS)))
    assert {len(row) for row in rows} == {len(head)}
    assert [row[0] for row in rows] == [
        "average of 3 + 4", "student of 25% of average of 3 + 4", "control of 25% of average of 3 + 4",
    ]  # fmt: skip
    assert rows[1][-2:] == ["0.8000 ± 0.01", "0.5000"]


# --- the stage --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Weights of a teacher and of its student, in a run."""
    folder = tmp_path_factory.mktemp("run")
    save_run(folder)
    student = folder / "compress" / "small_060_of_epoch_007.safetensors"
    assert main(command(folder, student, epochs=1, batch=4, photographs=False)) == 0
    for name in ("epoch_007", student.stem):
        write_json(folder / f"{name}.json", score(name, mask_accuracy=(0.5, 0.1)))
    maps = save_label_maps(folder / "maps", ["x", "y", "z"])
    rows = [{"name": path.stem, "label": path} for path in sorted(maps.iterdir())]
    write_csv(folder / "test.csv", rows, ["name", "label"])
    write_json(folder / "settings.json", {"seed": 0})
    (folder / "benchmarks").mkdir()
    (folder / "benchmarks" / f"compress.{student.stem}.tsv").write_text("s\th:m:s\n61.5\t0:01:01\n")
    return [folder / "epoch_007.safetensors", student]


def words(files: list[Path], *scores: str) -> list[str]:
    folder = files[0].parent
    return [
        "compress_report", "--settings", str(folder / "settings.json"), "--weights", *map(str, files), "--scores",
        *(str(folder / f"{name}.json") for name in scores), "--labels", str(folder / "test.csv"),
        "--times", str(folder / "benchmarks"), "--out", str(folder / "report.json"),
        "--strip", str(folder / "strip.png"),
    ]  # fmt: skip


def test_stage(files: list[Path]) -> None:
    assert main(words(files, "epoch_007", files[1].stem)) == 0
    found: StudentReport = json.loads((files[0].parent / "report.json").read_text())
    teacher, student = found["models"]
    assert student["widths"] == {"base_channels": 2, "spade_hidden": 4}
    assert student["megabytes"] == files[1].stat().st_size / 1e6
    assert student["gmac"] <= 0.6 * teacher["gmac"]
    assert student["gmac_on_patches"] < student["gmac"]
    assert student["ratios"]["gmac"] == student["gmac"] / teacher["gmac"]
    assert student["seconds"] > 0
    assert (student["epochs"], student["training_seconds"], "epochs" in teacher) == (1, 61.5, False)
    height, width = read_photo(files[0].parent / "strip.png").shape[:2]
    assert width > 3 * 256, "a column for each label map"
    assert height > 3 * 128, "label maps, teacher, student"


def test_scores_of_other_models_are_refused(files: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(files, files[1].stem, "epoch_007")) == EXIT_USAGE
    assert "different models" in capsys.readouterr().err


# --- names and paths --------------------------------------------------------------------------------------


def test_names() -> None:
    compress = Compress(shares=[0.1, 0.25], submit=0.1)
    names = student_names.students(compress, "271+299")
    assert names == [f"{kind}_{share}_of_271+299" for share in ("025", "010") for kind in ("small", "alone")]
    assert student_names.submitted(compress, "271+299") == "small_010_of_271+299"
    assert {student_names.teacher_of(name) for name in names} == {"271+299"}
    assert [student_names.share_of(name) for name in (*names, "epoch_007")] == [0.25, 0.25, 0.1, 0.1, 0]
    assert model_name("small_025_of_ema_310") == "student of 25% of moving average at epoch 310"


def test_paths() -> None:
    paths = RunPaths(validate({}))
    model = re.compile(paths.wildcards()["model"])
    for name in ("small_025_of_271+299", "alone_010_of_epoch_271", "ema_310"):
        assert model.fullmatch(name)
    for name in ("small_25_of_epoch_271", "small_025_of_small_025_of_epoch_271", "small_025_of_epoch_400"):
        assert not model.fullmatch(name)
    assert RunPaths.weights_of("r", "small_025_of_271+299") == "results/r/compress/small_025_of_271+299.safetensors"
    choice: Any = {"chosen": ["small_025_of_271+299"], "chosen_seeds": [3]}
    assert paths.is_current(choice, seeds=True)
    assert not paths.is_current({**choice, "chosen": ["small_025_of_epoch_200"]})


def test_the_teacher_and_the_submitted_images_are_kept() -> None:
    ranking: Any = {"ranking": []}
    names = kept_names(TidySettings(tried=1, last=4, full="064x032"), ranking, "003+004", 2, "small_025_of_003+004")
    assert {"merge/003+004.safetensors", "infer/small_025_of_003+004/seed_2"} <= names
    assert "infer/003+004/seed_2" not in names
