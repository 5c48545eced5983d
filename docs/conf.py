"""The documents as a site (`make docs`); neither to build nor to read it a network is needed.

The pages are plain Markdown, as GitHub shows it. Their order is that of the lists in index.md.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))
from diagram import svg

project = "shanshui"
html_title = "shanshui 山水"
language = "en"

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "index"
nitpicky = True

myst_heading_anchors = 4  # the anchors that GitHub makes
myst_enable_extensions = ["html_image"]  # <img width=...>
myst_fence_as_directive = ["mermaid"]

html_theme = "furo"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_static_path: list[str] = []


class Mermaid(Directive):
    """Draw a diagram without Mermaid, which would come from the network."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the diagram as SVG."""
        return [nodes.raw("", svg(list(self.content)), format="html")]


def files_elsewhere(app: Sphinx, name: str, source: list[str]) -> None:
    """Let links to Markdown files outside of this folder open the files: they are no pages of the site."""

    def whole(found: re.Match[str]) -> str:
        target = Path(app.srcdir, name).parent / found[1]
        return found[0] if target.resolve().is_relative_to(app.srcdir) else f"](path:{found[1]})"

    source[0] = re.sub(r"\]\(((?:\.\./)+[\w./]+\.md)(?:#[^)]*)?\)", whole, source[0])


def pages_in_order(app: Sphinx, name: str, source: list[str]) -> None:
    """Append to index.md, for each of its headings, a hidden table of contents of the pages listed there."""
    if name != root_doc:
        return
    for section in re.split(r"(?m)^## ", source[0])[1:]:
        caption = section.splitlines()[0]
        pages = re.findall(r"\]\(((?:zh/)?\w+)\.md\)", section)
        toctree = "\n".join(["", "```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```", ""])
        source[0] += toctree


def setup(app: Sphinx) -> dict[str, bool]:
    """Register what this file adds to Sphinx."""
    app.add_directive("mermaid", Mermaid)
    app.connect("source-read", pages_in_order)
    app.connect("source-read", files_elsewhere)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
