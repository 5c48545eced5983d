// A cuDNN that counts convolutions and how their algorithms are found: "conv x n c h w, w o i h w, type, compute, math,
// algorithm". Of a convolution's three algorithms the first is the fastest, the last alone repeats its bits.
#include <cudnn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "counts.h"

struct cudnnTensorStruct { int type, count, sizes[8]; };
struct cudnnFilterStruct { int type, count, sizes[8]; };
struct cudnnConvolutionStruct { int padding[2], strides[2], groups, compute, math; };

using TensorD = const cudnnTensorDescriptor_t;
using FilterD = const cudnnFilterDescriptor_t;
using ConvolutionD = const cudnnConvolutionDescriptor_t;
static const cudnnStatus_t DONE = CUDNN_STATUS_SUCCESS;

static cudnnStatus_t call(const char *name, TensorD x, FilterD w, ConvolutionD c, int algorithm) {
    char text[240];
    const int *a = x->sizes, *b = w->sizes;
    snprintf(
        text, sizeof text, "%s x %d %d %d %d w %d %d %d %d stride %d padding %d groups %d type %d compute %d math %d "
        "algorithm %d",
        name, a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3], c->strides[0], c->padding[0], c->groups, x->type,
        c->compute, c->math, algorithm);
    pretended_call(text);
    return DONE;
}

// as the real one: measured with the descriptor's math type, and with the default
template <class Result> static cudnnStatus_t found(const char *how, int wanted, int *count, Result *results, ConvolutionD c) {
    pretended_call(how);
    const int algorithms[] = {2, 0, 1};
    *count = 0;
    for (int algorithm : algorithms)
        for (int math : {(int)CUDNN_DEFAULT_MATH, c->math}) {
            if (*count == wanted) return DONE;
            Result &one = results[(*count)++];
            memset((void *)&one, 0, sizeof one);
            one.algo = (decltype(one.algo))algorithm, one.mathType = (cudnnMathType_t)math;
            one.determinism = algorithm == 1 ? CUDNN_DETERMINISTIC : CUDNN_NON_DETERMINISTIC;
        }
    return DONE;
}
static const char *TIMED = "search for an algorithm", *LISTED = "choice of an algorithm";

template <class Descriptor> static cudnnStatus_t make(Descriptor *descriptor) {
    *descriptor = (Descriptor)calloc(1, sizeof **descriptor);
    return DONE;
}

extern "C" {
const char *cudnnGetErrorString(cudnnStatus_t) { return "pretended"; }
cudnnStatus_t cudnnCreate(cudnnHandle_t *handle) { *handle = (cudnnHandle_t)malloc(64); return DONE; }
cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t *made) { return make(made); }
cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t *made) { return make(made); }
cudnnStatus_t cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t *made) { return make(made); }
cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t tensor) { free(tensor); return DONE; }
cudnnStatus_t cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t filter) { free(filter); return DONE; }
cudnnStatus_t cudnnDestroyConvolutionDescriptor(cudnnConvolutionDescriptor_t c) { free(c); return DONE; }

cudnnStatus_t cudnnSetTensorNdDescriptor(
    cudnnTensorDescriptor_t tensor, cudnnDataType_t type, int count, const int sizes[], const int strides[]) {
    tensor->type = type, tensor->count = count;
    memcpy(tensor->sizes, sizes, count * sizeof(int));
    return DONE;
}
cudnnStatus_t cudnnSetFilterNdDescriptor(
    cudnnFilterDescriptor_t filter, cudnnDataType_t type, cudnnTensorFormat_t, int count, const int sizes[]) {
    filter->type = type, filter->count = count;
    memcpy(filter->sizes, sizes, count * sizeof(int));
    return DONE;
}
// In brackets: the bridge's header makes a macro of this name.
cudnnStatus_t(cudnnSetConvolutionNdDescriptor)(
    cudnnConvolutionDescriptor_t c, int count, const int padding[], const int strides[], const int dilation[],
    cudnnConvolutionMode_t mode, cudnnDataType_t compute) {
    memcpy(c->padding, padding, sizeof c->padding);
    memcpy(c->strides, strides, sizeof c->strides);
    c->groups = 1, c->compute = compute;
    return DONE;
}
cudnnStatus_t cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t c, int groups) { c->groups = groups; return DONE; }
cudnnStatus_t(cudnnSetConvolutionMathType)(cudnnConvolutionDescriptor_t c, cudnnMathType_t math) {
    c->math = math;
    return DONE;
}
cudnnStatus_t cudnnGetConvolutionMathType(cudnnConvolutionDescriptor_t c, cudnnMathType_t *math) {
    *math = (cudnnMathType_t)c->math;
    return DONE;
}

