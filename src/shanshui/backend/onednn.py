"""Questions to oneDNN 2.2, the library of convolutions on CPUs, through its C interface."""

from __future__ import annotations

import ctypes
import itertools
from pathlib import Path
from typing import NamedTuple

FORWARD_INFERENCE, AUTOMATIC, F32, ANY_ORDER, CPU, WEIGHTS = 96, 3, 3, 1, 1, 131  # its constants
DESCRIPTION, ROOM = 696, 8192  # bytes of the description of an array, and at least those of any other structure

Text = ctypes.Array[ctypes.c_char]


class Order(NamedTuple):
    """The order in which a kernel reads its weights: their count with those that fill up, and the order's number."""

    length: int
    number: int


_different: list[Text] = []  # descriptions of orders, by number


def order_of_weights(
    library: Path, n: int, c: int, h: int, w: int, outputs: int, high: int, wide: int, stride: int, down: int,
    right: int,
) -> Order:  # fmt: skip
    """Return the order of the weights of the kernel that oneDNN chooses for a convolution; nothing is computed.

    Args:
        library: file of oneDNN.
        n, c, h, w: shape of the features.
        outputs: output channels.
        high, wide: sides of the weights.
        stride: in both directions.
        down, right: padding on each side of the height, and of the width.
    """
    onednn = ctypes.CDLL(str(library))
    onednn.dnnl_primitive_desc_query_md.restype = ctypes.c_void_p
    onednn.dnnl_memory_desc_get_size.restype = ctypes.c_size_t

    def check(status: int) -> None:
        if status:
            raise RuntimeError(f"oneDNN returned {status} for a convolution of {(n, c, h, w)} to {outputs} channels")

    def array(*shape: int) -> Text:
        described = ctypes.create_string_buffer(ROOM)
        check(onednn.dnnl_memory_desc_init_by_tag(described, len(shape), _sides(*shape), F32, ANY_ORDER))
        return described

    y = array(n, outputs, (h + 2 * down - high) // stride + 1, (w + 2 * right - wide) // stride + 1)
    operation, padding = ctypes.create_string_buffer(ROOM), _sides(down, right)
    x, weights, strides = array(n, c, h, w), array(outputs, c, high, wide), _sides(stride, stride)
    status = onednn.dnnl_convolution_forward_desc_init(
        operation, FORWARD_INFERENCE, AUTOMATIC, x, weights, None, y, strides, padding, padding
    )
    check(status)
    engine, kernel = ctypes.c_void_p(), ctypes.c_void_p()
    check(onednn.dnnl_engine_create(ctypes.byref(engine), CPU, ctypes.c_size_t(0)))
    check(onednn.dnnl_primitive_desc_create(ctypes.byref(kernel), operation, None, engine, None))
    order = ctypes.c_void_p(onednn.dnnl_primitive_desc_query_md(kernel, WEIGHTS, 0))
    length = -(-int(onednn.dnnl_memory_desc_get_size(order)) // 4)
    equal = (number for number, other in enumerate(_different) if onednn.dnnl_memory_desc_equal(order, other))
    number = next(itertools.chain(equal, [len(_different)]))
    if number == len(_different):
        copy = ctypes.create_string_buffer(DESCRIPTION)
        ctypes.memmove(copy, order, DESCRIPTION)
        _different.append(copy)
    onednn.dnnl_primitive_desc_destroy(kernel)
    onednn.dnnl_engine_destroy(engine)
    return Order(length, number)


def _sides(*numbers: int) -> ctypes.Array[ctypes.c_int64]:
    return (ctypes.c_int64 * len(numbers))(*numbers)
