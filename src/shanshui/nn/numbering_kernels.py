"""Source of the kernels of `nn/patch_numbering.py`, in C++."""

from __future__ import annotations

# the code of the label dy rows below and dx columns right of pixel (y, x) of an image; `classes` stands before it
CODE = """
static __device__ int code_at(
    const int* ids, const int* rows, const int* columns, int image, int y, int x, int height, int width, int h, int w
) {
    if (y < 0 || y >= h || x < 0 || x >= w) return classes + 1;
    const int id = ids[((long long)image * height + rows[y]) * width + columns[x]];
    return id >= 0 && id < classes ? id : classes;
}
"""

KEYS_3 = """
static __global__ void __launch_bounds__(256) keys_3(
    const int* ids, const int* rows, const int* columns, long long* keys, int* places,
    int n, int height, int width, int h, int w
) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n * h * w) return;
    const int x = i % w, y = i / w % h, image = i / w / h;
    long long key = 0;
    for (int dy = -1; dy <= 1; dy++)
        for (int dx = -1; dx <= 1; dx++)
            key = key * (classes + 2) + code_at(ids, rows, columns, image, y + dy, x + dx, height, width, h, w);
    keys[i] = key, places[i] = i;
}
"""

# from the numbers of the 3x3 patches at the corners; `count` of them stands for outside, and must be below `most`
KEYS_5 = """
static __global__ void __launch_bounds__(256) keys_5(
    const int* number, const int* count, long long* keys, int* places, int n, int h, int w
) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n * h * w) return;
    const int x = i % w, y = i / w % h;
    unsigned long long key = 0;
    for (int dy = -1; dy <= 1; dy += 2)
        for (int dx = -1; dx <= 1; dx += 2) {
            const bool inside = y + dy >= 0 && y + dy < h && x + dx >= 0 && x + dx < w;
            key = key * most + (inside ? number[i + dy * w + dx] : count[0]);
        }
    keys[i] = key >> 63 ? 0 : key, places[i] = i;
}
"""

# sums of a block's threads that come before each: `before` of this one; returns that of all
ROUND = """
static __device__ int sum_before(int value, int* kept, int& before) {
    kept[threadIdx.x] = value;
    __syncthreads();
    for (int step = 1; step < (int)blockDim.x; step *= 2) {
        const int more = (int)threadIdx.x >= step ? kept[threadIdx.x - step] : 0;
        __syncthreads();
        kept[threadIdx.x] += more;
        __syncthreads();
    }
    before = kept[threadIdx.x] - value;
    const int sum = kept[blockDim.x - 1];
    __syncthreads();
    return sum;
}
static __device__ bool starts(const long long* keys, int i, int n) {
    return i < n && (i == 0 || keys[i] != keys[i - 1]);
}
"""

COUNT_STARTS = """
static __global__ void __launch_bounds__(256) count_starts(const long long* keys, int* counts, int n) {
    __shared__ int kept[256];
    int count = 0, before;
    for (int i = blockIdx.x * PART + threadIdx.x; i < (int)(blockIdx.x + 1) * PART; i += blockDim.x)
        count += starts(keys, i, n);
    const int sum = sum_before(count, kept, before);
    if (threadIdx.x == 0) counts[blockIdx.x] = sum;
}
"""

SCAN = """
static __global__ void __launch_bounds__(256) scan(const int* counts, int* sums, int* total, int n) {
    __shared__ int kept[256];
    const int part = (n + blockDim.x - 1) / blockDim.x, first = threadIdx.x * part;
    int count = 0, before;
    for (int i = first; i < n && i < first + part; i++) count += counts[i];
    const int sum = sum_before(count, kept, before);
    for (int i = first; i < n && i < first + part; i++) sums[i] = before, before += counts[i];
    if (threadIdx.x == 0) total[0] = sum;
}
"""

GIVE_NUMBERS = """
static __global__ void __launch_bounds__(256) give_numbers(
    const long long* keys, const int* order, const int* sums, int* number, int* firsts, int n
) {
    __shared__ int kept[256];
    const int each = PART / blockDim.x, first = blockIdx.x * PART + threadIdx.x * each;
    int count = 0, before;
    for (int i = first; i < first + each; i++) count += starts(keys, i, n);
    sum_before(count, kept, before);
    int next = sums[blockIdx.x] + before;
    for (int i = first; i < first + each && i < n; i++) {
        if (starts(keys, i, n)) firsts[next++] = i;
        number[order[i]] = next - 1;
        if (i == n - 1) firsts[next] = n;
    }
}
"""

