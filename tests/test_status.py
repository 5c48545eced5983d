"""How far a run is, told from made-up folders."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest

from shanshui.__main__ import main
from shanshui.config.settings import load_config, stage_settings
from shanshui.pipeline.first_look import write_page
from shanshui.pipeline.network_counts import find_counts
from shanshui.pipeline.retention import REMOVED
from shanshui.pipeline.run_reader import begun_outputs, read_progress, read_run
from shanshui.pipeline.snakemake_lock import LOCK
from shanshui.pipeline.status import Row, rows, text
from shanshui.storage.files import write_json

CONFIG = """
run: demo
landscapes: {train: 20, test: 4, width: 160, height: 120}
data: {width: 128, height: 96, load_width: 144, holdout: 4}
model: {generator: {name: apf, halvings: 5}, discriminator: {name: progressive, count: 3, base_channels: 16}}
pretrain: {epochs: 8, perceptual: {net: none}}
finetune: {epochs: 4, perceptual: {net: none}}
score: {first: 9, last: 12, metrics: [dct_frechet], rank_by: dct_frechet}
select: {top: 3}
infer: {seeds: [0, 1]}
"""
BAR = (
    "\rpretrain:   8%|8         | 1/12 [00:01<00:40, 5.1step/s]"
    "\rpretrain:  25%|##5       | 3/12 [00:02<01:05:07, 5.9step/s]"
)


def begin(work: Path, *outputs: str) -> None:
    """Snakemake's notes of outputs it has begun; long names are cut into folders."""
    for output in outputs:
        code = base64.urlsafe_b64encode(f"results/demo/{output}".encode()).decode()
        parts = [code[i : i + 254] for i in range(0, len(code), 254)]
        file = work.joinpath(".snakemake", "incomplete", *(f"@{part}" for part in parts[:-1]), parts[-1])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}")


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")


def choice(models: list[str], values: list[float], top: int) -> dict[str, Any]:
    ranking = [{"model": m, "seed": 1, "value": v} for m, v in zip(models, values, strict=True)]
    return {"rank_by": "dct_frechet", "on": "holdout", "chosen": models[:top], "ranking": ranking}


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The demo's folder just after Snakemake started."""
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").write_text(CONFIG)
    folder = Path("results") / "demo"
    write_json(folder / "settings" / "report.json", stage_settings(load_config(["my.yaml"]), "report"))
    (folder / "logs").mkdir()
    return folder


def table(folder: Path) -> dict[str, Row]:
    return {row.stage: row for row in rows(read_run(folder))}


def test_nothing_done_yet(demo: Path) -> None:
    found = table(demo)
    assert {row.state for row in found.values()} == {"waiting"}
    totals = {"pretrain": 3, "finetune": 4, "checkpoints": 4, "averages": 5, "seeds": 2}
    assert {name: found[name].total for name in totals} == totals


