// cuSPARSE, as far as Jittor compiles it; nothing here calls it. Written for the pretended device.
#pragma once
#define CUSPARSEAPI
#include <cstdint>
#include "driver_types.h"
#include "library_types.h"

enum cusparseStatus_t {
    CUSPARSE_STATUS_SUCCESS = 0, CUSPARSE_STATUS_NOT_INITIALIZED, CUSPARSE_STATUS_ALLOC_FAILED,
    CUSPARSE_STATUS_INVALID_VALUE, CUSPARSE_STATUS_ARCH_MISMATCH, CUSPARSE_STATUS_MAPPING_ERROR,
    CUSPARSE_STATUS_EXECUTION_FAILED, CUSPARSE_STATUS_INTERNAL_ERROR, CUSPARSE_STATUS_MATRIX_TYPE_NOT_SUPPORTED,
    CUSPARSE_STATUS_ZERO_PIVOT
};
enum cusparseIndexType_t { CUSPARSE_INDEX_16U = 1, CUSPARSE_INDEX_32I = 2, CUSPARSE_INDEX_64I = 3 };
enum cusparseIndexBase_t { CUSPARSE_INDEX_BASE_ZERO, CUSPARSE_INDEX_BASE_ONE };
enum cusparseOperation_t { CUSPARSE_OPERATION_NON_TRANSPOSE, CUSPARSE_OPERATION_TRANSPOSE };
enum cusparseOrder_t { CUSPARSE_ORDER_COL = 1, CUSPARSE_ORDER_ROW = 2 };
enum cusparseSpMMAlg_t { CUSPARSE_SPMM_ALG_DEFAULT = 0, CUSPARSE_SPMM_COO_ALG4 = 5, CUSPARSE_SPMM_CSR_ALG2 = 6 };
using cusparseHandle_t = struct cusparseContext *;
using cusparseSpMatDescr_t = struct cusparseSpMatDescr *;
using cusparseConstSpMatDescr_t = const struct cusparseSpMatDescr *;
using cusparseDnMatDescr_t = struct cusparseDnMatDescr *;
using cusparseConstDnMatDescr_t = const struct cusparseDnMatDescr *;

extern "C" {
cusparseStatus_t cusparseCreate(cusparseHandle_t *handle);
cusparseStatus_t cusparseDestroy(cusparseHandle_t handle);
cusparseStatus_t cusparseCreateCoo(
    cusparseSpMatDescr_t *made, int64_t rows, int64_t columns, int64_t entries, void *row, void *column, void *values,
    cusparseIndexType_t index, cusparseIndexBase_t base, cudaDataType type);
cusparseStatus_t cusparseCreateCsr(
    cusparseSpMatDescr_t *made, int64_t rows, int64_t columns, int64_t entries, void *row, void *column, void *values,
    cusparseIndexType_t offsets, cusparseIndexType_t index, cusparseIndexBase_t base, cudaDataType type);
cusparseStatus_t cusparseCreateDnMat(
    cusparseDnMatDescr_t *made, int64_t rows, int64_t columns, int64_t step, void *values, cudaDataType type,
    cusparseOrder_t order);
cusparseStatus_t cusparseDestroySpMat(cusparseConstSpMatDescr_t matrix);
cusparseStatus_t cusparseDestroyDnMat(cusparseConstDnMatDescr_t matrix);
cusparseStatus_t cusparseSpMM_bufferSize(
    cusparseHandle_t handle, cusparseOperation_t ta, cusparseOperation_t tb, const void *alpha,
    cusparseConstSpMatDescr_t a, cusparseConstDnMatDescr_t b, const void *beta, cusparseDnMatDescr_t c,
    cudaDataType type, cusparseSpMMAlg_t algorithm, size_t *size);
cusparseStatus_t cusparseSpMM(
    cusparseHandle_t handle, cusparseOperation_t ta, cusparseOperation_t tb, const void *alpha,
    cusparseConstSpMatDescr_t a, cusparseConstDnMatDescr_t b, const void *beta, cusparseDnMatDescr_t c,
    cudaDataType type, cusparseSpMMAlg_t algorithm, void *work);
}
