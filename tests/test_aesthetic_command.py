"""Aesthetic scores by a program of the user's: what it may print, and what is refused."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from shanshui.errors import ShanshuiError
from shanshui.evaluation.aesthetic_command import mean_score, measure

PICTURES = [Path("set/a.jpg"), Path("set/b.c.jpg"), Path("set/d.jpg")]
GOOD = "name,score\na.jpg,4.5\nb.c,5.0\n\nd, 5.5\n"


def program(folder: Path, text: str) -> str:
    """A command line whose program does what `text` says; its folder has a space in its name."""
    file = folder / "my scorer.py"
    file.write_text("import sys, pathlib\n" + text)
    return f"{shlex.quote(sys.executable)} {shlex.quote(str(file))}"


def test_mean_and_error_of_names_with_and_without_suffix() -> None:
    found = mean_score(GOOD, PICTURES, "x")
    assert found.value == 5
    assert found.standard_error == pytest.approx(0.5 / 3**0.5)
    assert mean_score("name,score\na,7\n", PICTURES[:1], "x") == (7, None, None)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "begins with nothing"),
        ("a.jpg,4.5\n", "begins with a.jpg,4.5"),
        ("name,score\na,4\n", "lacks 2 image"),
        (GOOD + "e,5\n", "has the line 'e,5'"),
        (GOOD + "a,5\n", "scores a twice"),
        (GOOD.replace("4.5", "45"), "gives a.jpg the score '45'"),
        (GOOD.replace("4.5", "nan"), "gives a.jpg the score 'nan'"),
        (GOOD.replace("4.5", "good"), "gives a.jpg the score 'good'"),
        (GOOD.replace("4.5", "4.5,1"), "has the line"),
    ],
)
def test_anything_else_is_refused(text: str, word: str) -> None:
    with pytest.raises(ShanshuiError, match=word):
        mean_score(text, PICTURES, "x")


def test_the_program_gets_the_folder_and_no_shell(tmp_path: Path) -> None:
    folder = tmp_path / "$(echo no) 山水"
    folder.mkdir()
    command = program(
        tmp_path, "print('name,score')\nfor f in pathlib.Path(sys.argv[1]).iterdir(): print(f.name, 6, sep=',')"
    )
    for path in PICTURES:
        (folder / path.name).touch()
    assert measure(command, folder, [folder / path.name for path in PICTURES]).value == 6


def test_a_program_that_fails_or_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ShanshuiError, match="exit code 3"):
        measure(program(tmp_path, "print('name,score')\nsys.exit(3)"), tmp_path, PICTURES)
    with pytest.raises(ShanshuiError, match="does not run"):
        measure(str(tmp_path / "none"), tmp_path, PICTURES)
    with pytest.raises(ShanshuiError, match="does not run"):
        measure("python 'open", tmp_path, PICTURES)
