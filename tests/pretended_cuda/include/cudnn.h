// cuDNN 9, as far as Jittor calls it; RNN layers of old are gone from it. Written for the pretended device.
#pragma once
#define CUDNN_H_
#include <cstddef>
#include "cudnn_version.h"

enum cudnnStatus_t { CUDNN_STATUS_SUCCESS = 0, CUDNN_STATUS_NOT_SUPPORTED = 3000 };
enum cudnnDataType_t { CUDNN_DATA_FLOAT = 0, CUDNN_DATA_DOUBLE = 1, CUDNN_DATA_HALF = 2, CUDNN_DATA_BFLOAT16 = 9 };
enum cudnnTensorFormat_t { CUDNN_TENSOR_NCHW, CUDNN_TENSOR_NHWC };
enum cudnnConvolutionMode_t { CUDNN_CONVOLUTION, CUDNN_CROSS_CORRELATION };
enum cudnnMathType_t {
    CUDNN_DEFAULT_MATH, CUDNN_TENSOR_OP_MATH, CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION, CUDNN_FMA_MATH
};
enum cudnnDeterminism_t { CUDNN_NON_DETERMINISTIC, CUDNN_DETERMINISTIC };
enum cudnnConvolutionFwdAlgo_t {
    CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM,
    CUDNN_CONVOLUTION_FWD_ALGO_GEMM, CUDNN_CONVOLUTION_FWD_ALGO_DIRECT, CUDNN_CONVOLUTION_FWD_ALGO_FFT,
    CUDNN_CONVOLUTION_FWD_ALGO_FFT_TILING, CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD,
    CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD_NONFUSED, CUDNN_CONVOLUTION_FWD_ALGO_COUNT
};
enum cudnnConvolutionBwdDataAlgo_t {
    CUDNN_CONVOLUTION_BWD_DATA_ALGO_0, CUDNN_CONVOLUTION_BWD_DATA_ALGO_1, CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT,
    CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT_TILING, CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD,
    CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD_NONFUSED, CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT
};
enum cudnnConvolutionBwdFilterAlgo_t {
    CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT,
    CUDNN_CONVOLUTION_BWD_FILTER_ALGO_3, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_WINOGRAD,
    CUDNN_CONVOLUTION_BWD_FILTER_ALGO_WINOGRAD_NONFUSED, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT_TILING,
    CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT
};
enum cudnnRNNMode_t { CUDNN_RNN_RELU, CUDNN_RNN_TANH, CUDNN_LSTM, CUDNN_GRU };
enum { CUDNN_UNIDIRECTIONAL, CUDNN_BIDIRECTIONAL, CUDNN_LINEAR_INPUT, CUDNN_RNN_ALGO_STANDARD };

using cudnnHandle_t = struct cudnnContext *;
using cudnnTensorDescriptor_t = struct cudnnTensorStruct *;
using cudnnFilterDescriptor_t = struct cudnnFilterStruct *;
using cudnnConvolutionDescriptor_t = struct cudnnConvolutionStruct *;
using cudnnDropoutDescriptor_t = struct cudnnDropoutStruct *;
using cudnnRNNDescriptor_t = struct cudnnRNNStruct *;

#define PRETENDED_RESULT(direction)                                                                                  \
    struct cudnnConvolution##direction##AlgoPerf_t {                                                                 \
        cudnnConvolution##direction##Algo_t algo; cudnnStatus_t status; float time; std::size_t memory;              \
        cudnnDeterminism_t determinism; cudnnMathType_t mathType;                                                    \
    };
PRETENDED_RESULT(Fwd)
PRETENDED_RESULT(BwdData)
PRETENDED_RESULT(BwdFilter)

using TensorOf = const cudnnTensorDescriptor_t;  // shorter names for what follows
using FilterOf = const cudnnFilterDescriptor_t;
using ConvolutionOf = const cudnnConvolutionDescriptor_t;

extern "C" {
cudnnStatus_t cudnnCreate(cudnnHandle_t *handle);
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle);
const char *cudnnGetErrorString(cudnnStatus_t status);
cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t *made);
cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t *made);
cudnnStatus_t cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t *made);
cudnnStatus_t cudnnCreateDropoutDescriptor(cudnnDropoutDescriptor_t *made);
cudnnStatus_t cudnnCreateRNNDescriptor(cudnnRNNDescriptor_t *made);
cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t tensor);
cudnnStatus_t cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t filter);
cudnnStatus_t cudnnDestroyConvolutionDescriptor(cudnnConvolutionDescriptor_t convolution);
cudnnStatus_t cudnnDestroyDropoutDescriptor(cudnnDropoutDescriptor_t dropout);
cudnnStatus_t cudnnDestroyRNNDescriptor(cudnnRNNDescriptor_t rnn);
cudnnStatus_t cudnnDropoutGetStatesSize(cudnnHandle_t handle, std::size_t *size);
cudnnStatus_t cudnnSetDropoutDescriptor(
    cudnnDropoutDescriptor_t dropout, cudnnHandle_t handle, float share, void *states, std::size_t size,
    unsigned long long seed);