// --- forward ---------------------------------------------------------------------------------------------------

cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(
    cudnnHandle_t, TensorD, FilterD, ConvolutionD, TensorD, cudnnConvolutionFwdAlgo_t, size_t *size) {
    *size = 0;
    return DONE;
}
cudnnStatus_t(cudnnFindConvolutionForwardAlgorithmEx)(
    cudnnHandle_t, TensorD, const void *, FilterD, const void *, ConvolutionD c, TensorD, void *, const int wanted,
    int *count, cudnnConvolutionFwdAlgoPerf_t *results, void *, size_t) {
    return found(TIMED, wanted, count, results, c);
}
cudnnStatus_t(cudnnGetConvolutionForwardAlgorithm_v7)(
    cudnnHandle_t, TensorD, FilterD, ConvolutionD c, TensorD, const int wanted, int *count,
    cudnnConvolutionFwdAlgoPerf_t *results) {
    return found(LISTED, wanted, count, results, c);
}
cudnnStatus_t cudnnConvolutionForward(
    cudnnHandle_t, const void *, TensorD x, const void *, FilterD w, const void *, ConvolutionD c,
    cudnnConvolutionFwdAlgo_t algorithm, void *, size_t, const void *, TensorD, void *) {
    return call("conv", x, w, c, algorithm);
}

// --- gradient of the input -------------------------------------------------------------------------------------

cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(
    cudnnHandle_t, FilterD, TensorD, ConvolutionD, TensorD, cudnnConvolutionBwdDataAlgo_t, size_t *size) {
    *size = 0;
    return DONE;
}
cudnnStatus_t(cudnnFindConvolutionBackwardDataAlgorithmEx)(
    cudnnHandle_t, FilterD, const void *, TensorD, const void *, ConvolutionD c, TensorD, void *, const int wanted,
    int *count, cudnnConvolutionBwdDataAlgoPerf_t *results, void *, size_t) {
    return found(TIMED, wanted, count, results, c);
}
cudnnStatus_t(cudnnGetConvolutionBackwardDataAlgorithm_v7)(
    cudnnHandle_t, FilterD, TensorD, ConvolutionD c, TensorD, const int wanted, int *count,
    cudnnConvolutionBwdDataAlgoPerf_t *results) {
    return found(LISTED, wanted, count, results, c);
}
cudnnStatus_t cudnnConvolutionBackwardData(
    cudnnHandle_t, const void *, FilterD w, const void *, TensorD, const void *, ConvolutionD c,
    cudnnConvolutionBwdDataAlgo_t algorithm, void *, size_t, const void *, TensorD x, void *) {
    return call("gradient of x", x, w, c, algorithm);
}

// --- gradient of the weights -----------------------------------------------------------------------------------

cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(
    cudnnHandle_t, TensorD, TensorD, ConvolutionD, FilterD, cudnnConvolutionBwdFilterAlgo_t, size_t *size) {
    *size = 0;
    return DONE;
}
cudnnStatus_t(cudnnFindConvolutionBackwardFilterAlgorithmEx)(
    cudnnHandle_t, TensorD, const void *, TensorD, const void *, ConvolutionD c, FilterD, void *, const int wanted,
    int *count, cudnnConvolutionBwdFilterAlgoPerf_t *results, void *, size_t) {
    return found(TIMED, wanted, count, results, c);
}
cudnnStatus_t(cudnnGetConvolutionBackwardFilterAlgorithm_v7)(
    cudnnHandle_t, TensorD, TensorD, ConvolutionD c, FilterD, const int wanted, int *count,
    cudnnConvolutionBwdFilterAlgoPerf_t *results) {
    return found(LISTED, wanted, count, results, c);
}
cudnnStatus_t cudnnConvolutionBackwardFilter(
    cudnnHandle_t, const void *, TensorD x, const void *, TensorD, const void *, ConvolutionD c,
    cudnnConvolutionBwdFilterAlgo_t algorithm, void *, size_t, const void *, FilterD w, void *) {
    return call("gradient of w", x, w, c, algorithm);
}
}
