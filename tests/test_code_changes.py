"""What a run remembers of its code, and what accepting a change means."""

from __future__ import annotations

from pathlib import Path

import pytest

from shanshui.__main__ import main
from shanshui.config.settings import load_config, stage_settings
from shanshui.config.stages import with_settings
from shanshui.pipeline import code_changes, code_dependencies
from shanshui.pipeline.code_dependencies import Sources, code_digest
from shanshui.storage.files import read_json, write_json


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A package of one stage."""
    for name, text in {"stages/score.py": "from shanshui import fid\n", "fid.py": "EPS = 1\n"}.items():
        (tmp_path / "code" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "code" / name).write_text(text)
    return tmp_path / "code"


@pytest.fixture
def run(tmp_path: Path, code: Path) -> Path:
    """A run made with that code."""
    folder = tmp_path / "results" / "demo"
    sources = Sources(code)
    write_json(folder / "settings" / "score.json", {"code": code_changes.counted_digest("score", {}, sources), "k": 3})
    code_changes.remember(folder, ["score"], sources)
    return folder


def test_unchanged_code_is_no_change(run: Path, code: Path) -> None:
    change = code_changes.code_change(run, "score", Sources(code))
    assert change
    assert (change.pending, change.modules) == (False, [])
    assert code_changes.code_change(run, "fuse", Sources(code)) is None


def test_changed_module_is_named(run: Path, code: Path) -> None:
    (code / "fid.py").write_text("from shanshui import eps\n")
    (code / "eps.py").write_text("EPS = 2\n")
    change = code_changes.code_change(run, "score", Sources(code))
    assert change
    assert change.pending
    assert change.modules == ["new      shanshui.eps", "changed  shanshui.fid"]
    before = {"package pillow": "10.0.0", "package scipy": "1.1"}
    assert code_changes.differences(before, {"package pillow": "10.1.0"}) == [
        "changed  package pillow, 10.0.0 -> 10.1.0", "gone     package scipy, 1.1 -> none",
    ]  # fmt: skip


def test_accepted_code_counts_as_the_old_one_until_the_next_change(run: Path, code: Path) -> None:
    settings = (run / "settings" / "score.json").read_bytes()
    recorded = read_json(run / "settings" / "score.json")["code"]
    (code / "fid.py").write_text("EPS = 1.0\n")
    pending = code_changes.code_change(run, "score", Sources(code))
    assert pending
    code_changes.accept(run, [pending])
    assert code_changes.counted_digest("score", code_changes.read_accepted(run), Sources(code)) == recorded
    after = code_changes.code_change(run, "score", Sources(code))
    assert after
    assert (after.pending, after.now == after.before) == (False, False)
    assert (run / "settings" / "score.json").read_bytes() == settings
    (code / "fid.py").write_text("EPS = 2\n")
    assert code_changes.counted_digest("score", code_changes.read_accepted(run), Sources(code)) != recorded


def test_changed_settings_are_named_with_both_values() -> None:
    before = {"code": "1", "model": {"width": 64, "depth": 6}, "seed": 0}
    now = {"code": "2", "model": {"width": 32, "depth": 6}, "seeds": [1]}
    assert code_changes.setting_differences(before, now) == [
        "model.width: 64 -> 32",
        "seed: 0 -> None",
        "seeds: None -> [1]",
    ]


# --- the two commands -----------------------------------------------------------------------------------


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of the leaderboard recipe, made with this package's code but for one module of `fuse`."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "results" / "leaderboard"
    for stage in with_settings():
        modules = code_dependencies.sources().stage(stage)
        if stage == "fuse":
            modules = {**modules, "shanshui.submission.fusion": "another"}
        write_json(folder / "settings" / "code" / f"{code_digest(modules)}.json", modules)
        settings = stage_settings(load_config([]), stage)
        write_json(folder / "settings" / f"{stage}.json", {**settings, "code": code_digest(modules)})
    return folder


def test_explain_names_modules_settings_and_changes(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.yaml").write_text("fuse: {share: 0.9}\n")
    assert main(["explain", "fuse", "--configfile", "mine.yaml"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("fuse: code ")
    assert any(line.endswith("  shanshui.submission.fusion") for line in lines)
    assert "  share: 0.9" in lines
    assert lines[-3:] == ["  changed  shanshui.submission.fusion", "  share: 0.98 -> 0.9", "fuse would run again"]
    assert main(["explain", "merge"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "merge would not run again on this account"


def test_accept_names_what_it_accepts_and_says_when_there_is_nothing(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["accept", "leaderboard"]) == 0
    assert capsys.readouterr().out.splitlines() == ["fuse: accepted", "  changed  shanshui.submission.fusion"]
    assert main(["accept", "leaderboard"]) == 0
    assert "nothing to accept" in capsys.readouterr().out
    assert main(["explain", "fuse"]) == 0
    assert "would not run again" in capsys.readouterr().out


def test_unknown_run_and_stage_are_refused(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["accept", "leaderbord"]) == 2
    assert "one of leaderboard" in capsys.readouterr().err
    assert main(["accept", str(made), "fus"]) == 2
    assert "no stage fus" in capsys.readouterr().err
