"""The screen that the logger plugin shows, fed with Snakemake's messages."""

from __future__ import annotations

import importlib
import io
import json
import logging
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from shanshui.config.settings import load_config
from shanshui.pipeline.screen import GRACE, Screen, Surroundings
from shanshui.storage.files import write_csv, write_json
from snakemake_logger_plugin_shanshui import LogHandler, LogHandlerSettings

ROOT = Path(__file__).resolve().parent.parent
CONFIG = load_config([ROOT / "config" / "demo.yaml"])
COMMAND = "snakemake --cores all --configfile config/demo.yaml"
STATS = {"settings": 2, "validate": 1, "pretrain": 3, "finetune": 4, "generate": 4, "score": 4,
         "select_checkpoints": 1, "select_model": 1, "all": 1, "total": 21}  # fmt: skip


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


class Workflow:
    """A screen and the messages of Snakemake, as it sends them."""

    def __init__(self, folder: Path, live: bool = False, **more: Any) -> None:
        self.stream = Terminal() if live else io.StringIO()
        self.run = folder / "results" / "demo"
        self.run.mkdir(parents=True)
        around = Surroundings(self.run, CONFIG, ".snakemake/log/x.log", COMMAND, **more)
        self.screen = Screen(around, self.stream, live, pause=1000.0)
        self.now = time.time()
        self.number = 0

    def send(self, event: LogEvent | None, message: str = "", level: int = logging.INFO, **more: object) -> bool:
        record = logging.LogRecord("snakemake", level, "", 0, message, (), None)
        record.__dict__.update({"event": event, **more} if event else more)
        record.created = self.now
        return self.screen.handle(record)

    def start(self, **stats: int) -> None:
        self.send(LogEvent.WORKFLOW_STARTED, "Workflow has started!")
        self.send(LogEvent.RUN_INFO, "Job stats:", stats=stats or STATS)

    def begin(self, rule: str, log: Path | None = None, **wildcards: str) -> int:
        self.number += 1
        self.send(
            LogEvent.JOB_INFO, f" Rule: {rule}", jobid=self.number, rule_name=rule, wildcards=wildcards,
            log=[str(log)] if log else [], shellcmd=f"python -m shanshui {rule}",
        )  # fmt: skip
        self.send(LogEvent.SHELLCMD, f"Shell command: python -m shanshui {rule}")
        return self.number

    def finish(self, job: int, seconds: float = 3.0) -> None:
        self.now += seconds
        self.send(LogEvent.JOB_FINISHED, f"Finished jobid: {job}", job_id=job)
        self.send(LogEvent.PROGRESS, "None", done=job, total=21)

    def job(self, rule: str, seconds: float = 3.0, log: Path | None = None, **wildcards: str) -> None:
        self.finish(self.begin(rule, log, **wildcards), seconds)

    def fail(self, job: int, log: Path, how: str = "returned non-zero exit status 1.") -> None:
        text = f"RuleException:\nCalledProcessError in file x, line 1:\nCommand 'x' {how}"
        self.send(LogEvent.ERROR, text, logging.ERROR, exception="RuleException")
        self.send(
            LogEvent.JOB_ERROR, "Error in rule", logging.ERROR, jobid=job, rule_name="validate", rule_msg=None,
            log=[str(log)], shellcmd="python -m shanshui validate --out x",
        )  # fmt: skip

    def close(self, interrupted: bool = False) -> list[str]:
        self.screen.close(interrupted)
        return self.lines()

    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


def score(run: Path, model: str, value: float) -> None:
    sets = {"holdout": {"n": 4, "metrics": {"mask_accuracy": value}}}
    write_json(run / "score" / f"{model}.json", {"model": model, "seed": 0, "sets": sets})


# --- what is shown ------------------------------------------------------------------------------------------


