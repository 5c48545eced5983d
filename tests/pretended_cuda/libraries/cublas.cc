// A cuBLAS that counts products: "gemm m n k batch, type, compute".
#include <cublas_v2.h>

#include <cstdio>
#include <cstdlib>

#include "counts.h"

static cublasStatus_t gemm(int m, int n, int k, int batch, int type, int compute) {
    char text[160];
    snprintf(text, sizeof text, "gemm m %d n %d k %d batch %d type %d compute %d", m, n, k, batch, type, compute);
    pretended_call(text);
    return CUBLAS_STATUS_SUCCESS;
}

extern "C" {
cublasStatus_t cublasCreate_v2(cublasHandle_t *handle) {
    *handle = (cublasHandle_t)malloc(64);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasGemmEx(
    cublasHandle_t, cublasOperation_t, cublasOperation_t, int m, int n, int k, const void *, const void *,
    cudaDataType type, int, const void *, cudaDataType, int, const void *, void *, cudaDataType, int,
    cublasComputeType_t compute, cublasGemmAlgo_t) {
    return gemm(m, n, k, 1, type, compute);
}
cublasStatus_t cublasGemmStridedBatchedEx(
    cublasHandle_t, cublasOperation_t, cublasOperation_t, int m, int n, int k, const void *, const void *,
    cudaDataType type, int, long long, const void *, cudaDataType, int, long long, const void *, void *, cudaDataType,
    int, long long, int batch, cublasComputeType_t compute, cublasGemmAlgo_t) {
    return gemm(m, n, k, batch, type, compute);
}
}
