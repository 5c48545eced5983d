// Functions of the CUDA 13 runtime that Jittor calls. Written for the pretended device.
#pragma once
#include "driver_types.h"

extern "C" {
cudaError_t cudaDeviceReset();
cudaError_t cudaDeviceSynchronize();
cudaError_t cudaDriverGetVersion(int *version);
cudaError_t cudaRuntimeGetVersion(int *version);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t from, cudaEvent_t to);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream = 0);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaFree(void *place);
cudaError_t cudaFreeHost(void *place);
cudaError_t cudaGetDevice(int *device);
cudaError_t cudaGetDeviceCount(int *count);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device);
const char *cudaGetErrorName(cudaError_t error);
const char *cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetLastError();
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t call, void *data);
cudaError_t cudaMalloc(void **place, std::size_t size);
cudaError_t cudaMallocHost(void **place, std::size_t size);
cudaError_t cudaMallocManaged(void **place, std::size_t size, unsigned flags = 1);
cudaError_t cudaMemGetInfo(std::size_t *left, std::size_t *all);
cudaError_t cudaMemcpy(void *to, const void *from, std::size_t size, cudaMemcpyKind kind);
cudaError_t cudaMemcpyAsync(void *to, const void *from, std::size_t size, cudaMemcpyKind kind, cudaStream_t s = 0);
cudaError_t cudaMemset(void *place, int value, std::size_t size);
cudaError_t cudaMemsetAsync(void *place, int value, std::size_t size, cudaStream_t stream = 0);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaStreamAddCallback(cudaStream_t stream, cudaStreamCallback_t call, void *data, unsigned flags);
cudaError_t cudaStreamCreate(cudaStream_t *stream);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags = 0);
void pretended_launch(const char *kernel);  // what nvcc.py puts in the place of a kernel's body
void pretended_call(const char *function);
}