def test_a_line_per_job_has_its_time_and_the_number_that_matters(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path)
    workflow.start()
    run = workflow.run
    workflow.job("settings", stage="validate", run="demo")
    workflow.job("settings", stage="score", run="demo")
    finding = {"what": "2 grey photographs", "expected": "colour", "do": "leave them out", "files": [], "more": 0}
    write_json(run / "validate" / "report.json", {"levels": [{"title": "Warnings", "findings": [finding]}]})
    for name, count in (("train", 5), ("holdout", 2)):
        write_csv(run / "validate" / f"{name}.csv", [{"name": str(i)} for i in range(count)], ["name"])
    workflow.job("validate", 65.0)
    (run / "pretrain" / "032x024").mkdir(parents=True)
    stats = {"epoch": 1, "step": 42, "G/adv": 1.234, "D/real": 0.5}
    (run / "pretrain" / "032x024" / "stats.jsonl").write_text(json.dumps(stats) + "\n{half a line")
    workflow.job("pretrain", resolution="032x024")
    for model, value in (("epoch_022", 0.6), ("epoch_023", 0.75), ("epoch_024", 0.7)):
        workflow.job("generate", 10.0, model=model)
        score(run, model, value)
        workflow.job("score", 5.0, model=model)
    ranking = [{"model": "epoch_023", "value": 0.75}]
    write_json(run / "select" / "model.json", {"chosen": ["epoch_023"], "rank_by": "mask_accuracy", "ranking": ranking})
    workflow.job("select_model", 0.4)
    sets = {"test": {"n": 4, "metrics": {"mask_accuracy": 0.7}}}
    write_json(run / "score" / "fused.json", {"model": "fused", "seed": None, "sets": sets})
    workflow.job("score_fused")
    assert workflow.close() == [
        "everything else: .snakemake/log/x.log",
        "21 jobs planned, more after each choice of models",
        "    0:00  settings      2 files",
        "    1:05  validate      7 pairs, 1 finding",
        "warning (validate): 2 grey photographs; expected: colour; to do: leave them out",
        "    0:03  pretrain      32x24: epoch 1, 42 steps, G/adv 1.23",
        "    0:15  score         epoch 22: Mask accuracy 0.6000 (best so far 0.6000, epoch 22)",
        "    0:15  score         epoch 23: Mask accuracy 0.7500 (best so far 0.7500, epoch 23)",
        "    0:15  score         epoch 24: Mask accuracy 0.7000 (best so far 0.7500, epoch 23)",
        "    0:00  select        model: epoch 23 (Mask accuracy 0.7500)",
        "    0:03  score         submission: Mask accuracy 0.7000 on the test label maps",
    ]


def test_files_of_another_form_leave_out_the_number(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path)
    workflow.start()
    for name in ("validate/report.json", "score/epoch_017.json", "submission.json"):
        (workflow.run / name).parent.mkdir(exist_ok=True)
        (workflow.run / name).write_text("no JSON")
    for rule in ("validate", "package", "landscapes", "segmenter", "doctor", "fuse", "select_seed", "no_such_rule"):
        workflow.job(rule)
    workflow.job("score", model="epoch_017")
    lines = workflow.close()[2:]
    assert [line[10:] for line in lines] == [
        "validate", "package", "landscapes", "segmenter", "doctor", "fuse", "select        seed", "no_such_rule",
        "score         epoch 17",
    ]  # fmt: skip


def test_warnings_are_shown_in_full_and_other_messages_are_not(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path)
    assert not workflow.send(None, "Building DAG of jobs..."), "before a workflow starts it is Snakemake's own form"
    assert workflow.send(None, "Assuming unrestricted shared filesystem usage.")
    workflow.start()
    workflow.send(None, "Select jobs to execute...")
    workflow.send(LogEvent.RESOURCES_INFO, "Provided cores: 2")
    workflow.send(None, "no moving average\nin two lines", logging.WARNING)
    workflow.send(None, "MissingInputException in rule x", logging.ERROR)
    log = tmp_path / "finetune.017.log"
    log.write_text("pretrain:  45%|####      | 45/100 [00:10<00:12]\rwarning: images are alike; to try: a lower lr_g\n")
    workflow.job("finetune", log=log, epoch="017")
    assert workflow.close()[2:] == [
        "no moving average", "in two lines", "MissingInputException in rule x",
        "    0:03  finetune      epoch 17",
        "warning (finetune): images are alike; to try: a lower lr_g",
    ]  # fmt: skip