cudnnStatus_t cudnnSetTensorNdDescriptor(
    cudnnTensorDescriptor_t tensor, cudnnDataType_t type, int count, const int sizes[], const int strides[]);
cudnnStatus_t cudnnSetFilterNdDescriptor(
    cudnnFilterDescriptor_t filter, cudnnDataType_t type, cudnnTensorFormat_t format, int count, const int sizes[]);
cudnnStatus_t cudnnSetConvolutionNdDescriptor(
    cudnnConvolutionDescriptor_t convolution, int count, const int padding[], const int strides[],
    const int dilation[], cudnnConvolutionMode_t mode, cudnnDataType_t compute);
cudnnStatus_t cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t convolution, int groups);
cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t convolution, cudnnMathType_t math);
cudnnStatus_t cudnnGetConvolutionMathType(cudnnConvolutionDescriptor_t convolution, cudnnMathType_t *math);

cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(
    cudnnHandle_t handle, TensorOf x, FilterOf w, ConvolutionOf convolution, TensorOf y,
    cudnnConvolutionFwdAlgo_t algorithm, std::size_t *size);
cudnnStatus_t cudnnFindConvolutionForwardAlgorithmEx(
    cudnnHandle_t handle, TensorOf x, const void *x_data, FilterOf w, const void *w_data,
    ConvolutionOf convolution, TensorOf y, void *y_data, const int wanted, int *found,
    cudnnConvolutionFwdAlgoPerf_t *results, void *work, std::size_t size);
cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(
    cudnnHandle_t handle, TensorOf x, FilterOf w, ConvolutionOf convolution, TensorOf y,
    const int wanted, int *found, cudnnConvolutionFwdAlgoPerf_t *results);
cudnnStatus_t cudnnConvolutionForward(
    cudnnHandle_t handle, const void *alpha, TensorOf x, const void *x_data, FilterOf w, const void *w_data,
    ConvolutionOf convolution, cudnnConvolutionFwdAlgo_t algorithm, void *work, std::size_t size,
    const void *beta, TensorOf y, void *y_data);

cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(
    cudnnHandle_t handle, FilterOf w, TensorOf dy, ConvolutionOf convolution, TensorOf dx,
    cudnnConvolutionBwdDataAlgo_t algorithm, std::size_t *size);
cudnnStatus_t cudnnFindConvolutionBackwardDataAlgorithmEx(
    cudnnHandle_t handle, FilterOf w, const void *w_data, TensorOf dy, const void *dy_data,
    ConvolutionOf convolution, TensorOf dx, void *dx_data, const int wanted, int *found,
    cudnnConvolutionBwdDataAlgoPerf_t *results, void *work, std::size_t size);
cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(
    cudnnHandle_t handle, FilterOf w, TensorOf dy, ConvolutionOf convolution, TensorOf dx,
    const int wanted, int *found, cudnnConvolutionBwdDataAlgoPerf_t *results);
cudnnStatus_t cudnnConvolutionBackwardData(
    cudnnHandle_t handle, const void *alpha, FilterOf w, const void *w_data, TensorOf dy, const void *dy_data,
    ConvolutionOf convolution, cudnnConvolutionBwdDataAlgo_t algorithm, void *work, std::size_t size,
    const void *beta, TensorOf dx, void *dx_data);

cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(
    cudnnHandle_t handle, TensorOf x, TensorOf dy, ConvolutionOf convolution, FilterOf dw,
    cudnnConvolutionBwdFilterAlgo_t algorithm, std::size_t *size);
cudnnStatus_t cudnnFindConvolutionBackwardFilterAlgorithmEx(
    cudnnHandle_t handle, TensorOf x, const void *x_data, TensorOf dy, const void *dy_data,
    ConvolutionOf convolution, FilterOf dw, void *dw_data, const int wanted, int *found,
    cudnnConvolutionBwdFilterAlgoPerf_t *results, void *work, std::size_t size);
cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(
    cudnnHandle_t handle, TensorOf x, TensorOf dy, ConvolutionOf convolution, FilterOf dw,
    const int wanted, int *found, cudnnConvolutionBwdFilterAlgoPerf_t *results);
cudnnStatus_t cudnnConvolutionBackwardFilter(
    cudnnHandle_t handle, const void *alpha, TensorOf x, const void *x_data, TensorOf dy, const void *dy_data,
    ConvolutionOf convolution, cudnnConvolutionBwdFilterAlgo_t algorithm, void *work, std::size_t size,
    const void *beta, FilterOf dw, void *dw_data);
}
