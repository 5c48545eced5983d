"""A set that has no value of a metric does not stop what does not need it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shanshui.__main__ import main
from shanshui.errors import ShanshuiError
from shanshui.evaluation import selection
from shanshui.metrics.registry import METRICS
from shanshui.report import tables
from shanshui.storage.files import read_json, write_json

SIZE = (48, 32)
CHOSEN = ["dct_frechet", "dct_kid", "dct_precision", "dct_recall", "swd", "colour", "sharpness"]


@pytest.fixture
def sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photographs, six pictures of the hold-out and one of testing; settings as the pipeline writes them."""
    monkeypatch.chdir(tmp_path)
    for name, count in (("photographs", 8), ("holdout", 6), ("test", 1)):
        (tmp_path / name).mkdir()
        for i in range(count):
            pixels = np.random.default_rng([count, i]).integers(0, 256, (*SIZE[::-1], 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    write_json(tmp_path / "settings.json", {"metrics": CHOSEN, "size": SIZE, "seed": 1})
    return tmp_path


def score(*more: str) -> int:
    return main(["score", "photographs", "holdout=holdout", "test=test", *more])


def scored(model: str) -> dict[str, Any]:
    out = f"{model}.json"
    assert score("--settings", "settings.json", "--model", model, "--seed", "0", "--out", out) == 0
    return dict(read_json(out))


@pytest.mark.usefixtures("sets")
def test_one_test_map_is_scored_where_it_can_be(capsys: pytest.CaptureFixture[str]) -> None:
    found = scored("epoch_003")["sets"]
    assert all(found["holdout"]["metrics"][name] is not None for name in CHOSEN)
    test = found["test"]
    assert {name for name in CHOSEN if test["metrics"][name] is None} == {
        "dct_frechet", "dct_kid", "dct_precision", "dct_recall",
    }  # fmt: skip
    assert test["not_measured"]["dct_frechet"] == "the images: 1 image(s)"
    assert "dct_frechet of test is not measured: the images: 1 image(s)" in capsys.readouterr().err


@pytest.mark.usefixtures("sets")
def test_it_is_ranked_by_the_other_set_and_tables_say_so() -> None:
    scores = [selection.parse_score(scored(name), name) for name in ("epoch_003", "epoch_004")]
    ranking = selection.rank(scores, "dct_frechet", "holdout", 1)
    assert len(ranking["chosen"]) == 1
    with pytest.raises(ShanshuiError, match="no number for dct_frechet on the test"):
        selection.rank(scores, "dct_frechet", "test", 1)
    rows = tables.build_rows(scores, ranking, ranking, ranking)
    text = tables.to_markdown(rows, "dct_frechet", "holdout")
    assert "not measured" in text.split("\n- ")[0]
    assert "Not measured, of too few images or images all alike:" in text
    from shanshui.report import curves

    curves.score_curve(rows, "dct_frechet", "holdout")


@pytest.mark.usefixtures("sets")
def test_asked_for_by_hand_it_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert score("--metrics", "dct_frechet", "--out", "x.json") == 1
    assert "at least 2" in capsys.readouterr().err
    assert not Path("x.json").exists()


def test_pictures_all_alike_have_no_distance(sets: Path) -> None:
    """Two test label maps that are the same."""
    shutil.copy(sets / "test" / "0.png", sets / "test" / "1.png")
    test = scored("epoch_003")["sets"]["test"]
    assert test["metrics"]["dct_frechet"] is None
    assert "same features" in test["not_measured"]["dct_frechet"]


def test_what_is_not_finite_stops_still(sets: Path) -> None:
    features = np.full((5, 4), np.nan)
    with pytest.raises(ShanshuiError, match="not finite"):
        METRICS["fid"].reference(features, 0)  # type: ignore[misc]


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_needs_as_many_as_it_says(name: str) -> None:
    from shanshui.metrics.estimate import NotMeasured

    metric, rng = METRICS[name], np.random.default_rng(0)
    shapes = {"patches": (1, 32, 147), "laplacian": (1,), "colour": (6,), "lpips": (1,)}

    def make(count: int) -> np.ndarray:
        if metric.features == "classes":
            return np.ones((count, 3, 3), np.int64)
        return rng.random((count, *shapes.get(metric.features, (4,)))).astype(np.float32)

    reference = metric.reference(make(9), 0) if metric.reference else {}
    metric.score(make(metric.fewest), reference, 0)
    if metric.fewest > 1:
        with pytest.raises(NotMeasured):
            metric.score(make(metric.fewest - 1), reference, 0)
