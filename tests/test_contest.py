"""The challenge's scores: what was published comes out to four digits, what is missing is not made up."""

from __future__ import annotations

import numpy as np
import pytest
from drawn import picture

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


def terms(mask: float | None, aesthetic: float | None, fid: float | None, **more: float) -> dict[str, float | None]:
    return {"mask_accuracy": mask, "aesthetic": aesthetic, "fid": fid, **more}


@pytest.mark.parametrize(("mask", "aesthetic", "fid", "score"), PUBLISHED)
def test_five_public_decompositions(mask: float, aesthetic: float, fid: float, score: float) -> None:
    found = contest.board_a(terms(mask, aesthetic, fid))
    assert str(found) == f"{score:.4f}"
    half = contest.board_b_machine(terms(mask, aesthetic, fid)).value
    assert half == pytest.approx(score / 2, abs=5e-5)


def test_board_b_adds_what_people_say() -> None:
    machine = terms(0.9, 5.0, 30.0)
    whole = contest.board_b({**machine, "public": 0.5, "expert": 0.4, "defence": 1.0})
    assert whole.value == pytest.approx(0.54 / 2 + 0.075 + 0.06 + 0.2)
    assert contest.board_b(machine).missing == ("public", "expert", "defence")
    assert contest.board_b(terms(None, 5.0, 30.0, public=1)).missing == ("mask_accuracy", "expert", "defence")


def test_third_edition_weighs_style() -> None:
    best = contest.third_edition(terms(1.0, 10.0, 0.0, style=1.0))
    assert best.value == pytest.approx(1)
    unlike = contest.third_edition(terms(0.8, 5.0, 50.0, style=-0.2))
    assert unlike.value == pytest.approx(0.8 * (0.1 + 0.12 + 0.25))
    assert contest.third_edition(terms(0.8, 5.0, 50.0)).missing == ("style",)


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


def test_style_is_the_correlation_of_colours() -> None:
    photo = picture(0)
    assert contest.style_similarity(photo, photo) == pytest.approx(1)
    mirrored = photo[:, ::-1]
    assert contest.style_similarity(photo, mirrored) == pytest.approx(1)
    assert contest.style_similarity(photo, np.repeat(photo, 2, axis=0)) == pytest.approx(1)
    assert contest.style_similarity(photo, picture(1)) > 0.3 > contest.style_similarity(photo, 255 - photo)
    red, blue = (np.full((2, 2, 3), colour, np.uint8) for colour in ((255, 0, 0), (0, 0, 255)))
    assert contest.style_similarity(red, blue) == pytest.approx(-1 / 511)
    levels = np.arange(8, dtype=np.uint8) * 32
    flat = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(8, 64, 3)
    assert contest.style_similarity(flat, photo) == 0