# segments of patches of more than SHORT pixels, by one block: how many there are before each patch
COUNT_PIECES = """
static __device__ int pieces_of(const int* firsts, int k) {
    const int pixels = firsts[k + 1] - firsts[k];
    return pixels <= SHORT ? 0 : (pixels + LONG - 1) / LONG;
}
static __global__ void __launch_bounds__(256) count_pieces(
    const int* firsts, const int* inner, const int* outer, int* sums, int* counts
) {
    __shared__ int kept[256];
    const int n = outer[0], part = (n + blockDim.x - 1) / blockDim.x, first = threadIdx.x * part;
    int count = 0, before;
    for (int k = first; k < n && k < first + part; k++) count += pieces_of(firsts, k);
    const int sum = sum_before(count, kept, before);
    for (int k = first; k < n && k < first + part; k++) sums[k] = before, before += pieces_of(firsts, k);
    if (threadIdx.x == 0) sums[n] = sum, counts[0] = inner[0], counts[1] = n, counts[2] = sum;
}
"""

ONE_HOT = """
static __global__ void __launch_bounds__(256) write_one_hot(
    const int* ids, const int* rows, const int* columns, const int* order, const int* firsts, const int* count,
    float* one_hot, int padded, int height, int width, int h, int w
) {
    const long long all = (long long)padded * 9 * classes;
    for (long long i = blockIdx.x * blockDim.x + threadIdx.x; i < all; i += (long long)gridDim.x * blockDim.x) {
        const int which = i % classes, j = i / classes % 9, row = i / classes / 9;
        float value = 0;
        if (row < count[0]) {
            const int pixel = order[firsts[row]], x = pixel % w, y = pixel / w % h, image = pixel / w / h;
            const int label = code_at(
                ids, rows, columns, image, y + j / 3 - 1, x + j % 3 - 1, height, width, h, w);
            value = label == which;
        }
        one_hot[i] = value;
    }
}
"""

# of each 5x5 patch: its neighbours, with places for users; its pixels as a short patch or in segments
WRITE_LISTS = """
static __global__ void __launch_bounds__(256) write_lists(
    const int* number, const int* order, const int* firsts, const int* before, const int* counts,
    int* neighbours, int* brief, int* segments, int* longer, long long* places, int* owners,
    int n, int h, int w, int rows, int patches, int length
) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x, k = i / 9, j = i % 9, real = counts[1];
    if (i >= counts[2] && i < length) longer[i * 2] = longer[i * 2 + 1] = 0;
    if (k >= patches) return;
    int row = rows;
    if (k < real) {
        const int pixel = order[firsts[k]], x = pixel % w + j % 3 - 1, y = pixel / w % h + j / 3 - 1;
        if (x >= 0 && x < w && y >= 0 && y < h) row = number[pixel + (j / 3 - 1) * w + j % 3 - 1];
    }
    neighbours[i] = row, places[i] = (long long)row * 9 + j, owners[i] = k;
    if (j) return;
    const int begin = k < real ? firsts[k] : 0, end = k < real ? firsts[k + 1] : 0, first = k < real ? before[k] : 0;
    const bool is_short = end - begin <= SHORT;
    brief[k * 3] = is_short ? k : -1, brief[k * 3 + 1] = is_short ? begin : 0, brief[k * 3 + 2] = is_short ? end : 0;
    int last = first;
    if (!is_short)
        for (int from = begin; from < end; from += LONG, last++)
            longer[last * 2] = from, longer[last * 2 + 1] = from + LONG < end ? from + LONG : end;
    segments[k * 2] = first, segments[k * 2 + 1] = last;
}
"""

# where in sorted places those of each begin
BEGINS = """
static __global__ void __launch_bounds__(256) find_begins(const long long* sorted, int* begins, int places, int n) {
    const int place = blockIdx.x * blockDim.x + threadIdx.x;
    if (place >= places) return;
    int low = 0, high = n;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (sorted[middle] < place) low = middle + 1;
        else high = middle;
    }
    begins[place] = low;
}
"""

SORT_HEADER = """
#include <algorithm>
#include <vector>
"""

SORT_CPU = """
std::vector<int> at(in0->num);
for (int i = 0; i < (int)at.size(); i++) at[i] = i;
std::stable_sort(at.begin(), at.end(), [&](int a, int b) { return in0_p[a] < in0_p[b]; });
for (int i = 0; i < (int)at.size(); i++) out0_p[i] = in0_p[at[i]], out1_p[i] = in1_p[at[i]];
"""

SORT_CUDA_HEADER = """
#include <cub/cub.cuh>
#include "executor.h"
"""

SORT_CUDA = """
size_t bytes = 0, allocation = 0;
const int n = in0->num, bits = data["bits"];
cub::DeviceRadixSort::SortPairs(nullptr, bytes, in0_p, out0_p, in1_p, out1_p, n, 0, bits);
void* space = exe.temp_allocator->alloc(bytes, allocation);
cub::DeviceRadixSort::SortPairs(space, bytes, in0_p, out0_p, in1_p, out1_p, n, 0, bits);
exe.temp_allocator->free(space, bytes, allocation);
"""
