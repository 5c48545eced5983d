// A CUDA driver for CUDA 13.0 that shows devices of compute capability 9.0: one, or PRETENDED_DEVICES of them, of which
// CUDA_VISIBLE_DEVICES selects some by number. Device i has a UUID of bytes 7 + i.
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <vector>

static std::vector<int> devices() {
    const char *asked = getenv("PRETENDED_DEVICES"), *visible = getenv("CUDA_VISIBLE_DEVICES");
    const int count = asked ? atoi(asked) : 1;
    std::vector<int> shown;
    if (!visible)
        for (int i = 0; i < count; i++) shown.push_back(i);
    for (const char *at = visible; at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : nullptr) {
        const int number = *at >= '0' && *at <= '9' ? atoi(at) : count;
        if (number >= count) break;  // as the real one: what comes after is not shown either
        shown.push_back(number);
    }
    return shown;
}

extern "C" {
int cuInit(unsigned) { return devices().empty() ? 100 : 0; }
int cuDeviceGetCount(int *count) { *count = devices().size(); return 0; }
int cuDriverGetVersion(int *version) { *version = 13000; return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = devices().at(ordinal); return 0; }
int cuDeviceGetName(char *name, int length, int) { strncpy(name, "pretended device", length); return 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int) { *bytes = (size_t)80 << 30; return 0; }
int cuDeviceGetUuid(unsigned char *uuid, int device) { memset(uuid, 7 + device, 16); return 0; }
int cuDeviceGetUuid_v2(unsigned char *uuid, int device) { memset(uuid, 7 + device, 16); return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int) {
    *value = attribute == 75 ? 9 : attribute == 76 ? 0 : 1; // compute capability, major and minor
    return 0;
}
}
