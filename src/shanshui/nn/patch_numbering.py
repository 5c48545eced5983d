"""Distinct patches of label maps, found on the device as `data/patches.py` does in numpy: number, sort, number again.

A 3x3 patch is the key of its nine labels, a 5x5 patch that of the numbers of the 3x3 patches at its corners, both in 64
bits. Sorted keys lie side by side where they are equal, and numbers count where they change. Sorting is stable, so that
the order of every later sum is fixed; the second sort is also the order in which pixels are summed
(`data/patch_order.py`). How many patches there are is read once for all sizes, which waits for the device. Tables are
padded to few different lengths.

Patches are numbered in the order of their keys, not of their appearance: results differ by rounding alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shanshui.backend import gpu_patches, kernels
from shanshui.backend.arithmetic import current_precision
from shanshui.backend.lazy import jt
from shanshui.data import patches as host_patches
from shanshui.data.patch_order import LONG, SHORT, padded
from shanshui.data.patches import LEAST_PIXELS, MOST_DISTINCT, Patches, patch_pyramid
from shanshui.nn import numbering_kernels as source
from shanshui.nn.cpu_numbering import found_by_kernel
from shanshui.nn.patch_kernels import SortedPatches
from shanshui.nn.patch_spade import DevicePatches, PatchPyramid, to_device
from shanshui.nn.resize import nearest_sources
from shanshui.storage.size import Size

if TYPE_CHECKING:
    from jittor import Var

MOST_CLASSES = 125  # 127 ** 9 < 2 ** 63: with no class and outside
MOST_NUMBERS = 55_108  # whose fourth power is below 2 ** 63
THREADS = 256


def serves(num_classes: int) -> bool:
    """Return whether patches can be found on the device: on a GPU, if the keys of all classes fit 64 bits."""
    return bool(jt.flags.use_cuda) and num_classes <= MOST_CLASSES


def sizes_for_loader(sizes: Sequence[Size], num_classes: int) -> Sequence[Size]:
    """Return the sizes at which the loader is to find patches for `patches_of`.

    None where they are found on the device, or would have to be found on the host for a GPU, unless that is asked for.
    """
    on_host = not jt.flags.use_cuda or (num_classes > MOST_CLASSES and gpu_patches.wanted() == "on")
    return sizes if on_host else ()


def patches_of(
    label_maps: np.ndarray, sizes: Sequence[Size], num_classes: int, found: Mapping[Size, Patches] | None = None
) -> PatchPyramid:
    """Find the distinct patches of label maps where the networks run, if computing with them pays.

    Args:
        label_maps: class ids uint8 (N, H, W); 255 is no class.
        sizes: of the features, at which patches are wanted.
        num_classes: classes of the one-hot rows.
        found: what the loader found at its sizes (`sizes_for_loader`); None without a loader.
    """
    if not serves(num_classes):
        if found is None:
            find = host_patches.find_patches if jt.flags.use_cuda else found_by_kernel
            found = patch_pyramid(label_maps, sizes_for_loader(sizes, num_classes), find=find)
        return to_device(found, num_classes)
    pixels = len(label_maps) * max((size.pixels for size in sizes), default=0)
    if not pixels or not gpu_patches.pay(pixels, current_precision()):
        return {}
    least = LEAST_PIXELS if gpu_patches.wanted() == "on" else gpu_patches.LEAST_PIXELS
    ids = jt.array(label_maps.astype(np.int32))
    return find_patches(ids, [size for size in sizes if len(label_maps) * size.pixels >= least], num_classes)


def find_patches(ids: Var, sizes: Sequence[Size], num_classes: int) -> PatchPyramid:
    """Find the distinct patches of label maps at each of `sizes` at which they save time.

    Args:
        ids: class ids (N, H, W), int32; what is no class is any other number.
        sizes: of the features.
        num_classes: classes of the one-hot rows, at most `MOST_CLASSES`.

    Returns:
        By size, what `patch_spade.to_device` makes of the patches found in numpy, in the form for GPU kernels.
    """
    n = ids.shape[0]
    wanted = [size for size in sizes if min(size) >= 2 and n * size.pixels >= LEAST_PIXELS]
    if not wanted:
        return {}
    found = [_number(ids, size, num_classes) for size in wanted]
    counts = read_counts([one.counts for one in found])
    pyramid = {}
    for size, one, (k3, k5, pieces) in zip(wanted, found, counts, strict=True):
        if k3 <= MOST_DISTINCT * n * size.pixels and k3 < MOST_NUMBERS:
            pyramid[size] = _tables(one, k3, k5, pieces, num_classes)
    return pyramid


def read_counts(counts: Sequence[Var]) -> np.ndarray:
    """Read the numbers of 3x3 patches, 5x5 patches and segments of each size, (sizes, 3), in one copy."""
    read: np.ndarray = jt.concat(list(counts), 0).numpy().reshape(-1, 3)
    return read


@dataclass(frozen=True)
class Grid:
    """Label maps at one size: their ids (N, H, W), and the rows and columns of pixels in them."""

    ids: Var
    rows: Var
    columns: Var

    @property
    def inputs(self) -> list[Var]:
        """List the arrays, first among those of a kernel."""
        return [self.ids, self.rows, self.columns]

    @property
    def pixels(self) -> int:
        """Count the pixels of the batch at this size."""
        return int(self.ids.shape[0] * self.rows.shape[0] * self.columns.shape[0])


@dataclass(frozen=True)
class Numbers:
    """Sorted keys of all pixels, by number.

    Attributes:
        order: (P,) pixels, sorted by number.
        number: (P,) of each pixel.
        firsts: (P + 1,): where in `order` each number begins; P after the last.
        count: (1,) of the numbers.
    """

    order: Var
    number: Var
    firsts: Var
    count: Var


@dataclass(frozen=True)
class Found:
    """Numbered patches of one size whose counts are still on the device.

    Attributes:
        grid: the label maps.
        inner, outer: numbers of 3x3 and of 5x5 patches.
        before: (P + 1,): segments of all patches before each 5x5 patch.
        counts: (3,): 3x3 patches, 5x5 patches, segments.
    """

    grid: Grid
    inner: Numbers
    outer: Numbers
    before: Var
    counts: Var


SIZES = "const int n = in0_shape0, height = in0_shape1, width = in0_shape2, h = in1_shape0, w = in2_shape0;\n"
OF_PIXEL = f"(n * h * w + {THREADS - 1}) / {THREADS}, {THREADS}"


def _number(ids: Var, size: Size, num_classes: int) -> Found:
    """Find the numbers of both kinds of patches."""
    with jt.no_grad():
        grid = Grid(ids, *nearest_sources(Size(*ids.shape[1:]), size))
        pixels, classes = grid.pixels, f"const int classes = {num_classes};\n"
        keys, places = kernels.run(
            classes + source.CODE + source.KEYS_3, SIZES, grid.inputs, [(pixels,)] * 2, ["int64", "int32"],
            grid=OF_PIXEL, kernel="keys_3",
            arguments="in0_p, in1_p, in2_p, out0_p, out1_p, n, height, width, h, w",
        )  # fmt: skip
        inner = _numbers(keys, places, int((num_classes + 2) ** 9 - 1).bit_length())
        keys, places = kernels.run(
            f"const long long most = {MOST_NUMBERS};\n" + source.KEYS_5, SIZES,
            [*grid.inputs, inner.number, inner.count], [(pixels,)] * 2, ["int64", "int32"], grid=OF_PIXEL,
            kernel="keys_5", arguments="in3_p, in4_p, out0_p, out1_p, n, h, w",
        )  # fmt: skip
        outer = _numbers(keys, places, 63)
        before, counts = kernels.run(
            f"const int SHORT = {SHORT}, LONG = {LONG};\n" + source.ROUND + source.COUNT_PIECES, "",
            [outer.firsts, inner.count, outer.count], [(pixels + 1,), (3,)], ["int32", "int32"], grid="1, 256",
            kernel="count_pieces", arguments="in0_p, in1_p, in2_p, out0_p, out1_p",
        )  # fmt: skip
    return Found(grid, inner, outer, before, counts)


def _sorted(keys: Var, values: Var, bits: int = 64) -> tuple[Var, Var]:
    """Sort values (n,), int32, by keys (n,), int64 and not negative, whose upper bits from `bits` on are 0; stable."""
    keys, values = jt.code(
        [tuple(keys.shape)] * 2, ["int64", "int32"], [keys, values], cpu_header=source.SORT_HEADER,
        cpu_src=source.SORT_CPU, cuda_header=source.SORT_CUDA_HEADER, cuda_src=source.SORT_CUDA, data={"bits": bits},
    )  # fmt: skip
    return keys, values


def _numbers(keys: Var, places: Var, bits: int) -> Numbers:
    """Give numbers from 0 to the distinct keys (P,) of pixels."""
    keys, order = _sorted(keys, places, bits)
    pixels, part = keys.shape[0], 4 * THREADS
    blocks = -(-pixels // part)
    constants, of_part = f"const int PART = {part};\n", f"(n + PART - 1) / PART, {THREADS}"
    (starts,) = kernels.run(
        constants + source.ROUND + source.COUNT_STARTS, "const int n = in0->num;", [keys], [(blocks,)], ["int32"],
        grid=of_part, kernel="count_starts", arguments="in0_p, out0_p, n",
    )  # fmt: skip
    before, count = kernels.run(
        source.ROUND + source.SCAN, "const int n = in0->num;", [starts], [(blocks,), (1,)], ["int32", "int32"],
        grid=f"1, {THREADS}", kernel="scan", arguments="in0_p, out0_p, out1_p, n",
    )  # fmt: skip
    number, firsts = kernels.run(
        constants + source.ROUND + source.GIVE_NUMBERS, "const int n = in0->num;", [keys, order, before],
        [(pixels,), (pixels + 1,)], ["int32", "int32"], grid=of_part, kernel="give_numbers",
        arguments="in0_p, in1_p, in2_p, out0_p, out1_p, n",
    )  # fmt: skip
    return Numbers(order, number, firsts, count)


def _tables(found: Found, k3: int, k5: int, pieces: int, num_classes: int) -> DevicePatches:
    """Write the tables for these numbers of patches and segments, padded."""
    grid, inner, outer = found.grid, found.inner, found.outer
    rows, patches, length = padded(int(k3)), padded(int(k5)), padded(int(pieces))
    counts = {"rows": float(rows), "patches": float(patches), "length": float(length)}
    given = 'const int rows = data["rows"], patches = data["patches"], length = data["length"];\n'
    with jt.no_grad():
        (one_hot,) = kernels.run(
            f"const int classes = {num_classes};\n" + source.CODE + source.ONE_HOT,
            SIZES + given + "const long long all = (long long)rows * 9 * classes;",
            [*grid.inputs, inner.order, inner.firsts, inner.count], [(rows, 9 * num_classes)],
            grid="std::min<long long>(4096, (all + 255) / 256), 256", kernel="write_one_hot", data=counts,
            arguments="in0_p, in1_p, in2_p, in3_p, in4_p, in5_p, out0_p, rows, height, width, h, w",
        )  # fmt: skip
        lists = kernels.run(
            f"const int SHORT = {SHORT}, LONG = {LONG};\n" + source.WRITE_LISTS, SIZES + given,
            [*grid.inputs, inner.number, outer.order, outer.firsts, found.before, found.counts],
            [(patches, 9), (patches, 3), (patches, 2), (length, 2), (9 * patches,), (9 * patches,)],
            ["int32"] * 4 + ["int64", "int32"], grid=f"std::max(9 * patches, length) / {THREADS} + 1, {THREADS}",
            kernel="write_lists", data=counts,
            arguments="in3_p, in4_p, in5_p, in6_p, in7_p, out0_p, out1_p, out2_p, out3_p, out4_p, out5_p, n, h, w, "
            "rows, patches, length",
        )  # fmt: skip
        neighbours, short, segments, long, places, owners = lists
        places, users = _sorted(places, owners, bits=(9 * rows + 8).bit_length())
        (begins,) = kernels.run(
            source.BEGINS, "const int places = out0->num, n = in0->num;", [places], [(9 * rows + 1,)], ["int32"],
            grid=f"(places + {THREADS - 1}) / {THREADS}, {THREADS}", kernel="find_begins",
            arguments="in0_p, out0_p, places, n",
        )  # fmt: skip
    index = outer.number.reshape(grid.ids.shape[0], grid.rows.shape[0], grid.columns.shape[0])
    order = SortedPatches(rows, outer.order, short, long, segments, users, begins)
    return DevicePatches(one_hot, neighbours, index, order)
