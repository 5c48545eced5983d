// A CUDA driver for CUDA 13.0 that shows one device of compute capability 9.0.
#include <cstddef>
#include <cstring>

extern "C" {
int cuInit(unsigned) { return 0; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDriverGetVersion(int *version) { *version = 13000; return 0; }
int cuDeviceGet(int *device, int) { *device = 0; return 0; }
int cuDeviceGetName(char *name, int length, int) { strncpy(name, "pretended device", length); return 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int) { *bytes = (size_t)80 << 30; return 0; }
int cuDeviceGetUuid(unsigned char *uuid, int) { memset(uuid, 7, 16); return 0; }
int cuDeviceGetUuid_v2(unsigned char *uuid, int) { memset(uuid, 7, 16); return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int) {
    *value = attribute == 75 ? 9 : attribute == 76 ? 0 : 1; // compute capability, major and minor
    return 0;
}
}
