"""Inputs of an exported generator, and what its layers derive from them at every size."""

from __future__ import annotations

import numpy as np

from shanshui.data.labels import NO_CLASS
from shanshui.export.graph import Dim, Graph, Name
from shanshui.export.layers import reduced
from shanshui.storage.size import Size


class Inputs:
    """Label maps as class ids, and the further inputs that a generator asks for; sizes are counted in halvings.

    Attributes:
        graph: under construction.
        size: of the label maps, or None where it is known at run time.
        noise_halvings: of each noise input in turn, the number of halvings of its size.
    """

    def __init__(
        self, graph: Graph, num_classes: int, *, unknown_class: bool = False, edges: bool = False,
        size: Size | None = None, noise: bool = True,
    ) -> None:  # fmt: skip
        """Declare the label maps.

        Args:
            graph: under construction.
            num_classes: channels of the one-hot label map, edges not counted.
            unknown_class: the last of them is that of pixels without a class.
            edges: edges are one channel more of `segmap`.
            size: of the label maps; None leaves it open.
            noise: random numbers are inputs; without, noise is left out and vectors are zero.
        """
        self.graph, self.size = graph, size
        self.noise_halvings: list[int] = []
        self._classes, self._unknown, self._edges, self._random = num_classes, unknown_class, edges, noise
        self._made: dict[tuple[str, int], Name] = {}
        self._labels = graph.input("labels", np.uint8, ("N", *self.sides(0)))

    def sides(self, halvings: int) -> tuple[Dim, Dim]:
        """Return height and width after `halvings`, as lengths or names."""
        step = 2**halvings
        if self.size:
            return self.size.height // step, self.size.width // step
        return ("H", "W") if step == 1 else (f"H/{step}", f"W/{step}")

    def ids(self, halvings: int) -> Name:
        """Return class ids int32 (N, h, w); 255 where there is no class."""
        return self._once("ids", halvings)

    def one_hot(self, halvings: int) -> Name:
        """Return label maps float32 (N, num_classes, h, w)."""
        return self._once("one_hot", halvings)

    def segmap(self, halvings: int) -> Name:
        """Return label maps with edges as the last channel, where the generator has them."""
        return self._once("segmap", halvings) if self._edges else self.one_hot(halvings)

    def index(self, halvings: int) -> Name:
        """Return class ids int32 (N, h, w) for tables by class; `num_classes` where there is no class."""
        return self._once("index", halvings)

    def edges(self, halvings: int) -> Name:
        """Return edges float32 (N, 1, h, w)."""
        return self._once("edges", halvings)

    def positions(self, halvings: int) -> Name:
        """Return offsets within regions, float32 (N, 2, h, w)."""
        return self._once("positions", halvings)

    def noise(self, halvings: int) -> Name | None:
        """Declare the noise (N, 1, h, w) of the next SPADE layer; None where noise is left out."""
        if not self._random:
            return None
        number = len(self.noise_halvings)
        self.noise_halvings.append(halvings)
        return self.graph.input(f"noise_{number}", np.float32, ("N", 1, *self.sides(halvings)))

    def vector(self, length: int) -> Name:
        """Declare the vectors `z` (N, length); zeros where random numbers are left out."""
        if self._random:
            return self.graph.input("z", np.float32, ("N", length))
        shape = self.graph.node("Concat", self.graph.shape(self._labels, 0, 1), self.graph.numbers(length), axis=0)
        return self.graph.node("Expand", self.graph.constant(np.zeros((1, 1), np.float32)), shape)

    def _once(self, kind: str, halvings: int) -> Name:
        key = (kind, halvings)
        if key not in self._made:
            self._made[key] = getattr(self, f"_make_{kind}")(halvings)
        return self._made[key]

    def _make_ids(self, halvings: int) -> Name:
        graph = self.graph
        ids = graph.cast(reduced(graph, self._labels, halvings, first_axis=1), np.int32)
        if not self._unknown:
            return ids
        nothing = graph.node("Equal", ids, graph.constant(np.array(NO_CLASS, np.int32)))
        return graph.node("Where", nothing, graph.constant(np.array(self._classes - 1, np.int32)), ids)

    def _make_one_hot(self, halvings: int) -> Name:
        graph = self.graph
        ids = graph.node("Unsqueeze", self.ids(halvings), graph.numbers(1))
        classes = graph.constant(np.arange(self._classes, dtype=np.int32).reshape(1, -1, 1, 1))
        return graph.cast(graph.node("Equal", ids, classes), np.float32)

    def _make_segmap(self, halvings: int) -> Name:
        return self.graph.node("Concat", self.one_hot(halvings), self.edges(halvings), axis=1)

    def _make_index(self, halvings: int) -> Name:
        return self.graph.node("Min", self.ids(halvings), self.graph.constant(np.array(self._classes, np.int32)))

    def _make_edges(self, halvings: int) -> Name:
        whole = self.graph.input("edges", np.float32, ("N", 1, *self.sides(0)))
        return reduced(self.graph, whole, halvings)

    def _make_positions(self, halvings: int) -> Name:
        whole = self.graph.input("positions", np.float32, ("N", 2, *self.sides(0)))
        return reduced(self.graph, whole, halvings)
