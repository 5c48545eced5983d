"""Text of a `cudnn.h` by which Jittor's convolutions compute as `backend.arithmetic` asks.

Jittor 1.3.11 asks cuDNN to sum the products of a half-precision convolution in half precision, lets it round the inputs
of others (to TF32, or to half precision), and takes the algorithm that was fastest when it was timed, whether or not
its bits repeat. This header, compiled into every convolution, replaces the functions that Jittor calls for that. It
reads the environment at every call: SHANSHUI_PRECISION (fp32, tf32, bf16), SHANSHUI_DETERMINISTIC (1).
"""

from __future__ import annotations

from pathlib import Path

PRECISION, DETERMINISTIC = "SHANSHUI_PRECISION", "SHANSHUI_DETERMINISTIC"

GONE_FROM_CUDNN_9 = (
    "cudnnSetRNNDescriptor_v6",
    "cudnnGetRNNParamsSize",
    "cudnnGetRNNWorkspaceSize",
    "cudnnGetRNNTrainingReserveSize",
    "cudnnGetRNNLinLayerMatrixParams",
    "cudnnGetRNNLinLayerBiasParams",
    "cudnnRNNForwardInference",
    "cudnnRNNForwardTraining",
    "cudnnRNNBackwardData",
    "cudnnRNNBackwardWeights",
)

ARITHMETIC = f"""#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>
namespace shanshui {{
inline bool asked(const char* name, const char* value) {{
    const char* given = std::getenv(name);
    return given && !std::strcmp(given, value);
}}
inline bool deterministic() {{ return asked("{DETERMINISTIC}", "1"); }}
inline cudnnStatus_t set_convolution(
    cudnnConvolutionDescriptor_t convolution, int count, const int* padding, const int* strides, const int* dilation,
    cudnnConvolutionMode_t mode
) {{
    const cudnnStatus_t status =
        cudnnSetConvolutionNdDescriptor(convolution, count, padding, strides, dilation, mode, CUDNN_DATA_FLOAT);
    if (status != CUDNN_STATUS_SUCCESS) return status;
    return cudnnSetConvolutionMathType(convolution, asked("{PRECISION}", "tf32") ? CUDNN_DEFAULT_MATH : CUDNN_FMA_MATH);
}}
// Jittor asks for conversion of the inputs to half precision wherever tensor cores may be used, which TF32 and bfloat16
// do not need
inline cudnnStatus_t set_math(cudnnConvolutionDescriptor_t convolution, cudnnMathType_t math) {{
    return cudnnSetConvolutionMathType(
        convolution, math == CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION ? CUDNN_TENSOR_OP_MATH : math);
}}
// Puts algorithms first that were measured with the convolution's math type and need no more memory than there is; says
// of the others in `all` that they do not serve where bits are to repeat. Jittor takes the first that serves.
template <class Result> void choose(
    cudnnConvolutionDescriptor_t convolution, std::vector<Result>& all, size_t memory, int wanted, int* count,
    Result* results
) {{
    cudnnMathType_t math = CUDNN_DEFAULT_MATH;
    cudnnGetConvolutionMathType(convolution, &math);
    if (deterministic())
        for (Result& one : all)
            if (one.determinism != CUDNN_DETERMINISTIC) one.status = CUDNN_STATUS_NOT_SUPPORTED;
    const auto serves = [](const Result& one) {{ return one.status == CUDNN_STATUS_SUCCESS; }};
    std::stable_partition(all.begin(), all.end(), [=](const Result& one) {{
        return serves(one) && one.mathType == math && one.memory <= memory;
    }});
    if (deterministic() && std::none_of(all.begin(), all.end(), serves))
        std::fprintf(stderr, "deterministic true: cuDNN has no algorithm for this convolution whose bits repeat\\n");
    *count = std::min<int>(wanted, all.size());
    std::copy_n(all.begin(), *count, results);
}}
const int ROOM = 32;  // algorithms, each with two math types
template <class List, class A, class B, class C, class Result> cudnnStatus_t list(
    List listed, cudnnHandle_t handle, A a, B b, cudnnConvolutionDescriptor_t convolution, C c, int wanted, int* count,
    Result* results, size_t memory = size_t(-1)
) {{
    std::vector<Result> all(ROOM);
    const cudnnStatus_t status = listed(handle, a, b, convolution, c, ROOM, count, all.data());
    if (status != CUDNN_STATUS_SUCCESS) return status;
    all.resize(*count);
    choose(convolution, all, memory, wanted, count, results);
    return status;
}}
// times all algorithms, unless bits are to repeat: which is fastest differs from run to run
template <class Find, class List, class A, class B, class C, class Result> cudnnStatus_t find(
    Find timed, List listed, cudnnHandle_t handle, A a, const void* a_data, B b, const void* b_data,
    cudnnConvolutionDescriptor_t convolution, C c, void* c_data, int wanted, int* count, Result* results, void* work,
    size_t memory
) {{
    if (deterministic()) return list(listed, handle, a, b, convolution, c, wanted, count, results, memory);
    std::vector<Result> all(ROOM);
    const cudnnStatus_t status =
        timed(handle, a, a_data, b, b_data, convolution, c, c_data, ROOM, count, all.data(), work, memory);
    if (status != CUDNN_STATUS_SUCCESS) return status;
    all.resize(*count);
    choose(convolution, all, memory, wanted, count, results);
    return status;
}}
}}
#define cudnnSetConvolutionNdDescriptor(convolution, count, padding, strides, dilation, mode, compute) \\
    shanshui::set_convolution(convolution, count, padding, strides, dilation, mode)
#define cudnnSetConvolutionMathType(convolution, math) shanshui::set_math(convolution, math)
"""

DIRECTIONS = ("Forward", "BackwardData", "BackwardFilter")
SEARCHES = """#define cudnnFindConvolution{0}AlgorithmEx(...) \\
    shanshui::find(cudnnFindConvolution{0}AlgorithmEx, cudnnGetConvolution{0}Algorithm_v7, __VA_ARGS__)
#define cudnnGetConvolution{0}Algorithm_v7(...) shanshui::list(cudnnGetConvolution{0}Algorithm_v7, __VA_ARGS__)
"""


def cudnn_header(real: Path, version: int) -> str:
    """Write the header around the toolkit's own; of version 9, it also declares what Jittor compiles and never calls.

    Convolutions of any type sum in single precision.
    """
    gone = "".join(
        f"template <class... T> inline cudnnStatus_t {name}(T...) {{ return CUDNN_STATUS_NOT_SUPPORTED; }}\n"
        for name in (GONE_FROM_CUDNN_9 if version == 9 else ())
    )
    return f"""// cuDNN, its convolutions with sums in single precision; in 9 also the functions of RNN layers of 8.
#pragma once
#include "{real}"
{ARITHMETIC}{"".join(SEARCHES.format(direction) for direction in DIRECTIONS)}{gone}"""
