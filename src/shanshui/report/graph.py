"""Drawing of the rule graph as SVG from Snakemake's dot or mermaid text, without Graphviz.

    snakemake --rulegraph | python -m shanshui.report.graph > rulegraph.svg

Layers by longest path, long edges routed through dummy nodes, order within layers by barycentres
(Sugiyama et al. 1981). Edges implied by longer paths are left out.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from html import escape
from itertools import combinations, pairwise

Edge = tuple[str, str]
Place = tuple[float, float, float]
STYLE = """
.graph path { fill: none; stroke: var(--faint, #8a857a); stroke-width: 1.3; opacity: .75; }
.graph rect { fill: var(--sheet, #fffdf8); stroke: var(--teal, #2f7d8c); stroke-width: 1.2; }
.graph text { fill: var(--ink, #2b2b28); font: 13.5px Arial, sans-serif; text-anchor: middle; }
"""
LAYER, GAP, BOX = 58, 26, 30


def parse_graph(text: str) -> tuple[dict[str, str], list[Edge]]:
    """Read labels by node id and edges (from, to) from dot or mermaid text; both empty for other text."""
    labels = dict(re.findall(r'^\s*"?(\w+)"?\s*\[\s*label\s*=\s*"([^"]*)"', text, re.MULTILINE))
    if not labels:
        labels = dict(re.findall(r'^\s*(\w+)\[\s*"?([^\]"]*)"?\s*\]', text, re.MULTILINE))
    edges = re.findall(r'^\s*"?(\w+)"?\s*-+>\s*"?(\w+)"?', text, re.MULTILINE)
    known = {(a, b) for a, b in edges if a in labels and b in labels and a != b}
    return {key: re.split(r"\\n|<br", label)[0] for key, label in labels.items()}, sorted(known)


def _reach(start: str, after: dict[str, set[str]], seen: set[str]) -> set[str]:
    """Add all nodes reachable from `start` to `seen`."""
    for node in after.get(start, ()):
        if node not in seen:
            seen.add(node)
            _reach(node, after, seen)
    return seen


def reduce_edges(edges: Iterable[Edge]) -> list[Edge]:
    """Compute the transitive reduction of an acyclic graph: drop edges whose ends a longer path joins."""
    edges = list(edges)
    after: dict[str, set[str]] = {}
    for a, b in edges:
        after.setdefault(a, set()).add(b)
    return [(a, b) for a, b in edges if not any(b in _reach(c, after, set()) for c in after[a] if c != b)]


def layers_of(nodes: Iterable[str], edges: Iterable[Edge]) -> dict[str, int]:
    """Assign every node the length of the longest path to it; sources are placed right above their first user."""
    edges = list(edges)
    layer = dict.fromkeys(nodes, 0)
    for _ in layer:
        moved = False
        for a, b in edges:
            if layer[b] <= layer[a]:
                layer[b], moved = layer[a] + 1, True
        if not moved:
            break
    for first in set(layer) - {b for _, b in edges}:
        layer[first] = min((layer[b] - 1 for a, b in edges if a == first), default=0)
    return layer


def _route(edges: Iterable[Edge], layer: dict[str, int]) -> list[list[str]]:
    """Turn every edge into a path through all layers; the dummy nodes are added to `layer`."""
    paths = []
    for a, b in edges:
        between = [f"{a}>{b}:{k}" for k in range(layer[a] + 1, layer[b])]
        layer |= {place: layer[a] + 1 + i for i, place in enumerate(between)}
        paths.append([a, *between, b])
    return paths


def _crossings(rows: list[list[str]], links: list[Edge], layer: dict[str, int]) -> int:
    """Count the crossings of links between neighbouring layers."""
    place = {node: index for row in rows for index, node in enumerate(row)}
    return sum(
        layer[a] == layer[c] and (place[a] - place[c]) * (place[b] - place[d]) < 0
        for (a, b), (c, d) in combinations(links, 2)
    )


def _sweep(rows: list[list[str]], near: dict[str, list[str]], layer: dict[str, int], step: int) -> None:
    """Sort every layer by the mean place of the neighbours in the layer above (`step` 1) or below (-1)."""
    for row in rows[::step]:
        depth = layer[row[0]]
        beside = rows[depth - step] if 0 <= depth - step < len(rows) else []
        place = {node: index for index, node in enumerate(beside)}
        own = {node: index for index, node in enumerate(row)}
        centre = {}
        for node in row:
            others = [place[other] for other in near[node] if other in place]
            centre[node] = sum(others) / len(others) if others else own[node]
        row.sort(key=centre.__getitem__)


def _order(layer: dict[str, int], paths: Iterable[list[str]]) -> list[list[str]]:
    """Order the nodes of every layer from left to right: of several orders, the one with the fewest crossings."""
    links = [link for path in paths for link in pairwise(path)]
    near: dict[str, list[str]] = {node: [] for node in layer}
    for a, b in links:
        near[a].append(b)
        near[b].append(a)
    tried = []
    for nodes in (list(layer), list(layer)[::-1]):
        rows: list[list[str]] = [[] for _ in range(max(layer.values()) + 1)]
        for node in nodes:
            rows[layer[node]].append(node)
        for sweep in range(8):
            _sweep(rows, near, layer, -1 if sweep % 2 else 1)
            tried.append([list(row) for row in rows])
    return min(tried, key=lambda rows: _crossings(rows, links, layer))


def _places(rows: list[list[str]], labels: dict[str, str]) -> tuple[dict[str, Place], float]:
    """Compute (centre x, centre y, width) of every node, layers centred, and the width of the whole, in pixels."""
    wide = {node: 7.3 * len(labels[node]) + 26 if node in labels else 12.0 for row in rows for node in row}
    spans = [sum(wide[node] + GAP for node in row) - GAP for row in rows]
    total = max(spans) + 4
    places = {}
    for depth, (row, span) in enumerate(zip(rows, spans, strict=True)):
        left = (total - span) / 2
        for node in row:
            places[node] = (left + wide[node] / 2, depth * LAYER + BOX / 2 + 2, wide[node])
            left += wide[node] + GAP
    return places, total


def _curve(path: list[str], places: dict[str, Place], labels: dict[str, str]) -> str:
    """Draw an edge as a smooth SVG path from box to box, through the dummy nodes."""
    parts: list[str] = []
    for a, b in pairwise(path):
        (ax, ay, _), (bx, by, _) = places[a], places[b]
        top, foot = ay + (BOX / 2 if a in labels else 0), by - (BOX / 2 if b in labels else 0)
        middle = (top + foot) / 2
        parts += [] if parts else [f"M{ax:.1f} {top:.1f}"]
        parts.append(f"C{ax:.1f} {middle:.1f} {bx:.1f} {middle:.1f} {bx:.1f} {foot:.1f}")
    return f'<path d="{"".join(parts)}"/>'


def draw_graph(text: str) -> str | None:
    """Draw a rule graph given as dot or mermaid text as inline SVG; None if it holds no node."""
    labels, edges = parse_graph(text)
    if not labels:
        return None
    edges = reduce_edges(edges)
    layer = layers_of(labels, edges)
    paths = _route(edges, layer)
    rows = _order(layer, paths)
    places, total = _places(rows, labels)
    height = (len(rows) - 1) * LAYER + BOX + 4
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="graph" viewBox="0 0 {total:.0f} {height}" '
        f'width="{total:.0f}" height="{height}" role="img" aria-label="rule graph"><style>{STYLE}</style>'
    ]
    parts += [_curve(path, places, labels) for path in paths]
    for node, label in labels.items():
        x, y, wide = places[node]
        parts.append(
            f'<rect x="{x - wide / 2:.1f}" y="{y - BOX / 2:.1f}" width="{wide:.1f}" height="{BOX}" rx="6"/>'
            f'<text x="{x:.1f}" y="{y + 4.5:.1f}">{escape(label)}</text>'
        )
    return "".join(parts) + "</svg>"


if __name__ == "__main__":
    print(draw_graph(sys.stdin.read()) or sys.exit("no rule graph on standard input"))
