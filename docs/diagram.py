"""Diagrams of `a --> b --> c` lines as SVG: what GitHub draws by Mermaid, drawn here when the site is built."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT, GAP_X, GAP_Y = 132, 30, 14, 34  # of a box, and between boxes


def edges_of(lines: Sequence[str]) -> list[tuple[str, str]]:
    """Return the arrows of a diagram, each once, in order."""
    chains = [re.split(r"\s*-->\s*", line.strip()) for line in lines if "-->" in line]
    return list(dict.fromkeys(pair for chain in chains for pair in itertools.pairwise(chain)))


def rows_of(edges: Sequence[tuple[str, str]]) -> tuple[list[list[str]], list[list[str]]]:
    """Place every box one row below the lowest of those before it, and near them within its row.

    Returns:
        The rows, in which a name with a space stands for an arrow that passes; and each arrow as its places, from the
        first box to the last.
    """
    names = list(dict.fromkeys(name for edge in edges for name in edge))
    depth = dict.fromkeys(names, 0)
    for _ in names:
        for before, after in edges:
            depth[after] = max(depth[after], depth[before] + 1)
    paths = []
    for before, after in edges:
        passing = {f"{before} {after} {row}": row for row in range(depth[before] + 1, depth[after])}
        depth |= passing
        paths.append([before, *passing, after])
    rows: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for name, row in depth.items():
        rows[row].append(name)
    hops = [hop for path in paths for hop in itertools.pairwise(path)]
    place: dict[str, float] = {}
    for names in rows:
        above = {name: [place[before] for before, after in hops if after == name] for name in names}
        names.sort(key=lambda name: sum(above[name]) / len(above[name]) if above[name] else 0)
        place |= {name: (index + 0.5) / len(names) for index, name in enumerate(names)}
    return rows, paths


def svg(lines: Sequence[str]) -> str:
    """Draw a diagram in the colour of the text around it."""
    rows, paths = rows_of(edges_of(lines))
    width = max(len(row) for row in rows) * (WIDTH + GAP_X)
    height = len(rows) * (HEIGHT + GAP_Y) - GAP_Y + 4
    at = {
        name: (width * (index + 0.5) / len(row), 2 + number * (HEIGHT + GAP_Y))
        for number, row in enumerate(rows)
        for index, name in enumerate(row)
    }
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" style="max-width:{width}px" '
        'role="img" fill="none" stroke="currentColor" font-size="13">',
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="currentColor" stroke="none"/></marker></defs>',
    ]
    for path in paths:
        drawn = f"M{at[path[0]][0]:.0f} {at[path[0]][1] + HEIGHT}"
        for before, after in itertools.pairwise(path):
            (x0, y0), (x1, y1) = at[before], at[after]
            start, end = y0 + HEIGHT, y1
            middle = (start + end) / 2
            drawn += f"C{x0:.0f} {middle:.0f} {x1:.0f} {middle:.0f} {x1:.0f} {end}"
            drawn += f"V{end + HEIGHT}" if after != path[-1] else ""
        parts.append(f'<path d="{drawn}" opacity=".6" marker-end="url(#head)"/>')
    for name, (x, y) in at.items():
        if " " in name:
            continue
        parts.append(
            f'<rect x="{x - WIDTH / 2:.0f}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="5" '
            'fill="var(--color-background-primary, white)"/>'
            f'<text x="{x:.0f}" y="{y + 20}" text-anchor="middle" fill="currentColor" stroke="none">'
            f"{escape(name)}</text>"
        )
    return "\n".join([*parts, "</svg>"])
