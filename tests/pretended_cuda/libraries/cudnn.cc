// A cuDNN that counts convolutions and searches for algorithms: "conv x n c h w, w o i h w, type, compute, math".
#include <cudnn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "counts.h"

struct cudnnTensorStruct { int type, count, sizes[8]; };
struct cudnnFilterStruct { int type, count, sizes[8]; };
struct cudnnConvolutionStruct { int padding[2], strides[2], groups, compute, math; };

using TensorD = const cudnnTensorDescriptor_t;
using FilterD = const cudnnFilterDescriptor_t;
using ConvolutionD = const cudnnConvolutionDescriptor_t;
static const cudnnStatus_t DONE = CUDNN_STATUS_SUCCESS;

static cudnnStatus_t call(const char *name, TensorD x, FilterD w, ConvolutionD c) {
    char text[240];
    const int *a = x->sizes, *b = w->sizes;
    snprintf(
        text, sizeof text, "%s x %d %d %d %d w %d %d %d %d stride %d padding %d groups %d type %d compute %d math %d",
        name, a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3], c->strides[0], c->padding[0], c->groups, x->type,
        c->compute, c->math);
    pretended_call(text);
    return DONE;
}

template <class Result, class Algorithm> static cudnnStatus_t found(int *count, Result *results, Algorithm algorithm) {
    pretended_call("search for an algorithm");
    memset((void *)results, 0, sizeof *results);
    results->algo = algorithm;
    *count = 1;
    return DONE;
}

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
cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t c, cudnnMathType_t math) {
    c->math = math;
    return DONE;
}

// --- forward ---------------------------------------------------------------------------------------------------

cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(
    cudnnHandle_t, TensorD, FilterD, ConvolutionD, TensorD, cudnnConvolutionFwdAlgo_t, size_t *size) {
    *size = 0;
    return DONE;
}
cudnnStatus_t cudnnFindConvolutionForwardAlgorithmEx(
    cudnnHandle_t, TensorD, const void *, FilterD, const void *, ConvolutionD, TensorD, void *, const int, int *count,
    cudnnConvolutionFwdAlgoPerf_t *results, void *, size_t) {
    return found(count, results, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM);
}
cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(
    cudnnHandle_t, TensorD, FilterD, ConvolutionD, TensorD, const int, int *count,
    cudnnConvolutionFwdAlgoPerf_t *results) {
    return found(count, results, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM);
}
cudnnStatus_t cudnnConvolutionForward(
    cudnnHandle_t, const void *, TensorD x, const void *, FilterD w, const void *, ConvolutionD c,
    cudnnConvolutionFwdAlgo_t, void *, size_t, const void *, TensorD, void *) {
    return call("conv", x, w, c);
}

// --- gradient of the input -------------------------------------------------------------------------------------

cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(
    cudnnHandle_t, FilterD, TensorD, ConvolutionD, TensorD, cudnnConvolutionBwdDataAlgo_t, size_t *size) {
    *size = 0;
    return DONE;
}
cudnnStatus_t cudnnFindConvolutionBackwardDataAlgorithmEx(
    cudnnHandle_t, FilterD, const void *, TensorD, const void *, ConvolutionD, TensorD, void *, const int, int *count,
    cudnnConvolutionBwdDataAlgoPerf_t *results, void *, size_t) {
    return found(count, results, CUDNN_CONVOLUTION_BWD_DATA_ALGO_1);
}
cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(
    cudnnHandle_t, FilterD, TensorD, ConvolutionD, TensorD, const int, int *count,
    cudnnConvolutionBwdDataAlgoPerf_t *results) {
    return found(count, results, CUDNN_CONVOLUTION_BWD_DATA_ALGO_1);
}
cudnnStatus_t cudnnConvolutionBackwardData(
    cudnnHandle_t, const void *, FilterD w, const void *, TensorD, const void *, ConvolutionD c,
    cudnnConvolutionBwdDataAlgo_t, void *, size_t, const void *, TensorD x, void *) {
    return call("gradient of x", x, w, c);
}

// --- gradient of the weights -----------------------------------------------------------------------------------

cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(
    cudnnHandle_t, TensorD, TensorD, ConvolutionD, FilterD, cudnnConvolutionBwdFilterAlgo_t, size_t *size) {
    *size = 0;
    return DONE;
}
cudnnStatus_t cudnnFindConvolutionBackwardFilterAlgorithmEx(
    cudnnHandle_t, TensorD, const void *, TensorD, const void *, ConvolutionD, FilterD, void *, const int, int *count,
    cudnnConvolutionBwdFilterAlgoPerf_t *results, void *, size_t) {
    return found(count, results, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1);
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(
    cudnnHandle_t, TensorD, TensorD, ConvolutionD, FilterD, const int, int *count,
    cudnnConvolutionBwdFilterAlgoPerf_t *results) {
    return found(count, results, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1);
}
cudnnStatus_t cudnnConvolutionBackwardFilter(
    cudnnHandle_t, const void *, TensorD x, const void *, TensorD, const void *, ConvolutionD c,
    cudnnConvolutionBwdFilterAlgo_t, void *, size_t, const void *, FilterD w, void *) {
    return call("gradient of w", x, w, c);
}
}