def test_a_failed_job_is_shown_with_the_end_of_its_log_and_its_command(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path)
    workflow.start()
    log = tmp_path / "validate.log"
    bar = "photographs:  45%|####      | 45/100 [00:10<00:12, 4.1it/s]\n"
    bar += "label maps:   0%|          | 0/14 [00:00<?, ?file/s]\n"
    log.write_text("".join(f"line {i}\n" for i in range(30)) + bar + "shanshui validate: x\n  to do:    y\n")
    job = workflow.begin("validate", log)
    workflow.fail(job, log)
    workflow.screen.tick(time.time() + GRACE + 1)
    workflow.send(None, "Exiting because a job execution failed. Look above for error messages", logging.ERROR)
    text = "\n".join(workflow.close())
    assert f"failed: validate\n  log {log}, its last 20 lines:\n    line 12\n" in text
    assert "    shanshui validate: x\n      to do:    y\n  its command" in text
    assert "\n    python -m shanshui validate --out x\n" in text
    assert "%|" not in text
    assert "Exiting" not in text
    assert "RuleException" not in text
    assert text.endswith(f"1 job failed (validate). With the cause removed, the same command continues:\n    {COMMAND}")


@pytest.mark.parametrize("before_the_message", [True, False])
def test_a_job_that_ctrl_c_ends_is_no_failure(tmp_path: Path, before_the_message: bool) -> None:
    workflow = Workflow(tmp_path)
    workflow.start()
    log = tmp_path / "validate.log"
    log.write_text("shanshui validate: interrupted\n")
    job = workflow.begin("validate", log)
    if before_the_message:
        workflow.fail(job, log, "died with <Signals.SIGINT: 2>.")
    workflow.send(None, "Terminating processes on user request, this might take some time.")
    if not before_the_message:
        workflow.fail(job, log)
    workflow.screen.tick(time.time() + GRACE + 1)
    workflow.send(LogEvent.ERROR, "WorkflowError:\nAt least one job did not complete successfully.", logging.ERROR)
    lines = workflow.close()
    assert not any(word in line for word in ("failed", "RuleException", "Signals") for line in lines)
    assert lines[2].startswith("Interrupted.")
    assert lines[-2:] == [
        "Finished jobs stay, training resumes from the last state it saved; the same command continues:",
        f"    {COMMAND}",
    ]


def test_ctrl_c_while_planning_says_how_to_continue(tmp_path: Path) -> None:
    lines = Workflow(tmp_path).close(interrupted=True)
    assert lines[0] == "Interrupted."
    assert lines[-1].strip() == COMMAND


def test_the_last_words_end_without_a_word_on_continuing(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path)
    workflow.start()
    workflow.send(None, "Done.\n  submission: x", shanshui_last=True)
    assert workflow.close()[2:] == ["Done.", "  submission: x"]


def test_sigterm_ends_with_the_command_that_continues(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path)
    workflow.start()
    workflow.send(None, "Will exit after finishing currently running jobs (scheduler).")
    assert workflow.close()[2:] == [
        "Will exit after finishing currently running jobs (scheduler).",
        "Ended on request. Finished jobs stay; the same command continues:",
        f"    {COMMAND}",
    ]


def test_what_was_generated_but_not_scored_is_counted_at_the_end(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path)
    workflow.start()
    for epoch in ("017", "018"):
        workflow.job("generate", model=f"epoch_{epoch}")
    assert workflow.close()[-1] == "    0:06  generate      2 jobs"


def test_times_only_set_are_no_jobs(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path, touched=lambda: True)
    workflow.start()
    workflow.job("validate")
    assert workflow.close() == ["everything else: .snakemake/log/x.log"]


# --- while it runs ------------------------------------------------------------------------------------------


def test_the_bar_shows_jobs_training_and_time_left_and_is_gone_at_the_end(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path, live=True)
    workflow.start()
    workflow.job("validate")
    log = tmp_path / "pretrain.log"
    workflow.begin("pretrain", log, resolution="064x048")
    log.write_text("pretrain:  45%|####      | 45/100 [00:45<00:55, 1.0step/s, epoch 3 G/adv 1.00]")
    (workflow.run / "pretrain" / "064x048").mkdir(parents=True)
    (workflow.run / "pretrain" / "064x048" / "stats.jsonl").write_text('{"epoch": 2, "step": 5}\n')
    workflow.screen.tick(workflow.now + 45)
    shown = workflow.stream.getvalue().rpartition("\r")[2]
    assert " jobs |" in shown
    assert "pretrain 64x48, epoch 3 of 3, 45 %; about " in shown
    workflow.send(None, "a warning", logging.WARNING)
    workflow.close()
    text = workflow.stream.getvalue()
    assert "a warning\n" in text
    assert text.endswith("\r\x1b[K"), "the line of the bar is erased"
    assert "\x1b[?25l" not in text, "the cursor is never hidden"


