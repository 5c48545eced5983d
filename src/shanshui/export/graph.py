"""ONNX graphs under construction: nodes, constants and inputs.

Operators are those of the default domain at opset 17, which phones, browsers and other runtimes know. Equal calls give
equal bytes.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from shanshui.errors import ShanshuiError
from shanshui.storage.checkpoint import Arrays

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto, ValueInfoProto

OPSET, IR_VERSION = 17, 8
PRODUCER = "shanshui"
LARGEST = 2**31 - 1  # bytes of a file without external data
END = np.iinfo(np.int64).max  # of a slice up to the end
Name = str  # of a value: a node's output, a constant or an input
Dim = str | int  # of an input's shape: a length, or the name of one that is known at run time
Attribute = int | float | str | Sequence[int]


def optional(name: str) -> ModuleType:
    """Import a package of the extra `export`.

    Raises:
        ShanshuiError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ShanshuiError(
            f"the package {name} is not installed", "the extra `export` of this package",
            "python -m pip install 'shanshui[export]', or `make setup` in a clone",
        ) from None  # fmt: skip


class Graph:
    """Nodes of an ONNX graph, added one after another.

    Attributes:
        arrays: trained values by name (`G.head_0.conv_0.weight`, `E.layer1.weight`).
        half: store weights as float16, and compute with them as float32.
        inputs: name -> lengths or names of the axes, in the order of their declaration.
    """

    def __init__(self, arrays: Arrays, half: bool = False) -> None:
        self._onnx, self._helper = optional("onnx"), optional("onnx.helper")
        self.arrays, self.half = arrays, half
        self.inputs: dict[Name, tuple[Dim, ...]] = {}
        self._declared: list[ValueInfoProto] = []
        self._nodes: list[NodeProto] = []
        self._stored: dict[tuple[str, tuple[int, ...], bytes], Name] = {}
        self._initialisers: list[TensorProto] = []

    def input(self, name: Name, dtype: type, shape: Sequence[Dim]) -> Name:
        """Declare an input, once."""
        if name not in self.inputs:
            self.inputs[name] = tuple(shape)
            self._declared.append(self._value(name, dtype, shape))
        return name

    def constant(self, array: np.ndarray) -> Name:
        """Store an array as it is; equal ones are stored once."""
        array = np.ascontiguousarray(array)
        key = (array.dtype.str, array.shape, hashlib.sha256(array.data).digest())
        if key not in self._stored:
            self._stored[key] = f"constant_{len(self._initialisers)}"
            tensor = optional("onnx.numpy_helper").from_array(array, self._stored[key])
            self._initialisers.append(tensor)
        return self._stored[key]

    def numbers(self, *values: int) -> Name:
        """Store integers as an int64 array, for operators that take them as an input."""
        return self.constant(np.array(values, np.int64))

    def weight(self, array: np.ndarray) -> Name:
        """Store a weight as float32, or as float16 that is cast when the file is loaded.

        Raises:
            ShanshuiError: a value is too large for float16.
        """
        if not self.half:
            return self.constant(array.astype(np.float32))
        with np.errstate(over="ignore"):
            small = array.astype(np.float16)
        if not np.isfinite(small).all():
            raise ShanshuiError(
                f"weights up to {np.abs(array).max():.4g}", "at most 65504, the largest float16", "leave out --half"
            )
        return self.cast(self.constant(small), np.float32)

    def cast(self, x: Name, dtype: type) -> Name:
        """Convert to another type."""
        return self.node("Cast", x, to=self._type(dtype))

    def node(self, operator: str, *inputs: Name, **attributes: Attribute) -> Name:
        """Add a node, and return the name of its output."""
        name = f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(self._helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def slice(self, x: Name, axes: Sequence[int], starts: Sequence[int], ends: Sequence[int], step: int = 1) -> Name:
        """Take every `step`-th index from `starts` up to `ends` along `axes`."""
        given = (self.numbers(*starts), self.numbers(*ends), self.numbers(*axes), self.numbers(*[step] * len(axes)))
        return self.node("Slice", x, *given)

    def shape(self, x: Name, start: int, end: int) -> Name:
        """Take the lengths of the axes `start` to `end`, excluded, as int64."""
        return self.node("Shape", x, start=start, end=end)

    def model(self, outputs: Mapping[str, tuple[Name, Sequence[Dim]]], metadata: Mapping[str, str]) -> bytes:
        """Finish the graph and return the file's content.

        Args:
            outputs: name -> the value it takes and its shape, float32.
            metadata: texts by key.

        Raises:
            ShanshuiError: it is too large for one file.
        """
        for name, (value, _) in outputs.items():
            self._nodes.append(self._helper.make_node("Identity", [value], [name], name=name))
        graph = self._helper.make_graph(
            self._nodes, "generator", self._declared,
            [self._value(name, np.float32, shape) for name, (_, shape) in outputs.items()], self._initialisers,
        )  # fmt: skip
        model = self._helper.make_model(
            graph, producer_name=PRODUCER, ir_version=IR_VERSION,
            opset_imports=[self._helper.make_opsetid("", OPSET)],
        )  # fmt: skip
        self._helper.set_model_props(model, {key: metadata[key] for key in sorted(metadata)})
        if model.ByteSize() > LARGEST:
            raise ShanshuiError(
                f"an ONNX file of {model.ByteSize() / 2**30:.1f} GiB", "less than 2 GiB, the limit of the format",
                "add --half, which stores weights in half the space",
            )  # fmt: skip
        self._onnx.checker.check_model(model, full_check=True)
        content: bytes = model.SerializeToString(deterministic=True)
        return content

    def _type(self, dtype: type) -> int:
        return int(self._helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def _value(self, name: Name, dtype: type, shape: Sequence[Dim]) -> ValueInfoProto:
        return self._helper.make_tensor_value_info(name, self._type(dtype), list(shape))
