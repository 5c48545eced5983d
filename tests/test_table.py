"""The table of scores and its curve: every score a row, the chosen marked, no proxy called FID."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from shanshui.__main__ import main
from shanshui.errors import ShanshuiError
from shanshui.evaluation.selection import Score, parse_score, rank
from shanshui.metrics.registry import METRICS
from shanshui.report import curves, plotting, tables, wording
from shanshui.storage.files import read_csv

METRIC = "dct_frechet"


def score(model: str, value: float, seed: int = 0) -> Score:
    sets = {
        name: {"n": n, "metrics": {METRIC: value + extra, "swd": 10 * value}}
        for name, n, extra in (("holdout", 4, 0.0), ("test", 6, 0.5))
    }
    features = {METRIC: "8x8 blocks; 192 numbers", "swd": "patches"}
    raw = {"model": model, "seed": seed, "sets": sets, "features": features}
    return parse_score(raw, f"{model}.{seed}.json")


CHECKPOINTS = [score(f"epoch_{epoch:03d}", value) for epoch, value in ((9, 4.0), (10, 3.0), (11, 2.5))]
AVERAGE = score("010+011", 2.0)
SEEDS = [AVERAGE, score("010+011", 1.9, 1), score("010+011", 2.2, 2)]


def rankings(on: str = "holdout") -> list[dict[str, Any]]:
    return [
        rank(CHECKPOINTS, METRIC, on, 2),
        rank([*CHECKPOINTS[1:], AVERAGE], METRIC, on, 1),
        rank(SEEDS, METRIC, on, 1),
    ]


def rows() -> list[tables.Row]:
    return tables.build_rows([*SEEDS[1:], AVERAGE, *CHECKPOINTS[::-1]], *rankings())


def test_rows_are_ordered_and_marked() -> None:
    found = [(r["kind"], r["model"], r["epoch"], r["seed"], r["chosen"]) for r in rows()]
    assert found == [
        ("checkpoint", "epoch_009", 9, 0, ""),
        ("checkpoint", "epoch_010", 10, 0, "top 2"),
        ("checkpoint", "epoch_011", 11, 0, "top 2"),
        ("average", "010+011", "", 0, "model"),
        ("seed", "010+011", "", 1, "seed"),
        ("seed", "010+011", "", 2, ""),
    ]


def test_second_score_of_a_model_and_seed_is_a_seed_row() -> None:
    scores = [
        *CHECKPOINTS,
        AVERAGE,
        parse_score(json.loads(json.dumps(_raw(AVERAGE))), "seed_0.json"),
        *SEEDS[1:],
    ]
    found = tables.build_rows(scores, *rankings())
    assert [(r["kind"], r["seed"]) for r in found if r["model"] == "010+011"] == [
        ("average", 0), ("seed", 0), ("seed", 1), ("seed", 2)
    ]  # fmt: skip


def _raw(original: Score) -> dict[str, Any]:
    sets = {name: {"n": original.counts[name], "metrics": dict(v)} for name, v in original.values.items()}
    return {"model": original.model, "seed": original.seed, "sets": sets, "features": original.features}


def test_one_model_can_be_everything() -> None:
    only = [score("epoch_005", 1.0)]
    choice = rank(only, METRIC, "holdout", 1)
    assert [r["chosen"] for r in tables.build_rows(only, choice, choice, choice)] == ["top 1, model, seed"]


def test_unknown_scores_and_names_are_refused() -> None:
    with pytest.raises(ShanshuiError, match=r"epoch_001\.7\.json: epoch_001 seed 7 is in none of the three rankings"):
        tables.build_rows([score("epoch_001", 1.0, 7)], *rankings())
    odd = [score("best", 1.0)]
    choice = rank(odd, METRIC, "holdout", 1)
    with pytest.raises(ShanshuiError, match="'best' is neither a checkpoint nor an average"):
        tables.build_rows(odd, choice, choice, choice)


def test_columns_hold_every_set_and_metric() -> None:
    names = tables.columns(CHECKPOINTS, "swd")
    assert names == [
        "kind", "model", "epoch", "seed", "holdout_swd", "test_swd", "holdout_dct_frechet",
        "test_dct_frechet", "holdout_n", "test_n", "chosen", "tied", "features",
    ]  # fmt: skip
    assert set(rows()[0]) == set(names)


@pytest.mark.parametrize("on", ["holdout", "test"])
def test_no_proxy_is_called_fid(on: str) -> None:
    text = tables.to_markdown(rows(), METRIC, on)
    assert "DCT-Fréchet" in text
    for found in re.finditer("FID", text):
        assert text[: found.start()].endswith(("not ", "no "))
    basis = "held out of training" if on == "holdout" else "test label maps themselves"
    assert basis in text
    assert "selection, not an independent measurement" in text
    assert "8x8 blocks, 192 numbers" in text


def noisy(model: str, value: float, seed: int = 0) -> Score:
    raw = _raw(score(model, value, seed))
    raw["sets"]["holdout"]["standard_errors"] = {METRIC: 0.2}
    return parse_score(raw, f"{model}.{seed}.json")


def test_ties_and_errors_are_shown_beside_the_values() -> None:
    checkpoints = [noisy(f"epoch_{epoch:03d}", value) for epoch, value in ((9, 4.0), (10, 3.0), (11, 2.5), (12, 3.1))]
    average = noisy("010+011", 2.4)
    seeds = [average, noisy("010+011", 2.3, 1), noisy("010+011", 2.9, 2)]
    scores = [*checkpoints, average, *seeds[1:]]
    choices = rank(checkpoints, METRIC, "holdout", 2), rank([*checkpoints[1:3], average], METRIC, "holdout", 1)
    last = rank(seeds, METRIC, "holdout", 1)
    table = tables.build_rows(scores, *choices, last)
    assert [(r["model"], r["seed"], r["chosen"], r["tied"]) for r in table] == [
        ("epoch_009", 0, "", ""),
        ("epoch_010", 0, "top 2", ""),
        ("epoch_011", 0, "top 2", "model"),
        ("epoch_012", 0, "", "top 2"),
        ("010+011", 0, "model", "seed"),
        ("010+011", 1, "seed", ""),
        ("010+011", 2, "", ""),
    ]
    assert table[0][f"holdout_{METRIC}_se"] == 0.2
    assert f"test_{METRIC}_se" not in table[0]
    text = tables.to_markdown(table, METRIC, "holdout")
    assert "| checkpoint | epoch_012 | 0 | 3.100 ± 0.2 |" in text
    assert "_se" not in text
    assert "Tied: not chosen" in text
    assert wording.checkpoints_text(choices[0]).endswith(
        "A tie: epoch 12 differs from the last of these by less than the standard error of the difference."
    )
    assert wording.seed_text(last).endswith(
        "A tie: seed 0 differs from it by less than the standard error of the difference."
    )
    far = rank(checkpoints[:3], METRIC, "holdout", 1)
    assert wording.checkpoints_text(far).endswith("All others are farther behind than the noise.")


def test_the_contest_score_is_measured_or_not() -> None:
    assert "Contest score (board A): not measured (no mask accuracy, no aesthetics, no FID)." in (
        tables.to_markdown(rows(), METRIC, "holdout")
    )
    measured = [{**row, "test_board_a": 0.5} for row in rows()]
    assert "not measured" not in tables.to_markdown(measured, METRIC, "holdout")


def test_titles_of_metrics() -> None:
    assert wording.metric_title("fid") == "FID"
    assert wording.metric_title("swd") == "Laplacian SWD (weight-free proxy, not FID)"
    for name, metric in METRICS.items():
        assert name in wording.NAMES
        free = not (metric.needs_weights or metric.needs_segmenter or metric.features in ("efficientnet", "lpips"))
        assert not (free and re.search("FID|KID", re.sub("not (FID|KID)", "", wording.metric_title(name))))
        assert free == ("weight-free" in metric.description)


def test_numbers_of_a_column_line_up() -> None:
    assert wording.column([31.2, 9.87654, None]) == ["31.20", "9.88", "not measured"]
    assert wording.column([0.01234, 0.002]) == ["0.01234", "0.00200"]
    assert wording.column([12345.6]) == ["12346"]
    assert wording.column([0.0]) == ["0"]


def test_sentences_say_what_was_gained() -> None:
    checkpoints, model, seed = rankings()
    assert wording.checkpoints_text(checkpoints) == (
        "Of 3 scored checkpoints, the 2 checkpoints with the lowest DCT-Fréchet on the held-out label maps "
        "are epoch 11 (2.500) and epoch 10 (3.000)."
    )
    assert "the average of 10 + 11 (2.000), 20.0 % better than the best single checkpoint, epoch 11" in (
        wording.model_text(model)
    )
    assert "seed 1 gave the lowest value, 1.900" in wording.seed_text(seed)
    assert "expect the mean" in wording.seed_text(seed)


def rings(axes: Any) -> int:
    return sum(len(c.get_offsets()) for c in axes.collections if len(c.get_facecolor()) == 0)


def test_curve_shows_both_sets_and_rings_the_chosen() -> None:
    figure = curves.score_curve(rows(), METRIC, "holdout")
    main_axes, averages, seeds = figure.axes
    assert main_axes.get_ylabel() == "DCT-Fréchet (weight-free proxy, not FID)"
    assert [list(line.get_ydata()) for line in main_axes.lines[:2]] == [[4.0, 3.0, 2.5], [4.5, 3.5, 3.0]]
    assert [rings(axes) for axes in (main_axes, averages, seeds)] == [2, 1, 1]
    assert [label.get_text() for label in averages.get_xticklabels()] == ["10\n11"]
    assert len(seeds.collections[0].get_offsets()) == 3


def test_curve_of_one_checkpoint_only() -> None:
    only = [score("epoch_005", 1.0)]
    choice = rank(only, METRIC, "holdout", 1)
    figure = curves.score_curve(tables.build_rows(only, choice, choice, choice), METRIC, "holdout")
    assert len(figure.axes) == 1


def test_svg_follows_the_page_and_is_the_same_every_time() -> None:
    first = plotting.to_svg(curves.score_curve(rows(), METRIC, "holdout"))
    assert first == plotting.to_svg(curves.score_curve(rows(), METRIC, "holdout"))
    assert first.startswith("<svg")
    assert "currentColor" in first
    assert plotting.INK not in first
    assert not re.search(r"<svg[^>]* width=", first)
    assert "viewBox" in first


def test_stage(tmp_path: Path) -> None:
    files = []
    for found in [*CHECKPOINTS, AVERAGE, *SEEDS[1:]]:
        files.append(tmp_path / found.source)
        files[-1].write_text(json.dumps(_raw(found)))
    for name, ranking in zip(("checkpoints", "model", "seed"), rankings(), strict=True):
        (tmp_path / f"{name}.json").write_text(json.dumps(ranking))
    (tmp_path / "settings.json").write_text(json.dumps({"rank_by": METRIC, "on": "holdout"}))
    names = {"checkpoints": "json", "model": "json", "seed": "json", "settings": "json"}
    arguments = [part for name in names for part in (f"--{name}", str(tmp_path / f"{name}.json"))]
    outputs = {"csv": tmp_path / "t.csv", "md": tmp_path / "t.md", "curve": tmp_path / "c.png"}
    arguments += [part for name, path in outputs.items() for part in (f"--{name}", str(path))]
    command = [
        "table",
        *arguments,
        "--scores",
        *map(str, files),
        str(files[0]),
    ]  # a file given twice counts once
    assert main(command) == 0
    again = tables.read_rows(read_csv(outputs["csv"]))
    assert again == tables.build_rows([*CHECKPOINTS, AVERAGE, *SEEDS[1:]], *rankings())
    first = outputs["curve"].read_bytes()
    assert first.startswith(b"\x89PNG")
    assert main(command) == 0
    assert outputs["curve"].read_bytes() == first
