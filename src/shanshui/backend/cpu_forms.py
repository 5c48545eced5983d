"""Convolutions on a CPU whose weights do not change: oneDNN's, with the weights in oneDNN's order kept between calls.

Jittor gives oneDNN the weights as they are stored. At every call oneDNN is asked for a kernel, and the weights are
brought into the order that this kernel reads. For small images that takes as long as the convolution, and, where the
number of output channels is no multiple of 16, up to forty times as long (a convolution of 256 to 58 channels on 8x8
pixels: 4.7 ms, of which 0.1 ms are the convolution). Here the kernel and the ordered weights are kept. The kernel is
the one that Jittor asks for, so that results have the same bits.

oneDNN's kernels, and so the bits, depend on the number of images in a batch. Within `each_image_alone` the kernel is
that of one image, and is run for each of them: an image's features have the bits that it has without the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shanshui.backend.constants import constant, kept, known, unchanging
from shanshui.backend.lazy import jt
from shanshui.backend.onednn import Order, order_of_weights

if TYPE_CHECKING:
    from jittor import Module, Var, nn

MOST_KEPT = 1 << 26  # numbers of ordered weights in one process (256 MiB); further ones are ordered at every call
ORDERED = "ordered weights "
BIAS_INSIDE = "bias_inside"  # attribute of layers whose bias nothing but this operation adds

HEADER = """
#include <array>
#include <map>
#include <omp.h>
#include <dnnl.hpp>
namespace jittor {
using dnnl::memory;
typedef std::array<int, 11> Shape;  // n, c, h, w, outputs, sides of the kernel, stride, padding, threads
static dnnl::engine& cpu() { static dnnl::engine engine(dnnl::engine::kind::cpu, 0); return engine; }
static memory::desc as(const memory::dims& dims, memory::format_tag order) {
    return {dims, memory::data_type::f32, order};
}
struct Convolution {
    memory::desc x, w, y;
    dnnl::convolution_forward::primitive_desc desc;
    dnnl::convolution_forward convolve;
    dnnl::reorder enter, leave;
    Convolution(const memory::dims& xs, const memory::dims& ws, const memory::dims& ys, const Shape& k)
        : x(as(xs, memory::format_tag::abcd)), w(as(ws, memory::format_tag::oihw)),
          y(as(ys, memory::format_tag::abcd)),
          desc({dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_auto,
                as(xs, memory::format_tag::any), as(ws, memory::format_tag::any), as(ys, memory::format_tag::any),
                {k[7], k[7]}, {k[8], k[9]}, {k[8], k[9]}}, cpu()),
          convolve(desc), enter({cpu(), x, cpu(), desc.src_desc()}), leave({cpu(), desc.dst_desc(), cpu(), y}) {}
};
static Convolution& convolution(Shape k) {
    static std::map<Shape, Convolution> known;
    k[10] = omp_get_max_threads();
    auto found = known.find(k);
    if (found == known.end()) {
        if (known.size() > 4096) known.clear();
        const int height = (k[2] + 2 * k[8] - k[5]) / k[7] + 1, width = (k[3] + 2 * k[9] - k[6]) / k[7] + 1;
        found = known.emplace(k, Convolution({k[0], k[1], k[2], k[3]}, {k[4], k[1], k[5], k[6]},
                                             {k[0], k[4], height, width}, k)).first;
    }
    return found->second;
}
}
"""
NUMBERS = """
const int64 numbers = data["numbers"];  // five, with ten bits each
auto number = [&](int i) { return int(numbers >> 10 * i & 1023); };
"""
ORDER = """
Convolution& known = convolution({
    (int)data["n"], (int)in0_shape1, (int)data["h"], (int)data["w"], (int)in0_shape0, number(0), number(1), number(2),
    number(3), number(4), 0
});
const memory::desc order = known.desc.weights_desc();
ASSERT(order.get_size() <= out_shape0 * sizeof(float));
dnnl::stream stream(cpu());
memory from(known.w, cpu(), in0_p), to(order, cpu(), out_p);
dnnl::reorder(from, to).execute(stream, from, to);
"""
CONVOLVE = """
const int64 together = data["n"], parts = in0_shape0 / together;  // images of a kernel, kernels to run
Convolution& known = convolution({
    (int)together, (int)in0_shape1, (int)in0_shape2, (int)in0_shape3, (int)out_shape1, number(0), number(1),
    number(2), number(3), number(4), 0
});
dnnl::stream stream(cpu());
memory x(known.x, cpu(), in0_p), weights(known.desc.weights_desc(), cpu(), in1_p), y(known.y, cpu(), out_p);
const bool same_x = known.desc.src_desc() == known.x, same_y = known.desc.dst_desc() == known.y;
memory from = same_x ? x : memory(known.desc.src_desc(), cpu()), to = same_y ? y : memory(known.desc.dst_desc(), cpu());
for (int64 part = 0; part < parts; part++) {
    x.set_data_handle(in0_p + part * (in0->num / parts)), y.set_data_handle(out_p + part * (out->num / parts));
    if (!same_x) known.enter.execute(stream, x, from);
    known.convolve.execute(stream, {{DNNL_ARG_SRC, from}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_DST, to}});
    if (!same_y) known.leave.execute(stream, to, y);
}
if (data["biased"]) {
    const int64 maps = out_shape0 * out_shape1, size = out_shape2 * out_shape3;
    #pragma omp parallel for schedule(static)
    for (int64 map = 0; map < maps; map++) {
        float* values = out_p + map * size;
        const float bias = in2_p[map % out_shape1];
        for (int64 i = 0; i < size; i++) values[i] += bias;
    }
}
"""


_orders: dict[tuple[int, ...], Order] = {}
_flags: dict[str, int] = {}  # of the compiler, to find oneDNN
_library: list[Path] = []  # file of oneDNN
_alone: list[bool] = [False]  # whether each image of a batch is convolved on its own


@contextmanager
def each_image_alone() -> Iterator[None]:
    """Compute what depends on the number of images for each on its own, so that others do not change its bits."""
    before, _alone[0] = _alone[0], True
    try:
        yield
    finally:
        _alone[0] = before


def images_alone() -> bool:
    """Return whether this runs within `each_image_alone`, which concerns CPUs only."""
    return _alone[0] and not jt.flags.use_cuda


def compiler_flags() -> dict[str, int]:
    """Return the options with which the compiler finds oneDNN, for `compile_options`; none without it."""
    return _flags


def use_cpu_forms(jittor: Any, onednn: Path) -> None:
    """Let convolution layers of a Jittor that runs on a CPU keep their ordered weights.

    Args:
        jittor: the loaded module.
        onednn: folder with `include` and `lib` of the oneDNN that it uses.
    """
    _library[:] = [onednn / "lib" / "libmkldnn.so"]
    _flags[f'FLAGS: -I"{onednn / "include"}" -L"{onednn / "lib"}" -lmkldnn '] = 1
    jittor.nn.Conv.execute = convolution_layer(jittor.nn.Conv.execute)


def convolution_layer(execute: Callable[[nn.Conv, Var], Var]) -> Callable[[nn.Conv, Var], Var]:
    """Wrap the method of convolution layers that computes them."""

    def convolve(layer: nn.Conv, x: Var) -> Var:
        if not convolves(layer, x):
            return execute(layer, x)
        inside = getattr(layer, BIAS_INSIDE, False)
        return convolution(layer, x, (layer.weight,), lambda: layer.weight, layer.bias, inside=inside)

    return convolve


def convolves(layer: nn.Conv, x: Var) -> bool:
    """Return whether `convolution` can compute a layer, and its weights do not change."""
    return (
        unchanging(layer)
        and bool(_flags)
        and layer.groups == 1
        and layer.dilation == (1, 1)
        and layer.stride[0] == layer.stride[1]
        and x.ndim == 4
        and x.shape[1] == layer.in_channels
        and x.dtype == "float32"
    )


def convolution(
    layer: nn.Conv, x: Var, sources: Sequence[Var], weight: Callable[[], Var], bias: Var | None,
    inside: bool = False,
) -> Var:  # fmt: skip
    """Convolve with weights that are kept in oneDNN's order: x (N, C, h, w) -> (N, outputs, h', w').

    Args:
        layer: to which the weights belong; its stride and padding are used.
        x: features.
        sources: arrays that the weights are computed from.
        weight: computes them (outputs, C, k, k).
        bias: (outputs,), or None.
        inside: add the bias in the same operation. Otherwise Jittor adds it, together with what follows, in the order
            that the compiler chooses for their sums.
    """
    n, c, h, w = x.shape
    outputs, (high, wide), stride, (down, right) = layer.out_channels, layer.kernel_size, layer.stride[0], layer.padding
    shape = (n, outputs, (h + 2 * down - high) // stride + 1, (w + 2 * right - wide) // stride + 1)
    together = 1 if _alone[0] else n
    key = (together, c, h, w, outputs, high, wide, stride, down, right)
    numbers = high | wide << 10 | stride << 20 | down << 30 | right << 40
    ordered = _ordered(layer, sources, weight, key, numbers)
    if bias is not None and inside:
        return _code(shape, [x, ordered, bias], CONVOLVE, {"numbers": numbers, "n": together, "biased": 1})
    y = _code(shape, [x, ordered, ordered], CONVOLVE, {"numbers": numbers, "n": together, "biased": 0})
    return y if bias is None else y + bias.broadcast(y.shape, [0, 2, 3])


def _ordered(
    layer: Module, sources: Sequence[Var], weight: Callable[[], Var], key: tuple[int, ...], numbers: int
) -> Var:
    """Return weights in the order of a convolution's kernel, kept if there is room."""
    order = _orders.get(key)
    if order is None:
        order = _orders[key] = order_of_weights(_library[0], *key)
    name = f"{ORDERED}{order.number}"
    found = known(layer, name, sources)
    if found is not None:
        return found

    def make() -> Var:
        n, _, h, w, *_ = key
        return _code((order.length,), [weight()], ORDER, {"numbers": numbers, "n": n, "h": h, "w": w})

    if sum(var.numel() for var in kept(ORDERED)) + order.length <= MOST_KEPT:
        return constant(layer, name, sources, make)
    return make()


def _code(shape: Sequence[int], inputs: Sequence[Var], source: str, numbers: dict[str, int]) -> Var:
    made = jt.code(tuple(shape), "float32", list(inputs), cpu_header=HEADER, cpu_src=NUMBERS + source, data=numbers)
    made.compile_options = _flags
    return made
