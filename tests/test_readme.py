"""Documents in two languages are in step: the same sections, commands, names and links in English and in Chinese."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from documents import FENCED, ROOT, blocks, links, name_of, prose

CHINESE = {
    ROOT / "README.md": ROOT / "README.zh.md",
    **{ROOT / "docs" / file.name: file for file in sorted((ROOT / "docs" / "zh").glob("*.md"))},
}
PAIRS = [pytest.param(english, chinese, id=name_of(english)) for english, chinese in CHINESE.items()]


def headings(file: Path) -> list[str]:
    """Level of every heading, in order."""
    return re.findall(r"^(#+) ", prose(file), re.M)


def code_spans(file: Path) -> set[str]:
    """Names in backticks outside the blocks: commands, options, files."""
    return set(re.findall(r"`([^`\n]+)`", prose(file)))


def link_targets(file: Path) -> set[str]:
    """Files that it links, in English where there is a translation; without anchors, which are translated."""
    translated = {chinese: english for english, chinese in CHINESE.items()}
    targets = {target.partition("#")[0] for target in links(file)} - {""}
    files = {Path(os.path.normpath(file.parent / target)) for target in targets}
    return {name_of(translated.get(target, target)) for target in files}


def table_rows(file: Path) -> list[int]:
    """Number of lines of every table, in order."""
    text = FENCED.sub("", file.read_text(encoding="utf-8"))
    return [block.count("\n") for block in re.findall(r"(?:^\|.*\n)+", text, re.M)]


def code(file: Path, *languages: str) -> list[str]:
    """Blocks in these languages without the comments, which are translated in YAML."""
    found = [block for block in blocks(file) if block.language in languages]
    return [re.sub(r" +#.*", "", block.text) if block.language == "yaml" else block.text for block in found]


@pytest.mark.parametrize(("english", "chinese"), PAIRS)
def test_sections_and_tables_are_the_same(english: Path, chinese: Path) -> None:
    assert headings(chinese) == headings(english)
    assert table_rows(chinese) == table_rows(english)


@pytest.mark.parametrize(("english", "chinese"), PAIRS)
def test_every_command_stands_in_both(english: Path, chinese: Path) -> None:
    assert code(chinese, "sh", "bash", "python", "yaml") == code(english, "sh", "bash", "python", "yaml")


@pytest.mark.parametrize(("english", "chinese"), PAIRS)
def test_every_name_and_link_stands_in_both(english: Path, chinese: Path) -> None:
    assert code_spans(chinese) == code_spans(english)
    assert link_targets(chinese) == link_targets(english)


@pytest.mark.parametrize(("english", "chinese"), PAIRS)
def test_each_links_the_other_at_the_top(english: Path, chinese: Path) -> None:
    for one, other in ((english, chinese), (chinese, english)):
        top = one.read_text(encoding="utf-8").splitlines()[:4]
        assert f"({os.path.relpath(other, one.parent)})" in "".join(top)


def test_a_reader_of_the_first_page_sees_a_command() -> None:
    assert code(ROOT / "README.md", "sh")[0].startswith("make paint")
