"""Conversion of the Markdown written by the stages to HTML: headings, paragraphs, lists, tables, code, bold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape


def _inline(text: str) -> str:
    text = escape(text, quote=False)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    return re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _table(lines: Sequence[str]) -> str:
    marks = _cells(lines[1])
    right = [mark.endswith(":") and not mark.startswith(":") for mark in marks]

    def row(line: str, tag: str) -> str:
        cells = [
            f'<{tag} class="number">{_inline(cell)}</{tag}>' if number else f"<{tag}>{_inline(cell)}</{tag}>"
            for cell, number in zip(_cells(line), right, strict=False)
        ]
        return "<tr>" + "".join(cells) + "</tr>"

    body = "".join(row(line, "td") for line in lines[2:])
    head = row(lines[0], "th")
    return f'<div class="scroll"><table><thead>{head}</thead><tbody>{body}</tbody></table></div>'


def _list(lines: Sequence[str]) -> str:
    """Convert lines that start with `- `, indented or not; there are two levels, deeper ones join the second."""
    html, nested = "", False
    for line in lines:
        deep = line.startswith(" ")
        if deep != nested:
            html = html.removesuffix("</li>") + "<ul>" if deep else html + "</ul></li>"
            nested = deep
        html += f"<li>{_inline(line.strip()[2:])}</li>"
    return f"<ul>{html}{'</ul></li>' if nested else ''}</ul>"


def _block(lines: Sequence[str], level: int) -> str:
    first = lines[0]
    if heading := re.match(r"(#+) (.*)", first):
        size = min(6, len(heading[1]) + level)
        rest = _block(lines[1:], level) if lines[1:] else ""
        return f"<h{size}>{_inline(heading[2])}</h{size}>" + rest
    if first.lstrip().startswith("- "):
        return _list([line for line in lines if line.lstrip().startswith("- ")])
    if first.startswith("|") and len(lines) > 1:
        return _table(lines)
    text = " ".join(line for line in lines if not line.startswith("!["))
    return f"<p>{_inline(text)}</p>" if text else ""


def to_html(text: str, level: int = 2) -> str:
    """Convert Markdown to HTML; headings are lowered by `level`, images are left out."""
    blocks = re.split(r"\n\s*\n", text.strip("\n"))
    return "\n".join(_block(block.splitlines(), level) for block in blocks if block.strip())
