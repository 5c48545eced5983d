// The CUDA 13 runtime for C++. Functions of devices have no bodies here: nvcc.py removes what would call them.
#pragma once
#include "cuda_runtime_api.h"

template <class T> cudaError_t cudaMalloc(T **place, std::size_t size) { return cudaMalloc((void **)place, size); }
template <class T> cudaError_t cudaMallocHost(T **place, std::size_t size) { return cudaMallocHost((void **)place, size); }
template <class T> cudaError_t cudaMallocManaged(T **place, std::size_t size, unsigned flags = 1) {
    return cudaMallocManaged((void **)place, size, flags);
}
inline cudaError_t cudaEventCreate(cudaEvent_t *event, unsigned flags = 0) { return cudaEventCreateWithFlags(event, flags); }

struct uint3 { unsigned x, y, z; };
struct int2 { int x, y; };
struct int4 { int x, y, z, w; };
struct float2 { float x, y; };
struct float4 { float x, y, z, w; };
struct double2 { double x, y; };
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
