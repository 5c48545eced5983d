"""What a finished run is asked next: files of another run, a longer schedule, its copy, parts of it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from copied_workflow import CopiedWorkflow, Run

from shanshui.config.settings import validate
from shanshui.errors import UsageError
from shanshui.pipeline import file_times
from shanshui.pipeline.closing import final_message
from shanshui.pipeline.inputs_there import check_targets
from shanshui.pipeline.run_paths import RunPaths
from shanshui.storage.files import write_json

LARGE = ("--max-checksum-file-size", "0")  # every file counts as too large for Snakemake to look at its content


@pytest.fixture(scope="module")
def finished(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    workflow = CopiedWorkflow(tmp_path_factory.mktemp("copy") / "workflow")
    run = workflow.begin("first", yaml.safe_load((root / "tests" / "config" / "tiny.yaml").read_text()))
    assert run.jobs()["report"] == 1
    return run


@pytest.fixture
def run(finished: Run) -> Iterator[Run]:
    copied = finished.copy("next")
    yield copied
    shutil.rmtree(copied.folder)


# --- files of another run -----------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [(), ("-n",), ("--touch",)])
def test_files_of_another_run_are_refused(run: Run, more: tuple[str, ...]) -> None:
    before = (run.results / "submission.zip").read_bytes()
    run.set(run="other")
    code, said = run.snakemake("results/tiny/submission.zip", *more)
    assert code == 1
    assert "results/tiny/submission.zip belongs to the run tiny, and the configuration is that of other" in said
    assert "Traceback" not in said
    assert (run.folder / "results" / "tiny" / "submission.zip").read_bytes() == before


def test_targets_are_compared_with_the_run() -> None:
    check_targets(["all", "results/mine/submission.zip", "./results/mine/report.html", "resultsX/other"], "mine")
    for target in ("results/other/a", "./results/other/a", "results/./other/a", "results/other"):
        with pytest.raises(UsageError, match="belongs to the run other"):
            check_targets(["results/mine/x", target], "mine")


def test_no_rule_makes_what_is_of_another_run_or_schedule() -> None:
    config = {"pretrain": {"epochs": 100}, "finetune": {"epochs": 3}, "score": {"first": 101, "last": 103},
              "run": "a.b", "select": {"top": 2},
              "model": {"discriminator": {"name": "progressive", "count": 2}}}  # fmt: skip
    patterns = RunPaths(validate(config)).wildcards()
    for name, good, bad in (
        ("run", ["a.b"], ["aXb", "ab", "a.bc"]),
        ("epoch", ["101", "103"], ["100", "104", "1010"]),
        ("model", ["epoch_101", "ema_103", "101+103"], ["epoch_100", "ema_104", "100+101", "101", "101+"]),
        ("subset", ["101+102", "101+102+103"], ["101", "101+104"]),
        ("stage", ["finetune"], ["finetuned"]),
        ("resolution", ["256x192", "512x384"], ["128x096", "64x48"]),
    ):
        assert [text for text in good + bad if re.fullmatch(patterns[name], text)] == good


# --- a longer schedule --------------------------------------------------------------------------------------


def test_a_longer_pretraining_is_planned_from_its_own_schedule(run: Run) -> None:
    """The choices of the schedule before name epochs that are now pretraining's."""
    before = {path.name: path.read_bytes() for path in (run.results / "finetune").glob("*.safetensors")}
    run.set(pretrain={"epochs": 4}, score={"first": 5, "last": 6})
    code, planned = run.snakemake("-n")
    assert code == 0
    assert not re.search(r"epoch_00[34]|003\+004", "\n".join(re.findall(r"^    output: .*", planned, re.MULTILINE)))
    code, said = run.snakemake()
    assert code == 0, said[-3000:]
    assert "Traceback" not in said
    after = {path.name: path.read_bytes() for path in (run.results / "finetune").glob("*.safetensors")}
    assert after.keys() - before.keys() == {"epoch_005.safetensors", "epoch_006.safetensors"}
    assert {name: after[name] for name in before} == before
    assert run.jobs() == {}