def test_compiling_is_progress_too(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path, live=True)
    workflow.start()
    log = tmp_path / "doctor.log"
    log.write_text("compiling kernels: 0 of 12 steps, 0:00\ncompiling kernels: 5 of 12 steps, 0:31\n")
    workflow.begin("doctor", log)
    workflow.screen.tick(workflow.now + 40)
    assert workflow.stream.getvalue().rstrip().endswith("doctor compiling kernels: 5 of 12 steps, 0:31")
    workflow.close()


def test_without_a_terminal_a_line_says_now_and_then_what_runs(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path)
    workflow.start()
    workflow.begin("finetune", epoch="019")
    began = workflow.now
    for minute in range(1, 601):
        workflow.screen.spoke = min(workflow.screen.spoke, began) if minute == 1 else workflow.screen.spoke
        before = len(workflow.lines())
        workflow.screen.tick(began + 60 * minute + 1)
        if len(workflow.lines()) > before:
            workflow.screen.spoke = began + 60 * minute + 1
    lines = workflow.close()[2:]
    assert 10 <= len(lines) <= 60
    assert "0 of" in lines[0]
    assert "jobs done; finetune epoch 5 of 24" in lines[0]
    assert "\r" not in workflow.stream.getvalue()


def test_the_first_samples_are_named_once(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path)
    workflow.start()
    folder = workflow.run / "samples" / "pretrain"
    folder.mkdir(parents=True)
    workflow.begin("pretrain", resolution="032x024")
    for epoch in (1, 2):
        (folder / f"epoch_00{epoch}.png").touch()
        workflow.screen.tick(time.time())
    lines = workflow.close()
    assert [line for line in lines if "first samples" in line] == [
        f"first samples: {folder / 'epoch_001.png'} (label maps, generated images, photographs)"
    ]


def test_the_page_is_written_now_and_then_and_at_the_end(tmp_path: Path) -> None:
    written = []

    def refresh() -> Path:
        written.append(time.time())
        if len(written) == 1:
            raise ValueError("half a file")
        return tmp_path / "progress.html"

    workflow = Workflow(tmp_path, refresh=refresh)
    workflow.start()
    for second in range(0, 100):
        workflow.screen.tick(workflow.now + second)
    assert 5 <= len(written) <= 12
    before = len(written)
    lines = workflow.close()
    assert len(written) == before + 1
    assert sum("progress.html" in line for line in lines) == 1


# --- the plugin ---------------------------------------------------------------------------------------------


def handler(everything: bool = False, **common: object) -> LogHandler:
    usual = {"verbose": False, "quiet": set(), "debug_dag": False, "dryrun": False, "nocolor": True,
             "printshellcmds": True, "show_failed_logs": True}  # fmt: skip
    return LogHandler(SimpleNamespace(**{**usual, **common}), LogHandlerSettings(everything))  # type: ignore[arg-type]


@pytest.mark.parametrize("option", ["verbose", "quiet", "debug_dag", "dryrun"])
def test_snakemakes_own_options_bring_its_own_messages_back(option: str) -> None:
    assert handler().writes_to_stream
    assert not handler(**{option: {"rules"}}).writes_to_stream
    assert not handler(everything=True).writes_to_stream


def test_without_a_screen_messages_have_snakemakes_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the stderr of that moment, though Snakemake's handler takes that of its import."""
    importlib.import_module("snakemake.logging")
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    record = logging.LogRecord("snakemake", logging.INFO, "", 0, "Building DAG of jobs...", (), None)
    handler().emit(record)
    handler(verbose=True).emit(record)
    assert shown.getvalue().count("Building DAG of jobs...") == 1
