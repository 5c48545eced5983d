"""The two READMEs are in step: the same sections, commands, names and links in English and in Chinese."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shanshui.config.options import BEGIN, END


@pytest.fixture(scope="module")
def english(root: Path) -> str:
    """README.md without the generated table of options, to which README.zh.md links."""
    text = (root / "README.md").read_text(encoding="utf-8")
    return text.partition(BEGIN)[0] + text.partition(END)[2]


@pytest.fixture(scope="module")
def chinese(root: Path) -> str:
    return (root / "README.zh.md").read_text(encoding="utf-8")


def headings(text: str) -> list[str]:
    """Level of every heading, in order."""
    return re.findall(r"^(#+) ", re.sub(r"```.*?```", "", text, flags=re.S), re.M)


def shell_blocks(text: str) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)


def code_spans(text: str) -> set[str]:
    """Names in backticks outside the blocks: commands, options, files."""
    return set(re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.S)))


def link_targets(text: str) -> list[str]:
    return sorted(set(re.findall(r"\]\(([^)]+)\)", text)) - {"README.md", "README.zh.md", "README.md#options"})


def table_rows(text: str) -> list[int]:
    """Number of lines of every table, in order."""
    return [block.count("\n") for block in re.findall(r"(?:^\|.*\n)+", text, re.M)]


def test_sections_and_tables_are_the_same(english: str, chinese: str) -> None:
    assert headings(chinese) == headings(english)
    assert table_rows(chinese) == table_rows(english)


def test_every_command_stands_in_both(english: str, chinese: str) -> None:
    assert shell_blocks(english), "README.md shows no command"
    assert shell_blocks(chinese) == shell_blocks(english)


def test_every_name_and_link_stands_in_both(english: str, chinese: str) -> None:
    assert code_spans(chinese) == code_spans(english)
    assert link_targets(chinese) == link_targets(english)


def test_each_links_the_other_at_the_top(english: str, chinese: str) -> None:
    assert "(README.zh.md)" in "".join(english.splitlines(keepends=True)[:4])
    assert "(README.md)" in "".join(chinese.splitlines(keepends=True)[:4])
    assert "(README.md#options)" in chinese


@pytest.mark.parametrize("name", ["README.md", "README.zh.md", "data/README.md", "results/README.md", *[
    f"docs/{path.name}" for path in sorted((Path(__file__).resolve().parent.parent / "docs").glob("*.md"))
]])  # fmt: skip
def test_links_lead_to_files(root: Path, name: str) -> None:
    text = (root / name).read_text(encoding="utf-8")
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    missing = [target for target in targets if target and not ((root / name).parent / target).exists()]
    assert missing == []