def test_training_shows_epoch_speed_and_time_left(demo: Path) -> None:
    make(demo, "landscapes/train/imgs/a.jpg", "doctor.json", "validate/test.csv", "prepare/names.json")
    make(demo, "reference/statistics.npz", "pretrain/064x048.safetensors")
    lines = [{"epoch": epoch, "img_per_s": 12.34, "seconds": 100.0} for epoch in (5, 6)]
    make(demo, "pretrain/128x096/stats.jsonl")
    (demo / "pretrain/128x096/stats.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    begin(Path(), "pretrain/128x096.safetensors", "pretrain/128x096.state.safetensors")
    found = table(demo)
    assert [found[name].state for name in ("landscapes", "doctor", "validate", "prepare", "reference")] == ["done"] * 5
    assert (found["pretrain"].done, found["pretrain"].state) == (1, "interrupted")
    assert found["pretrain"].now == "128x096: epoch 6 of 8 done, 12.3 img/s, about 0:03:20 left"
    with open(Path(".snakemake") / LOCK, "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_SH)
        assert table(demo)["pretrain"].state == "running"


def test_trainings_that_go_wrong_are_said_while_they_run(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [{"epoch": 9, "step": 400, "G/rec": 2.0}, {"epoch": 10, "step": 450, "G/rec": 4000.0}]
    make(demo, "finetune/stats.jsonl")
    (demo / "finetune/stats.jsonl").write_text(
        "".join(json.dumps({**line, "seconds": 1.0, "img_per_s": 1.0}) + "\n" for line in lines)
    )
    assert main(["status", "demo"]) == 0
    said = capsys.readouterr().out
    assert "look at finetune: losses have run away since epoch 9: G/rec 2 -> 4e+03; to try: lower lr_g" in said


def test_first_epoch_and_pictures_show_the_logs_own_words(demo: Path) -> None:
    make(demo, "finetune/epoch_009.safetensors", "score/epoch_009.json")
    (demo / "logs" / "finetune.010.log").write_text("begun\n" + BAR)
    (demo / "logs" / "generate.epoch_010.log").write_text(BAR.replace("pretrain", "generate"))
    silent = time.time() - 1000
    os.utime(demo / "logs" / "generate.epoch_010.log", (silent, silent))
    begin(Path(), "finetune/epoch_010.safetensors", "images/epoch_010")
    found = table(demo)
    assert found["finetune"].now == "first epoch 25 %, 01:05:07 left"
    assert found["checkpoints"].done == 1
    assert found["checkpoints"].now.startswith("epoch_010 25 %, 01:05:07 left, silent for 0:16:4")


def test_removed_weights_count_as_done(demo: Path) -> None:
    write_json(demo / REMOVED, {"finetune/epoch_009.safetensors": 1})
    make(demo, "finetune/epoch_010.safetensors")
    assert table(demo)["finetune"].done == 2


def test_averages_and_seeds_count_once_they_are_named(demo: Path) -> None:
    make(demo, "score/009+010.json", "score/009+010/seed_1.json", "infer/009+010/seed_0/test/a.jpg")
    assert (table(demo)["averages"].done, table(demo)["seeds"].done) == (0, 0)
    write_json(demo / "select/checkpoints.json", choice(["epoch_010", "epoch_009", "epoch_012"], [1.0, 2.0, 3.0], 3))
    write_json(demo / "select/model.json", choice(["009+010", "epoch_010"], [0.5, 1.0], 1))
    begin(Path(), "infer/009+010/seed_0")
    found = table(demo)
    assert (found["averages"].done, found["seeds"].done) == (1, 1)
    assert found["seeds"].now == "009+010/seed_0"


def test_screen_has_stages_choices_and_disk(
    demo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_json(demo / "select/seed.json", choice(["009+010"], [0.51234], 1))
    make(demo, "submission.zip", "report.html", "fid_table.csv", "fuse.json")
    assert not isinstance(find_counts(load_config(["my.yaml"])), str)  # as when the run starts
    assert main(["status", "demo"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"demo: {demo}; no Snakemake is running here"
    assert "package         1 of 1    done" in lines
    assert "chosen seed: 009+010 seed 1 (0.5123) by dct_frechet on holdout" in lines
    assert lines[-1].startswith("disk: 0.00 GiB in this run, ")
    assert re.search(r"GiB free; at most \d+\.\d GiB expected, \d+\.\d in the end$", lines[-1])
    monkeypatch.setenv("SHANSHUI_CACHE", str(demo))
    assert main(["status", "demo"]) == 0
    assert "expected" not in capsys.readouterr().out, "of networks that have not been counted"
    assert len(lines) < 24, "one screen"
    assert text(read_run(demo)).splitlines()[:3] == lines[:3]


def test_notes_are_read_in_whatever_pieces(tmp_path: Path) -> None:
    long = "山水/" * 60 + "a.txt"
    begin(tmp_path, "b.txt", long)
    (tmp_path / ".snakemake" / "incomplete" / "migration_underway").write_text("")
    assert sorted(begun_outputs(tmp_path / ".snakemake")) == sorted(["results/demo/b.txt", f"results/demo/{long}"])


def test_log_without_progress_says_nothing(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("100 lines, no bar | here [1<2\n")
    assert read_progress(log, time.time()) is None


def test_run_without_settings_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(tmp_path)]) == 2
    (tmp_path / "settings").mkdir()
    assert main(["status", str(tmp_path)]) == 1
    assert "written when Snakemake starts" in capsys.readouterr().err


# --- a first look -------------------------------------------------------------------------------------------


def run_so_far(demo: Path) -> None:
    """Two trainings, two scored checkpoints, three grids of samples."""
    lines = [
        {"epoch": epoch, "step": epoch, "seconds": 1.0, "img_per_s": 1.0, "G/adv": 1.0 + epoch} for epoch in (9, 10)
    ]
    make(demo, "finetune/stats.jsonl", "samples/pretrain/epoch_008.png", "samples/finetune/epoch_009.png")
    (demo / "finetune/stats.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    make(demo, "samples/finetune/epoch_010.png")
    os.utime(demo / "samples/finetune/epoch_010.png", (time.time() + 5,) * 2)
    for epoch, value in ((9, 30.0), (10, 20.5)):
        sets = {"holdout": {"n": 4, "metrics": {"dct_frechet": value}}}
        write_json(demo / f"score/epoch_{epoch:03d}.json", {"model": f"epoch_{epoch:03d}", "seed": 0, "sets": sets})
    make(demo, "score/009+010.json")


def test_scores_and_samples_so_far_are_listed(demo: Path) -> None:
    run_so_far(demo)
    lines = text(read_run(demo)).splitlines()
    assert "DCT-Fréchet (not FID) by epoch: 9: 30.00, 10: 20.50" in lines
    assert f"newest samples: {demo}/samples/finetune/epoch_010.png" in lines


def test_the_page_shows_samples_curves_and_stages_and_refreshes_while_it_runs(demo: Path) -> None:
    run_so_far(demo)
    assert main(["status", "demo", "--page"]) == 0
    page = (demo / "progress.html").read_text(encoding="utf-8")
    shown = re.findall(r'<img src="([^"?]+)', page)
    assert shown == [
        "samples/finetune/epoch_010.png",
        "samples/finetune/epoch_009.png",
        "samples/pretrain/epoch_008.png",
    ]
    assert page.count("<polyline") == 2, "the score and G/adv"
    assert ">G/adv: 10.00 to 11.00<" in page
    assert "no Snakemake is working on it now" in page
    assert "http-equiv" not in page
    Path(".snakemake").mkdir()
    with open(Path(".snakemake") / LOCK, "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_SH)
        write_page(demo)
    assert '<meta http-equiv="refresh" content="20">' in (demo / "progress.html").read_text(encoding="utf-8")


def test_once_the_run_has_ended_the_page_leads_to_the_report(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_so_far(demo)
    make(demo, "report.html")
    write_page(demo)
    assert "newest" not in (demo / "progress.html").read_text()
    assert "url=report.html" not in (demo / "progress.html").read_text(), "an older report, this run was interrupted"
    monkeypatch.setattr("shanshui.pipeline.status.rows", lambda state: [Row("report", 1, 1, "done")])
    first = write_page(demo).read_text()
    assert 'content="0; url=report.html"' in first
    assert write_page(demo).read_text() == first, "without the time of day"


def test_following_needs_a_terminal(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "demo", "--follow"]) == 2
    assert "no terminal" in capsys.readouterr().err
