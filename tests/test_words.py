"""Documents, configuration comments, docstrings and messages use the terms of the field, not a private vocabulary."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "shanshui"

INSTEAD = {  # what is not written: what to write instead
    r"pictures?": "image (photograph for training images)",
    r"paint(s|ed|ing|ers?)?": "generate, generator",
    r"(how|of) the house": "the code, the package",
    r"chances|dice": "random numbers, noise",
    r"rehears(e|es|al|als|ing)": "kernel precompilation",
    r"tilt\w*": "affine function of the position",
    r"wakes?": "adds",
    r"judg(e|es|ed|ing)": "score, discriminator loss",
    r"beside": "next to, in addition to, together with",
    r"leases?|leased": "GPU lock, locks",
    r"weights of others": "pretrained weights",
    r"millions? (of )?numbers": "parameters (M)",
    r"of (a )?processors?": "CPU time",
    r"by the clock(?! of)": "wall time",
    r"honest\w*": "what is measured or checked",
    r"nobody": "no one, none, not yet",
    r"aloud": "with a warning",
    r"anew": "again",
    r"a sentence|sentences": "message",
    r"stands? still|stood still": "hangs, makes no progress",
    r"takes? leave": "finalises, ends",
    r"laid over|lay over|lies? over": "overrides, is merged into",
    r"without a word": "silently",
    r"so many": "number of",
    r"goes on|go on|went on": "continues, resumes",
    r"how the files lie|files lie": "folder structure, layout",
    r"kin": "similar, related",
    r"in words": "as text",
    r"(its|the|whole|discriminators?|a|one) bank|bank of discriminators": "progressive discriminators",
    r"footprints?": "disk estimate",
    r"closures?": "code dependencies",
    r"watched": "with a watchdog",
    r"facts": "properties, checkpoint header",
    r"photos?(?![.:=])": "photograph",
    r"told": "distinguished, informed, warned",
    r"somebody|everybody|whoever": "another user, another process, all",
    r"goes with|go with": "belongs to, is compatible with, additional",
    r"shown? of|is shown": "receives, input",
    r"cup of tea|in kind": "a plain statement",
}
BANNED = {re.compile(rf"\b(?:{words})\b", re.IGNORECASE): instead for words, instead in INSTEAD.items()}
NO_PROSE = re.compile(
    r"`[^`]*`|shanshui[ .]paint\w*|paint\w*\.(?:md|png|json|zip)|\]\([^)]*\)|https?:\S+|--\w+|^ +\w+:"
    r"|^\.PHONY:.*|^[a-z-]+:"
)  # code, links, options, arguments

DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "data/README.md", "results/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "benchmarks").rglob("*.md")),
]
COMMENTED = [ROOT / "config.yaml", *sorted((ROOT / "config").rglob("*.yaml"))]
RULES = [ROOT / "Makefile", ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]

Line = tuple[int, str]


def lines_of(file: Path) -> list[Line]:
    return list(enumerate(file.read_text(encoding="utf-8").splitlines(), 1))


def prose_of_document(file: Path) -> Iterator[Line]:
    """Lines of a Markdown file; of its code blocks the comments."""
    fenced = False
    for number, line in lines_of(file):
        fenced ^= line.startswith("```")
        yield number, line.partition("#")[2] if fenced else line


def comments_of(file: Path) -> Iterator[Line]:
    for number, line in lines_of(file):
        yield number, line.partition("#")[2]


def unreleased(file: Path) -> Iterator[Line]:
    """Lines of the changelog's first section."""
    lines = lines_of(file)
    heads = [number for number, line in lines if line.startswith("## ")]
    yield from lines[heads[0] : heads[1] - 1]


def strings_of(file: Path) -> Iterator[Line]:
    """Lines of docstrings and of strings with a space, such as messages; kernels in C++ are left out."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            for offset, line in enumerate(node.value.split("\n")):
                if not line.rstrip().endswith((";", "{", "}")):
                    yield node.lineno + offset, line


def banned(lines: Iterable[Line], file: Path) -> str:
    """Lines `file:line: word: write ...` for every word that is not used here."""
    return "\n".join(
        f"{file.relative_to(ROOT)}:{number}: {found[0]!r}: write {instead}"
        for number, line in lines
        for pattern, instead in BANNED.items()
        for found in pattern.finditer(NO_PROSE.sub("", line))
    )


def ids(files: list[Path]) -> list[str]:
    return [str(file.relative_to(ROOT)) for file in files]


@pytest.mark.parametrize("file", DOCUMENTS, ids=ids(DOCUMENTS))
def test_documents(file: Path) -> None:
    assert banned(prose_of_document(file), file) == ""


@pytest.mark.parametrize("file", COMMENTED, ids=ids(COMMENTED))
def test_comments_of_configurations(file: Path) -> None:
    assert banned(comments_of(file), file) == ""


@pytest.mark.parametrize("file", RULES, ids=ids(RULES))
def test_rules_and_makefile(file: Path) -> None:
    assert banned(lines_of(file), file) == ""


def test_changelog() -> None:
    file = ROOT / "CHANGELOG.md"
    assert banned(unreleased(file), file) == ""


def test_docstrings_and_messages() -> None:
    files = sorted(SOURCE.rglob("*.py"))
    assert [text for file in files if (text := banned(strings_of(file), file))] == []