def test_a_choice_stands_while_it_can_still_be_made() -> None:
    config = {"pretrain": {"epochs": 100}, "finetune": {"epochs": 3}, "score": {"first": 101, "last": 103, "every": 2},
              "select": {"top": 2}, "model": {"discriminator": {"name": "progressive", "count": 2}},
              "infer": {"seeds": [1]}}  # fmt: skip
    run_paths = RunPaths(validate(config))
    for model, seed, first, second in (
        ("epoch_101", 1, True, True),
        ("ema_103", 2, True, False),
        ("101+103", 1, True, True),
        ("101+102", 1, False, False),
        ("epoch_100", 1, False, False),
    ):
        choice = {"chosen": [model], "chosen_seeds": [seed]}
        assert (run_paths.is_current(choice), run_paths.is_current(choice, seeds=True)) == (first, second)


# --- touched and copied -------------------------------------------------------------------------------------


def test_a_copied_run_does_not_run_again_whatever_its_sizes(run: Run) -> None:
    copy = Run(run.workflow, run.folder.with_name("with new times"))
    subprocess.run(["cp", "-r", str(run.folder), str(copy.folder)], check=True)
    code, said = copy.snakemake(*LARGE)
    assert code == 0
    assert "touched or copied, contents as before: times set back" in said
    assert "Nothing to be done" in said
    shutil.rmtree(copy.folder)


def test_a_large_file_that_is_touched_does_not_run_again_and_a_changed_one_does(run: Run) -> None:
    weights = run.results / "pretrain" / "064x032.state.safetensors"
    weights.touch()
    assert "Nothing to be done" in run.snakemake(*LARGE)[1]
    text = weights.read_text()
    weights.write_text("0" * len(text) if text[0] != "0" else "1" * len(text))
    assert re.search(r"^finetune +2$", run.snakemake("-n", *LARGE)[1], re.MULTILINE)


def test_times_of_what_was_made_anew_are_kept(tmp_path: Path) -> None:
    """After a kill the list is open: nothing is set back, whatever the contents."""
    (tmp_path / "logs").mkdir()
    folder = tmp_path / "infer"
    folder.mkdir()
    for path in (
        tmp_path / "a.json",
        tmp_path / "logs" / "x.log",
        folder / file_times.STAMP,
        folder / "picture.jpg",
        tmp_path / "progress.html",
    ):
        path.write_text("same")
    file_times.record(tmp_path)
    listed = (tmp_path / file_times.TIMES).read_text()
    assert "a.json" in listed
    assert "x.log" not in listed
    assert "progress" not in listed
    assert "picture" not in listed
    before = (tmp_path / "a.json").stat().st_mtime_ns
    for path in (tmp_path / "a.json", folder / file_times.STAMP):
        path.touch()
    file_times.begin(tmp_path)
    assert file_times.restore(tmp_path) == 0
    assert (tmp_path / "a.json").stat().st_mtime_ns != before
    file_times.record(tmp_path)
    now = (tmp_path / "a.json").stat().st_mtime_ns
    (tmp_path / "a.json").touch()
    assert file_times.restore(tmp_path) == 1
    assert (tmp_path / "a.json").stat().st_mtime_ns == now
    (tmp_path / "a.json").write_text("diff")
    assert file_times.restore(tmp_path) == 0


# --- the last line ------------------------------------------------------------------------------------------


def test_the_last_line_says_what_is_there(finished: Run) -> None:
    fresh = finished.workflow.begin("fresh", finished.config())
    code, said = fresh.snakemake("--touch")
    assert code == 0
    assert "Times were set, nothing was made. Not there: submission, table, report." in said
    code, said = fresh.snakemake("--until", "validate")
    assert code == 0
    assert "Done with what was asked for: neither submission nor table nor report was." in said
    assert "submission: " not in said


def test_closing_words_look_at_the_files(tmp_path: Path) -> None:
    (tmp_path / "submission.zip").touch()
    planned = {str(tmp_path / name) for name in ("submission.zip", "report.html")}
    lines = ["Done. Not there: report.", f"  submission: {tmp_path}/submission.zip"]
    assert final_message(tmp_path, planned).splitlines() == lines
    (tmp_path / "merge").mkdir()
    (tmp_path / "merge" / "003+004.safetensors").touch()
    write_json(tmp_path / "select" / "model.json", {"chosen": ["003+004"]})
    last = final_message(tmp_path, planned).splitlines()[-1]
    named = f"python -m shanshui paint --open --weights {tmp_path}/merge/003+004.safetensors"
    assert last.startswith(f"  to try:     {named} (")
    assert f"The submission in {tmp_path} is of an earlier call." in final_message(tmp_path, [])
