"""A short slice of `make fuzz`: random inputs end with a right result or a sentence, and stay as they were."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz.cases import Case
from fuzz.running import CHANGED, DONE, KINDS, LEFT, REFUSED, TRACEBACK, WRONG, Figures, judge, run_case

from shanshui.errors import ShanshuiError

SLICE = {"picture": 40, "validate": 12, "configuration": 30, "weights": 30, "import": 3, "score": 6}


@pytest.mark.parametrize("kind", KINDS)
def test_random_inputs_end_well(kind: str) -> None:
    figures = Figures()
    for seed in range(SLICE[kind]):
        run_case(kind, seed, figures)
    assert figures.bad == []
    assert sum(figures.counts.values()) == SLICE[kind]


def test_how_a_case_ends_is_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()

    def ends(check: object, *arguments: str) -> str:
        return judge(Case(list(arguments), check), tmp_path, apart=False)[0]  # type: ignore[arg-type]

    def refuse() -> str:
        raise ShanshuiError("no")

    assert ends(lambda: "") == DONE
    assert ends(lambda: "other numbers") == WRONG
    assert ends(lambda: str(1 / 0)) == TRACEBACK
    assert ends(refuse) == REFUSED
    assert ends(lambda: "", "score", "nowhere", "nothing") == REFUSED
    assert ends(lambda: "", "score", "--no-such-option") == REFUSED
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".half.json").touch()
    assert ends(lambda: "", "score", "nowhere", "nothing") == LEFT
    assert ends(lambda: str((tmp_path / "in" / "x").touch() or "")) == CHANGED
