// A CUDA runtime without a device: memory is the host's, copies are done, kernels are counted and not run.
//
// What it does not define answers 0 (toolkit.py). Everything is done at once, so that nothing is ever waited for;
// what would have waited is counted.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <sys/mman.h>

#include "counts.h"

namespace {
enum Number {
    LAUNCHES, CALLS, WAITS, HOST_CALLS, ALLOCATIONS, COPIES_DOWN, COPIES_UP, COPIES_ACROSS, BYTES_DOWN, BYTES_UP,
    BYTES_HELD, BYTES_PEAK, NUMBERS
};
const char *const NAMES[] = {
    "launches", "library_calls", "waits", "host_calls", "allocations", "copies_down", "copies_up", "copies_across",
    "bytes_down", "bytes_up", "bytes_held", "bytes_peak",
};

struct State { // never destroyed: libraries call until the very end
    std::mutex mutex;
    long number[NUMBERS] = {};
    std::map<std::string, long> kernels, calls;
    std::map<const void *, std::string> names;
    std::map<void *, size_t> blocks;
};
State &state() {
    static State *whole = new State;
    return *whole;
}
using Lock = std::lock_guard<std::mutex>;

void count(Number what, long more = 1) {
    Lock lock(state().mutex);
    state().number[what] += more;
}

// Pages that are zero at first, so that sizes read from results nobody computed are small.
cudaError_t reserve(void **place, size_t size) {
    *place = mmap(nullptr, size + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (*place == MAP_FAILED) return cudaErrorMemoryAllocation;
    Lock lock(state().mutex);
    state().blocks[*place] = size;
    return cudaSuccess;
}

size_t release(void *place) {
    Lock lock(state().mutex);
    auto block = state().blocks.find(place);
    if (block == state().blocks.end()) return 0;
    const size_t size = block->second;
    state().blocks.erase(block);
    munmap(place, size + 1);
    return size;
}
} // namespace

extern "C" {

// --- counts ----------------------------------------------------------------------------------------------------

void pretended_launch(const char *kernel) {
    Lock lock(state().mutex);
    state().number[LAUNCHES]++;
    state().kernels[kernel]++;
}

void pretended_register(const void *function, const char *kernel) {
    Lock lock(state().mutex);
    state().names[function] = kernel;
}

void pretended_launch_of(const void *function) {
    std::string name;
    {
        Lock lock(state().mutex);
        name = state().names.count(function) ? state().names[function] : "?";
    }
    pretended_launch(name.c_str());
}

void pretended_call(const char *function) {
    Lock lock(state().mutex);
    state().number[CALLS]++;
    state().calls[function]++;
}

void pretended_reset() {
    Lock lock(state().mutex);
    const long held = state().number[BYTES_HELD];
    memset(state().number, 0, sizeof state().number);
    state().number[BYTES_HELD] = state().number[BYTES_PEAK] = held;
    state().kernels.clear();
    state().calls.clear();
}

void pretended_report(const char *path) {
    FILE *file = fopen(path, "w");
    if (!file) return;
    Lock lock(state().mutex);
    for (int i = 0; i < NUMBERS; i++) fprintf(file, "number\t%ld\t%s\n", state().number[i], NAMES[i]);
    for (auto &[name, launches] : state().kernels) fprintf(file, "kernel\t%ld\t%s\n", launches, name.c_str());
    for (auto &[name, calls] : state().calls) fprintf(file, "call\t%ld\t%s\n", calls, name.c_str());
    fclose(file);
}

// --- the device ------------------------------------------------------------------------------------------------

cudaError_t cudaGetDeviceCount(int *count) { *count = 1; return cudaSuccess; }
cudaError_t cudaGetDevice(int *device) { *device = 0; return cudaSuccess; }
cudaError_t cudaDriverGetVersion(int *version) { *version = 13000; return cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int *version) { *version = 13000; return cudaSuccess; }
const char *cudaGetErrorString(cudaError_t error) { return error ? "an error" : "no error"; }
const char *cudaGetErrorName(cudaError_t error) { return error ? "an error" : "cudaSuccess"; }

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int device) {
    memset(p, 0, sizeof *p);
    strcpy(p->name, "pretended device");
    p->major = 9, p->minor = 0, p->multiProcessorCount = 132, p->maxThreadsPerMultiProcessor = 2048;
    p->totalGlobalMem = 80ull << 30, p->sharedMemPerBlock = 49152, p->sharedMemPerMultiprocessor = 233472;
    p->regsPerBlock = 65536, p->warpSize = 32, p->maxThreadsPerBlock = 1024, p->l2CacheSize = 50 << 20;
    p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024, p->maxThreadsDim[2] = 64;
    p->maxGridSize[0] = 2147483647, p->maxGridSize[1] = p->maxGridSize[2] = 65535;
    return cudaSuccess;
}

// --- memory ----------------------------------------------------------------------------------------------------

cudaError_t cudaMalloc(void **place, size_t size) {
    if (reserve(place, size) != cudaSuccess) return cudaErrorMemoryAllocation;
    Lock lock(state().mutex);
    auto &number = state().number;
    number[ALLOCATIONS]++;
    number[BYTES_HELD] += size;
    if (number[BYTES_HELD] > number[BYTES_PEAK]) number[BYTES_PEAK] = number[BYTES_HELD];
    return cudaSuccess;
}

cudaError_t cudaFree(void *place) {
    count(BYTES_HELD, -(long)release(place));
    return cudaSuccess;
}

cudaError_t cudaMallocManaged(void **place, size_t size, unsigned flags) { return cudaMalloc(place, size); }
cudaError_t cudaMallocHost(void **place, size_t size) { return reserve(place, size); }
cudaError_t cudaFreeHost(void *place) { release(place); return cudaSuccess; }

cudaError_t cudaMemGetInfo(size_t *left, size_t *all) {
    *left = 70ull << 30, *all = 80ull << 30;
    return cudaSuccess;
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t size, cudaMemcpyKind kind) {
    if (kind == cudaMemcpyDeviceToHost) count(COPIES_DOWN), count(BYTES_DOWN, size);
    else if (kind == cudaMemcpyHostToDevice) count(COPIES_UP), count(BYTES_UP, size);
    else count(COPIES_ACROSS);
    memmove(to, from, size);
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t size, cudaMemcpyKind kind, cudaStream_t stream) {
    return cudaMemcpy(to, from, size, kind);
}

// --- order -----------------------------------------------------------------------------------------------------

cudaError_t cudaDeviceSynchronize() { count(WAITS); return cudaSuccess; }
cudaError_t cudaStreamSynchronize(cudaStream_t stream) { count(WAITS); return cudaSuccess; }
cudaError_t cudaEventSynchronize(cudaEvent_t event) { count(WAITS); return cudaSuccess; }
cudaError_t cudaStreamCreate(cudaStream_t *stream) { *stream = (cudaStream_t)malloc(8); return cudaSuccess; }
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) { return cudaStreamCreate(stream); }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) {
    *event = (cudaEvent_t)malloc(8);
    return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t from, cudaEvent_t to) {
    *milliseconds = 1;
    return cudaSuccess;
}
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t call, void *data) {
    count(HOST_CALLS);
    call(data);
    return cudaSuccess;
}
}
