"""The challenge's score: what was published comes out to four digits, what is missing is not made up."""

from __future__ import annotations

import pytest

from shanshui.errors import ShanshuiError
from shanshui.evaluation import contest

# mask accuracy, aesthetics, FID and score of board A, as five entries published them.
PUBLISHED = [
    (0.7847, 4.5244, 107.49, 0.1775),
    (0.8334, 5.0361, 37.9765, 0.4683),
    (0.8479, 5.0436, 43.8223, 0.4520),
    (0.9028, 4.9005, 44.6153, 0.4712),
    (0.9037, 4.9004, 42.7708, 0.4800),
]


def terms(mask: float | None, aesthetic: float | None, fid: float | None) -> dict[str, float | None]:
    return {"mask_accuracy": mask, "aesthetic": aesthetic, "fid": fid}


@pytest.mark.parametrize(("mask", "aesthetic", "fid", "score"), PUBLISHED)
def test_five_public_decompositions(mask: float, aesthetic: float, fid: float, score: float) -> None:
    found = contest.board_a(terms(mask, aesthetic, fid))
    assert str(found) == f"{score:.4f}"


@pytest.mark.parametrize("gone", contest.TERMS)
def test_a_missing_term_leaves_no_score(gone: str) -> None:
    found = contest.board_a({**terms(0.9, 5.0, 30.0), gone: None})
    assert found.value is None
    assert found.missing == (gone,)
    assert str(found) == f"not measured (no {contest.WORDS[gone]})"
    assert contest.board_a({}).missing == contest.TERMS


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (terms(83.3, 5.0, 30.0), "mask_accuracy is 83.3"),
        (terms(0.9, 11.0, 30.0), "aesthetic is 11"),
        (terms(0.9, 5.0, float("nan")), "fid is nan"),
    ],
)
def test_a_term_out_of_its_range_is_refused(wrong: dict[str, float | None], word: str) -> None:
    with pytest.raises(ShanshuiError, match=word):
        contest.board_a(wrong)
