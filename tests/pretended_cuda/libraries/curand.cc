// A cuRAND that counts and draws nothing.
#include <curand.h>

#include <cstdlib>

#include "counts.h"

extern "C" {
curandStatus_t curandCreateGenerator(curandGenerator_t *generator, curandRngType_t) {
    *generator = (curandGenerator_t)malloc(64);
    return CURAND_STATUS_SUCCESS;
}
curandStatus_t curandGenerateNormal(curandGenerator_t, float *, size_t, float, float) {
    pretended_call("curandGenerateNormal");
    return CURAND_STATUS_SUCCESS;
}
curandStatus_t curandGenerateUniform(curandGenerator_t, float *, size_t) {
    pretended_call("curandGenerateUniform");
    return CURAND_STATUS_SUCCESS;
}
}
