"""The real Snakefile chooses: greedy soup, moving average, mask accuracy by a segmenter of its own."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from test_workflow import changed, planned, snakemake

from shanshui.pipeline.run_paths import average_name
from shanshui.storage import checkpoint, files

METRICS = ["dct_frechet", "mask_accuracy", "miou"]


@pytest.fixture(scope="module")
def chosen(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with a run that tries all three checkpoints for a soup."""
    folder = tmp_path_factory.mktemp("choosing")
    shutil.copy(root / "tests" / "config" / "tiny.yaml", folder)
    name = changed(
        folder, "choosing.yaml",
        finetune={"epochs": 3, "ema": 0.5},
        segmenter={"width": 64, "height": 32, "channels": 4, "epochs": 1, "batch": 2},
        score={"last": 5, "metrics": METRICS, "rank_by": "mask_accuracy"},
        select={"top": 1, "soup": 8},
        infer={"seeds": [5]},
    )  # fmt: skip
    done = snakemake(root, folder, config=name)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return folder


def _choice(folder: Path, name: str) -> dict[str, object]:
    choice: dict[str, object] = json.loads((folder / "results/tiny/select" / f"{name}.json").read_text())
    return choice


def test_soup_takes_what_makes_it_better(chosen: Path) -> None:
    ranking = [entry["model"] for entry in _choice(chosen, "checkpoints")["ranking"]]  # type: ignore[attr-defined]
    entries = _choice(chosen, "soup_2")["ranking"]
    values = {entry["model"]: entry["value"] for entry in entries}  # type: ignore[attr-defined]
    pair = average_name(ranking[:2])
    assert set(values) == {ranking[0], pair}
    soup = pair if values[pair] > values[ranking[0]] else ranking[0]
    assert _choice(chosen, "soup_2")["chosen"] == [soup]
    compared = {entry["model"] for entry in _choice(chosen, "model")["ranking"]}  # type: ignore[attr-defined]
    assert compared == {ranking[0], pair, average_name([soup, ranking[2]]), "ema_005"}


def test_soups_are_chosen_again_when_their_scores_change(root: Path, chosen: Path) -> None:
    """They are read by input functions; without an edge in the graph they would go stale."""
    assert 'label = "soup' in snakemake(root, chosen, "--rulegraph", config="choosing.yaml").stdout


def test_soups_and_the_moving_average_are_in_the_table(chosen: Path) -> None:
    rows = files.read_csv(chosen / "results/tiny/fid_table.csv")
    averages = [row["model"] for row in rows if row["kind"] == "average"]
    assert "ema_005" in averages
    assert any("+" in model for model in averages)
    best = max((row for row in rows if row["kind"] != "seed"), key=lambda row: float(row["holdout_mask_accuracy"]))
    assert _choice(chosen, "model")["chosen"] == [best["model"]]


def test_moving_average_lies_between_start_and_end(chosen: Path) -> None:
    folder = chosen / "results/tiny/finetune"
    third, fourth, fifth = (checkpoint.load(folder / f"epoch_00{e}.safetensors").arrays for e in (3, 4, 5))
    mean = checkpoint.load(folder / "ema_005.safetensors")
    assert mean.meta["moving_average"] == 0.5
    assert mean.arrays.keys() == fifth.keys()
    name = "G.conv_img.weight" if "G.conv_img.weight" in fifth else max(fifth, key=lambda key: fifth[key].size)
    near, far = (abs(mean.arrays[name] - other[name]).mean() for other in (fifth, third))
    assert 0 < near < far
    assert abs(mean.arrays[name] - fourth[name]).mean() > 0


def test_report_shows_every_class(chosen: Path) -> None:
    page = (chosen / "results/tiny/report.html").read_text(encoding="utf-8")
    assert "Classes found again" in page
    score = json.loads((chosen / "results/tiny/score" / f"{_choice(chosen, 'model')['chosen'][0]}.json").read_text())  # type: ignore[index]
    assert score["sets"]["holdout"]["per_class"]["sky"]["pixels"] > 0


def test_other_choices_train_nothing_and_score_nothing_again(root: Path, chosen: Path) -> None:
    base = chosen / "choosing.yaml"
    (chosen / "tiny.yaml").write_text(base.read_text())
    jobs = planned(root, chosen, changed(chosen, "fewer.yaml", select={"soup": 2}))
    assert not {"finetune", "segmenter", "generate", "score", "merge", "infer"} & set(jobs)
    jobs = planned(root, chosen, changed(chosen, "top.yaml", select={"top": 2}))
    assert not {"finetune", "segmenter", "reference"} & set(jobs)
    assert jobs["score"] <= 1
    jobs = planned(root, chosen, changed(chosen, "seeds.yaml", infer={"seeds": [5, 6]}))
    assert jobs["infer"] == 1
    assert not {"finetune", "segmenter", "generate", "score"} & set(jobs)


def test_segmenter_section_rescores_without_training(root: Path, chosen: Path) -> None:
    jobs: Counter[str] = planned(root, chosen, changed(chosen, "wider.yaml", segmenter={"channels": 6}))
    assert {"segmenter", "reference", "score", "generate"} <= set(jobs)
    assert not {"pretrain", "finetune", "merge"} & set(jobs)
