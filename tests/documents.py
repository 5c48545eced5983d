"""The project's documents: their links, headings and code blocks."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted(
    file
    for pattern in ("*.md", "docs/*.md", "docs/zh/*.md", "*/README.md", "benchmarks/gpu/*.md", "resources/*/*.md")
    for file in ROOT.glob(pattern)
    if not file.relative_to(ROOT).parts[0].startswith((".", "build", "src", "tests"))
)
FENCED = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.M | re.S)
MARK = re.compile(r"<!-- (?P<mark>run|not run: (?P<why>[^>]+)) -->\n\Z")


def name_of(file: Path) -> str:
    """Its path within the repository."""
    return str(file.relative_to(ROOT))


@dataclass(frozen=True)
class Block:
    """A fenced code block; `mark` is `run`, `not run: why`, or empty."""

    file: Path
    line: int
    language: str
    text: str
    mark: str

    def __str__(self) -> str:
        return f"{name_of(self.file)}:{self.line}"


def blocks(file: Path) -> Iterator[Block]:
    """Every fenced code block of a document, with the comment directly above it."""
    text = file.read_text(encoding="utf-8")
    for found in FENCED.finditer(text):
        before = text[: found.start()]
        mark = MARK.search(before)
        indent = len(found["indent"])
        body = "".join(line[indent:] if line.strip() else line for line in found["text"].splitlines(keepends=True))
        yield Block(file, before.count("\n") + 1, found["language"], body, mark["mark"] if mark else "")


def all_blocks(*languages: str) -> list[Block]:
    """The blocks in these languages of all documents."""
    return [block for file in DOCUMENTS for block in blocks(file) if block.language in languages]


def prose(file: Path) -> str:
    """A document without its code blocks."""
    return FENCED.sub("", file.read_text(encoding="utf-8"))


def links(file: Path) -> list[str]:
    """Targets of its links and images that are no addresses on the web."""
    text = re.sub(r"`[^`\n]*`", "", prose(file))
    found = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'<img[^>]* src="([^"]+)"', text)
    return [target for target in found if "://" not in target]


def anchor(heading: str) -> str:
    """The anchor that GitHub gives to a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    kept = (char for char in text if char in " -_" or unicodedata.category(char)[0] in "LN")
    return "".join(kept).replace(" ", "-")


def anchors(file: Path) -> set[str]:
    """Anchors of a document's headings."""
    found: list[str] = []
    for heading in re.findall(r"^#+ (.+)$", prose(file), re.M):
        name = anchor(heading)
        found.append(f"{name}-{found.count(name)}" if name in found else name)
    return set(found)
