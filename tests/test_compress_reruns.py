"""Which students are trained again after which change, on the real Snakefile; and shares that no student can reach."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml
from copied_workflow import CopiedWorkflow, Run

from shanshui.config.settings import validate
from shanshui.pipeline import student_check

STUDENTS = {"shares": [0.6], "epochs": 1, "batch": 2, "perceptual": {"net": "none"}}


@pytest.fixture(scope="module")
def workflow(tmp_path_factory: pytest.TempPathFactory) -> CopiedWorkflow:
    return CopiedWorkflow(tmp_path_factory.mktemp("copy") / "workflow")


@pytest.fixture(scope="module")
def finished(root: Path, workflow: CopiedWorkflow) -> Run:
    config = yaml.safe_load((root / "tests" / "config" / "tiny.yaml").read_text())
    run = workflow.begin("students", {**config, "compress": STUDENTS})
    ran = run.jobs()
    assert (ran["compress"], ran["compress_report"], ran["report"]) == (2, 1, 1)
    return run


def names(run: Run) -> list[str]:
    return sorted(path.stem for path in (run.results / "compress").glob("*.safetensors"))


def test_changes_one_after_the_other(finished: Run, workflow: CopiedWorkflow) -> None:
    """Each is made to the run as the one before left it, so that few runs are planned."""
    run = finished.copy("changed")
    small, alone = sorted(names(run), reverse=True)
    assert alone == small.replace("small", "alone")
    text = (run.results / "compress" / f"{small}.safetensors").read_text()
    seen = {"score": 2, "generate": 2, "compress_report": 1, "report": 1}

    run.set(compress={"shares": [0.6, 0.7]})
    more = Counter({"settings": 1, "compress": 2, **seen})
    assert run.jobs() == more, "another share trains its own students only"
    assert len(names(run)) == 4
    assert (run.results / "compress" / f"{small}.safetensors").read_text() == text

    run.set(compress={"control": False, "submit": 0.7})
    ran = run.jobs()
    assert ran["compress"] == 0
    assert (ran["infer"], ran["score_seed"], ran["select_seed"], ran["package"]) == (2, 2, 1, 1)
    assert small.replace("060", "070") in (run.results / "select" / "seed.json").read_text()
    assert run.jobs() == Counter()

    run.set(compress={"epochs": 2})
    assert run.jobs()["compress"] == 2

    run.set(select={"on": "test"})
    ran = run.jobs()
    assert ran["select_model"] == 1
    assert ran["compress"] == 0, "the choice comes out the same"
    workflow.restore()


def test_another_teacher_has_other_students(finished: Run) -> None:
    run = finished.copy("other")
    before = names(run)
    run.set(score={"last": 3}, select={"top": 1})
    ran = run.jobs()
    assert ran["compress"] == 2
    assert len(set(names(run)) - set(before)) == 2
    assert {name.partition("_of_")[2] for name in set(names(run)) - set(before)} == {"epoch_003"}


def test_a_share_below_the_floor_stops_the_run_before_it_starts(finished: Run, workflow: CopiedWorkflow) -> None:
    run = workflow.begin("impossible", {**finished.config(), "compress": {**STUDENTS, "shares": [0.01]}})
    code, said = run.snakemake()
    assert code
    assert "the run would fail, and has not been started" in said
    assert "compress.shares: a share of 0.01" in said
    assert "at least 0." in said
    assert not (run.folder / "results").exists()


def test_without_students_nothing_is_checked() -> None:
    assert student_check.examine(validate({})) == []
