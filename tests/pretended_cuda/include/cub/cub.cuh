// CUB, as far as Jittor's host code calls it: every call counts as one of a library, and nothing is computed.
#pragma once
#include "../cuda_runtime.h"

#define PRETENDED_CALLS(structure, function)                                                     \
    struct structure {                                                                           \
        template <class... T> static cudaError_t function(void *work, size_t &size, T...) {      \
            if (!work) size = 1024;                                                              \
            else pretended_call("cub::" #structure "::" #function);                              \
            return cudaSuccess;                                                                  \
        }                                                                                        \
    };

#define CUB_VERSION 300000

namespace cub {
namespace pretended {
PRETENDED_CALLS(DeviceSegmentedRadixSort, SortPairs)
PRETENDED_CALLS(DeviceSegmentedRadixSortDown, SortPairsDescending)
PRETENDED_CALLS(DeviceSegmentedReduce, ArgMin)
PRETENDED_CALLS(DeviceSegmentedReduceDown, ArgMax)
}
struct DeviceSegmentedRadixSort : pretended::DeviceSegmentedRadixSort, pretended::DeviceSegmentedRadixSortDown {};
struct DeviceSegmentedReduce : pretended::DeviceSegmentedReduce, pretended::DeviceSegmentedReduceDown {};
using DeviceRadixSort = DeviceSegmentedRadixSort;
PRETENDED_CALLS(DeviceScan, InclusiveSum)
PRETENDED_CALLS(DeviceSelect, Flagged)
template <class K, class V> struct KeyValuePair { K key; V value; };
}
