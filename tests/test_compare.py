"""Runs side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shanshui.__main__ import main
from shanshui.errors import UsageError
from shanshui.report.comparison import check_alike, comparison_table, groups_of, submitted
from shanshui.storage.files import write_csv, write_json
from shanshui.storage.images import write_image

COLUMNS = ["kind", "model", "epoch", "seed", "holdout_swd", "test_swd", "test_n", "chosen", "features"]


def lines(value: float) -> list[dict[str, Any]]:
    first = {"kind": "checkpoint", "model": "epoch_003", "epoch": 3, "seed": 0, "chosen": ""}
    second = {"kind": "checkpoint", "model": "epoch_004", "epoch": 4, "seed": 0, "chosen": "top 3, model"}
    seed = {"kind": "seed", "model": "epoch_004", "epoch": 4, "seed": 5, "chosen": "seed"}
    alike = {"test_n": 3, "features": "fid: of Inception; swd: patches"}
    rows = (first, second, seed)
    return [row | {"holdout_swd": value + i, "test_swd": value - i} | alike for i, row in enumerate(rows)]


def make_run(folder: Path, name: str, value: float, root: Path) -> Path:
    """What `compare` reads of a run."""
    from shanshui.config.settings import load_config, stage_settings

    run = folder / name
    config = load_config([root / "tests" / "config" / "tiny.yaml"])
    write_json(run / "settings" / "report.json", {**stage_settings(config, "report"), "run": name})
    write_csv(run / "fid_table.csv", lines(value), COLUMNS)
    labels = []
    for i in range(3):
        label = folder / f"{i}.png"
        write_image(label, np.full((32, 64), i, np.uint8))
        write_image(run / "infer" / "epoch_004" / "seed_5" / "test" / f"{i}.jpg", np.zeros((32, 64, 3), np.uint8))
        labels.append({"name": str(i), "image": "", "label": str(label)})
    for job, seconds in (("pretrain.064x032", 70), ("finetune.004", 30), ("score.epoch_004", 5)):
        benchmark = run / "benchmarks" / f"{job}.tsv"
        benchmark.parent.mkdir(exist_ok=True)
        benchmark.write_text(f"s\tmax_rss\tcpu_time\n{seconds}\t1\t{2 * seconds}\n", encoding="utf-8")
    write_csv(run / "validate" / "test.csv", labels, ["name", "image", "label"])
    return run


def test_curves_strip_and_table(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [make_run(tmp_path, name, value, root) for name, value in (("winner-1", 5.0), ("intended-1", 3.0))]
    assert main(["compare", *map(str, runs), "--out", str(tmp_path / "out")]) == 0
    assert {path.name for path in (tmp_path / "out").glob("[!.]*")} == {"curves.png", "strip.png", "comparison.md"}
    page = (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8")
    said = capsys.readouterr().out
    assert said.strip() in page
    assert "| 1 min 40 s" in said  # 70 s and 30 s; scoring does not count
    assert "| 3 min 20 s" in said  # on two processors
    assert "| winner-1" in said
    assert "| intended-1" in said


def test_unfinished_run_and_equal_names_are_refused(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path, "a-1", 1.0, root)
    assert main(["compare", str(run), str(run), "--out", str(tmp_path / "out")]) != 0
    assert "same name" in capsys.readouterr().err
    (run / "fid_table.csv").unlink()
    assert main(["compare", str(run), "--out", str(tmp_path / "out")]) != 0
    assert "fid_table.csv" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_other_label_maps_are_refused(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = (make_run(tmp_path / name, name, 1.0, root) for name in ("a", "b"))
    rows = [{"name": str(i), "image": "", "label": str(tmp_path / "b" / f"{i}.png")} for i in (0, 1)]
    write_csv(other / "validate" / "test.csv", rows, ["name", "image", "label"])
    assert main(["compare", str(one), str(other), "--out", str(tmp_path / "out")]) == 2
    assert "b and a have different label maps in their test set" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_scores_measured_in_other_ways_are_refused() -> None:
    mine, other_words = lines(1.0), [row | {"features": "swd: other patches"} for row in lines(1.0)]
    check_alike({"a": mine, "b": [row | {"features": "swd: patches; fid: of CLIP"} for row in mine]}, "test", ["swd"])
    with pytest.raises(
        UsageError, match="swd of b and a was measured in different ways:\n    other patches\n    patches"
    ):
        check_alike({"a": mine, "b": other_words}, "test", ["swd"])
    with pytest.raises(UsageError, match="b and a were scored on 4 and 3 images"):
        check_alike({"a": mine, "b": [row | {"test_n": 4} for row in mine]}, "test", ["swd"])


def test_table_shows_what_was_submitted() -> None:
    table = comparison_table({"a-1": lines(4.0)}, {"a-1": {"epochs": "3 + 1"}}, "test", ["swd"])
    wanted = [{"run": "a-1", "epochs": "3 + 1", "model": "epoch_004", "noise seed": 5, "swd": 2.0}]
    assert json.loads(json.dumps(table)) == wanted
    assert submitted(lines(1.0))["seed"] == 5
    assert groups_of(["winner-1", "winner-2", "plain"]) == ["winner", "winner", "plain"]
