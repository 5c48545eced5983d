"""Ranking: numbers as numbers, ties by name, and a file without its number stops the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shanshui.__main__ import main
from shanshui.errors import ShanshuiError
from shanshui.evaluation.selection import Score, check_comparable, parse_score, rank

# FID per epoch as published for APF-GAN's own run, and its best six.
PUBLISHED = """271,33.27; 272,29.78; 273,28.64; 274,30.84; 275,31.95; 276,30.48; 277,30.30; 278,32.19;
279,34.45; 280,34.58; 281,33.22; 282,31.22; 283,31.55; 284,31.59; 285,32.83; 286,31.05;
287,31.04; 288,29.79; 289,33.04; 290,30.70; 291,30.95; 292,28.93; 293,30.79; 294,32.00;
295,33.43; 296,30.13; 297,29.54; 298,28.59; 299,28.12; 300,31.99; 301,30.15; 302,29.98;
303,29.02; 304,31.24; 305,30.94; 306,31.76; 307,31.79; 308,31.29; 309,31.35"""


def raw_score(model: str, value: Any, seed: int = 0, test: Any = 50.0, **more: Any) -> dict[str, Any]:
    sets = {"holdout": {"n": 4, "metrics": {"fid": value}}, "test": {"n": 6, "metrics": {"fid": test}}}
    features, reference = {"fid": "Inception"}, {"fingerprint": "a"}
    return {
        "model": model, "seed": seed, "sets": sets, "features": features, "reference": reference, **more
    }  # fmt: skip


def score(model: str, value: Any, seed: int = 0, **more: Any) -> Score:
    return parse_score(raw_score(model, value, seed, **more), f"{model}.{seed}.json")


def published() -> list[Score]:
    pairs = [pair.split(",") for pair in PUBLISHED.split(";")]
    return [score(f"epoch_{int(epoch)}", float(fid)) for epoch, fid in pairs]


def test_published_table_gives_the_published_best_six() -> None:
    result = rank(published(), "fid", "holdout", 6)
    assert result["chosen"] == [f"epoch_{epoch}" for epoch in (299, 298, 273, 292, 303, 297)]
    assert result["mean"] == pytest.approx(31.14, abs=0.005)
    assert result["spread"] == pytest.approx(1.54, abs=0.005)


def test_numbers_are_not_compared_as_text() -> None:
    assert rank([score("epoch_001", 26.7), score("epoch_002", 9.9)], "fid", "holdout", 1)["chosen"] == ["epoch_002"]


def test_higher_can_be_better() -> None:
    scores = [score("epoch_001", 1.0), score("epoch_002", 2.0)]
    assert rank(scores, "fid", "holdout", 1, lower=False)["chosen"] == ["epoch_002"]


def test_ties_go_by_name_then_seed_whatever_the_order() -> None:
    scores = [score("epoch_009", 1.0), score("epoch_002", 1.0, seed=3), score("epoch_002", 1.0, seed=1)]
    for order in (scores, scores[::-1]):
        result = rank(order, "fid", "holdout", 2)
        assert list(zip(result["chosen"], result["chosen_seeds"], strict=True)) == [
            ("epoch_002", 1),
            ("epoch_002", 3),
        ]


def test_other_set_is_listed_but_does_not_decide() -> None:
    scores = [score("epoch_001", 1.0, test=9.0), score("epoch_002", 2.0, test=3.0)]
    result = rank(scores, "fid", "holdout", 1)
    assert result["chosen"] == ["epoch_001"]
    assert result["ranking"][0] == {
        "model": "epoch_001",
        "seed": 0,
        "value": 1.0,
        "holdout": 1.0,
        "test": 9.0,
    }
    assert "held-out" in result["note"]
    by_test = rank(scores, "fid", "test", 1)
    assert by_test["chosen"] == ["epoch_002"]
    assert "the 6 test label maps themselves" in by_test["note"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "12", True])
def test_value_that_is_no_number_names_the_file(value: Any) -> None:
    scores = [score("epoch_001", 1.0), score("epoch_002", value)]
    with pytest.raises(ShanshuiError, match=r"epoch_002\.0\.json has no number for fid on the holdout label maps"):
        rank(scores, "fid", "holdout", 1)


def test_missing_metric_and_missing_set_name_the_file() -> None:
    with pytest.raises(ShanshuiError, match=r"epoch_001\.0\.json has no number for kid"):
        rank([score("epoch_001", 1.0)], "kid", "holdout", 1)
    with pytest.raises(ShanshuiError, match=r"epoch_001\.0\.json has no number for fid on the other"):
        rank([score("epoch_001", 1.0)], "fid", "other", 1)


def test_missing_value_of_the_other_set_is_no_error() -> None:
    assert rank([score("epoch_001", 1.0, test=None)], "fid", "holdout", 1)["ranking"][0]["test"] is None


def noisy(model: str, value: float, error: float | None = 0.3, seed: int = 0) -> Score:
    raw = raw_score(model, value, seed)
    if error is not None:
        raw["sets"]["holdout"]["standard_errors"] = {"fid": error}
    return parse_score(raw, f"{model}.{seed}.json")


def test_what_is_nearer_than_the_noise_is_called_a_tie() -> None:
    values = [30.0, 28.0, 28.4, 29.0, 28.2]
    scores = [noisy(f"epoch_{i:03d}", value) for i, value in enumerate(values)]
    result = rank(scores, "fid", "holdout", 1)
    assert result["chosen"] == ["epoch_001"]
    assert (result["tied"], result["tied_seeds"]) == (["epoch_004", "epoch_002"], [0, 0])  # within 0.3 * sqrt(2)
    assert result["ranking"][0]["standard_error"] == 0.3
    top = rank(scores, "fid", "holdout", 3)
    assert top["chosen"] == ["epoch_001", "epoch_004", "epoch_002"]
    assert top["tied"] == []  # 29.0 is 0.6 behind the last one chosen
    assert rank(scores, "fid", "holdout", 5)["tied"] == []


def test_without_known_noise_nothing_is_called_a_tie() -> None:
    scores = [noisy("epoch_001", 1.0, None), noisy("epoch_002", 1.0, None), noisy("epoch_003", 1.0, float("nan"))]
    result = rank(scores, "fid", "holdout", 1)
    assert result["tied"] == []
    assert "standard_error" not in result["ranking"][0]


def test_scores_of_different_references_features_or_counts_are_not_compared() -> None:
    first = score("epoch_001", 1.0)
    other_reference = score("epoch_002", 1.0, reference={"fingerprint": "b"})
    with pytest.raises(ShanshuiError, match="different training photographs"):
        check_comparable([first, other_reference])
    with pytest.raises(ShanshuiError, match="different features"):
        check_comparable([first, score("epoch_002", 1.0, features={"fid": "random weights"})])
    fewer = {"holdout": {"n": 3, "metrics": {"fid": 1.0}}, "test": {"n": 6, "metrics": {"fid": 1.0}}}
    with pytest.raises(ShanshuiError, match="different numbers of images"):
        check_comparable([first, score("epoch_002", 1.0, sets=fewer)])


def test_no_scores_too_many_chosen_and_twins_are_refused() -> None:
    with pytest.raises(ShanshuiError, match="no score file given"):
        rank([], "fid", "holdout", 1)
    with pytest.raises(ShanshuiError, match="3 are to be chosen of 1"):
        rank([score("epoch_001", 1.0)], "fid", "holdout", 3)
    twins = [score("epoch_001", 1.0), parse_score(raw_score("epoch_001", 2.0), "copy.json")]
    with pytest.raises(ShanshuiError, match=r"copy\.json and epoch_001\.0\.json both score epoch_001 with seed 0"):
        rank(twins, "fid", "holdout", 1)


def test_other_files_are_named() -> None:
    with pytest.raises(ShanshuiError, match=r"settings\.json is not a score file"):
        parse_score({"rank_by": "fid"}, "settings.json")


def test_stage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = []
    for epoch, value in ((1, 30.0), (2, 9.5), (3, 10.5)):
        files.append(tmp_path / f"epoch_{epoch:03d}.json")
        files[-1].write_text(json.dumps(raw_score(f"epoch_{epoch:03d}", value)))
    settings = tmp_path / "settings.json"
    settings.write_text('{"rank_by": "fid", "on": "holdout"}')
    out = tmp_path / "select" / "checkpoints.json"
    arguments = ["select", "--settings", str(settings), "--top", "2", "--out", str(out), "--scores"]
    assert main([*arguments, *map(str, files)]) == 0
    assert json.loads(out.read_text())["chosen"] == ["epoch_002", "epoch_003"]
    first = out.read_bytes()
    assert main([*arguments, *map(str, files[::-1])]) == 0
    assert out.read_bytes() == first

    files[1].write_text(json.dumps(raw_score("epoch_002", float("nan"))))
    out.unlink()
    assert main([*arguments, *map(str, files)]) == 1
    assert f"{files[1]} has no number for fid" in capsys.readouterr().err
    assert not out.exists()


def test_an_average_that_gains_nothing_is_not_chosen() -> None:
    names = ["271+299", "271+273+299", "ema_299", "epoch_299"]
    ranking = rank([score(model, 1.0) for model in names], "fid", "holdout", 1)["ranking"]
    assert [entry["model"] for entry in ranking] == ["epoch_299", "ema_299", "271+299", "271+273+299"]
