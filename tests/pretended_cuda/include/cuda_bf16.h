// See cuda_fp16.h.
#pragma once
#include "cuda_fp16.h"
PRETENDED_HALF(__nv_bfloat16, __nv_bfloat16_raw)
