"""The screen of a whole workflow on a pseudo-terminal: Ctrl-C in the middle, and the same command again."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import yaml
from copied_workflow import CopiedWorkflow
from pseudo_terminal import Terminal

MOST_LINES = 60


@pytest.fixture
def work(root: Path, tmp_path: Path) -> tuple[list[str], Path]:
    """The command of the demo, whose stages compute nothing here, and its working folder."""
    workflow = CopiedWorkflow(tmp_path / "workflow")
    run = workflow.begin("first", yaml.safe_load((root / "config" / "demo.yaml").read_text()))
    return (
        [sys.executable, "-m", "snakemake", "--snakefile", str(workflow.folder / "Snakefile"), "--configfile",
         "config.yaml", "--cores", "2"],
        run.folder,
    )  # fmt: skip


def test_ctrl_c_leaves_a_terminal_that_works_and_the_same_command_ends_the_run(work: tuple[list[str], Path]) -> None:
    command, folder = work
    terminal = Terminal(command, folder, STAND_IN_SLOW="pretrain", STAND_IN_SECONDS="600")
    try:
        terminal.wait_for("pretrain 32x24, epoch 1 of 1")
        assert re.search(r"\d+ of \d+ jobs \|.*\| 00:\d\d pretrain", terminal.shown)
        terminal.press_ctrl_c()
        assert terminal.wait() == 1
        assert terminal.is_sound()
        lines = [line for line in terminal.lines() if line]
        assert "the same command continues:" in lines[-2]
        assert lines[-1].strip().endswith(" ".join(command[1:]))
        assert not [line for line in lines if "jobs |" in line], "no bar is left"
        assert "^C" not in "".join(lines)
        assert not any("Traceback" in line or line.startswith("failed") for line in lines)
    finally:
        terminal.close()

    terminal = Terminal(command, folder)
    try:
        assert terminal.wait() == 0, terminal.shown[-4000:]
        assert terminal.is_sound()
        lines = terminal.lines()
        assert len(lines) <= MOST_LINES, "\n".join(lines)
        text = "\n".join(lines)
        assert len(re.findall(r"^ +\d+:\d\d  ", text, re.MULTILINE)) > 20, "a line for each of the other jobs"
        for words in (
            "submission: results/demo/submission.zip",
            "report:     results/demo/report.html",
            "`make paint`",
        ):
            assert words in text
        assert not re.search(r"jobs \||python -m shanshui|Finished jobid|^rule ", text, re.MULTILINE)
        (log,) = re.findall(r"everything else: (\S+)", text)
        assert "python -m shanshui package" in (folder / log).read_text()
        assert (folder / "results" / "demo" / "progress.html").is_file()
    finally:
        terminal.close()
