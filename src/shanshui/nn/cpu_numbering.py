"""Distinct patches of label maps, enumerated by a compiled kernel: the arrays of `data.patches.find_patches`.

A pass over the pixels looks each patch up in a hash table, and gives the next number to one that is not there. Numbers
thus are in order of appearance, as in `data/patches.py`, which data loaders use: they run without Jittor.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from shanshui.backend.lazy import jt
from shanshui.data.patches import LEAST_PIXELS, OUTSIDE, Patches, resized
from shanshui.storage.size import Size


def found_by_kernel(label_maps: np.ndarray) -> Patches:
    """Enumerate the distinct patches of label maps, as `find_patches` does.

    Args:
        label_maps: class ids uint8 (N, h, w), both sides at least 2; 255 is no class.
    """
    return _found(label_maps, 1)[0]


def found_alone(label_maps: np.ndarray) -> list[Patches]:
    """Enumerate the distinct patches of each of the label maps, uint8 (N, h, w), as `found_by_kernel` of that one."""
    return _found(label_maps, len(label_maps))


def patches_alone(label_maps: np.ndarray, sizes: Iterable[Size]) -> list[dict[Size, Patches]]:
    """Find the patches of each label map as `data.patches.patch_pyramid` does of that one alone.

    Args:
        label_maps: class ids uint8 (N, H, W).
        sizes: to which they are resized.

    Returns:
        For each label map (1, h, w) its patches at the sizes at which they save time.
    """
    found: list[dict[Size, Patches]] = [{} for _ in label_maps]
    for size in sizes:
        if min(size) < 2 or size.pixels < LEAST_PIXELS:
            continue
        for pyramid, patches in zip(found, found_alone(resized(label_maps, size)), strict=True):
            if patches.worth_it:
                pyramid[size] = patches
    return found


def _found(label_maps: np.ndarray, groups: int) -> list[Patches]:
    """Enumerate the distinct patches within each of some groups of label maps, of equal length."""
    n, h, w = label_maps.shape
    pixels = n * h * w
    labels, neighbours, index, count = jt.code(
        [(pixels, 9), (pixels, 9), (n, h, w), (groups, 2)], ["int32"] * 4, [jt.array(label_maps.astype(np.int32))],
        cpu_header=HEADER, cpu_src=f"const int OUTSIDE = {OUTSIDE};" + ENUMERATE,
    )  # fmt: skip
    found, each = [], pixels // groups
    all_labels, all_neighbours, all_index = labels.data, neighbours.data, index.data
    for group, (inner, outer) in enumerate(count.data):
        start, maps = group * each, slice(group * n // groups, (group + 1) * n // groups)
        found.append(Patches(
            all_labels[start : start + inner].astype(np.uint16),
            np.array(all_neighbours[start : start + outer]),
            np.array(all_index[maps]),
        ))  # fmt: skip
    return found


HEADER = """
#include <vector>
namespace jittor {
struct Enumeration {  // of pairs of numbers, by open addressing
    std::vector<uint64_t> first, second;
    std::vector<int> number;
    int bits = 4, count = 0;
    Enumeration(int64 most) {
        while ((int64(1) << bits) < 2 * most) bits++;
        first.resize(int64(1) << bits), second.resize(int64(1) << bits), number.assign(int64(1) << bits, -1);
    }
    int of(uint64_t a, uint64_t b) {
        uint64_t hash = (a ^ (b * 0x9E3779B97F4A7C15ull)) * 0xD6E8FEB86659FD93ull;
        hash ^= hash >> 32, hash *= 0xD6E8FEB86659FD93ull;
        for (uint64_t place = hash >> (64 - bits);; place = (place + 1) & ((uint64_t(1) << bits) - 1)) {
            if (number[place] < 0) {
                first[place] = a, second[place] = b;
                return number[place] = count++;
            }
            if (first[place] == a && second[place] == b) return number[place];
        }
    }
};
}
"""

ENUMERATE = """
const int64 H = in0_shape1, W = in0_shape2, wide = W + 2, tall = H + 2, groups = out3_shape0, N = in0_shape0 / groups;
#pragma omp parallel for schedule(dynamic)
for (int64 group = 0; group < groups; group++) {  // of N label maps each
    const int64 start = group * N * H * W;
    auto *maps = in0_p + start, *labels = out0_p + start * 9, *around = out1_p + start * 9, *index = out2_p + start;
    std::vector<int> label(N * tall * wide, OUTSIDE), inner(N * tall * wide, -1);
    for (int64 n = 0; n < N; n++)
        for (int64 y = 0; y < H; y++)
            for (int64 x = 0; x < W; x++) label[(n * tall + y + 1) * wide + x + 1] = maps[(n * H + y) * W + x];
    Enumeration small(N * H * W), large(N * H * W);
    for (int64 n = 0; n < N; n++)
        for (int64 y = 0; y < H; y++) {
            const int* centre = &label[(n * tall + y + 1) * wide];
            auto column = [&](int64 x) {
                return uint64_t(centre[x - wide]) << 18 | uint64_t(centre[x]) << 9 | uint64_t(centre[x + wide]);
            };
            uint64_t left = column(0), middle = column(1), before_left = ~0ull, before_middle = 0, before_right = 0;
            int same = -1;
            for (int64 x = 1; x <= W; x++) {
                const uint64_t right = column(x + 1);
                if (left != before_left || middle != before_middle || right != before_right) {
                    const int known = small.count;
                    same = small.of(left << 27 | middle, right);
                    if (same == known)
                        for (int j = 0; j < 9; j++) labels[same * 9 + j] = centre[x + (j / 3 - 1) * wide + j % 3 - 1];
                    before_left = left, before_middle = middle, before_right = right;
                }
                inner[(n * tall + y + 1) * wide + x] = same;
                left = middle, middle = right;
            }
        }
    for (auto& number : inner) if (number < 0) number = small.count;
    for (int64 n = 0; n < N; n++)
        for (int64 y = 0; y < H; y++) {
            uint64_t before_a = ~0ull, before_b = ~0ull;
            int same = -1;
            for (int64 x = 0; x < W; x++) {
                const int* centre = &inner[(n * tall + y + 1) * wide + x + 1];
                const uint64_t a = uint64_t(centre[-wide - 1]) << 32 | uint64_t(centre[-wide + 1]);
                const uint64_t b = uint64_t(centre[wide - 1]) << 32 | uint64_t(centre[wide + 1]);
                if (a != before_a || b != before_b) {
                    const int known = large.count;
                    same = large.of(a, b);
                    if (same == known)
                        for (int j = 0; j < 9; j++) around[same * 9 + j] = centre[(j / 3 - 1) * wide + j % 3 - 1];
                    before_a = a, before_b = b;
                }
                index[(n * H + y) * W + x] = same;
            }
        }
    out3_p[group * 2] = small.count, out3_p[group * 2 + 1] = large.count;
}
"""
