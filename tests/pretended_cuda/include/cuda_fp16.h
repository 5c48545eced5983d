// Half precision as a type of its own; nothing is computed with it on a pretended device.
#pragma once
#include "driver_types.h"

#define PRETENDED_HALF(type, raw)                                                     \
    struct raw { unsigned short x; };                                                 \
    struct type {                                                                     \
        unsigned short x;                                                             \
        type() = default;                                                             \
        template <class T> type(T) : x(0) {}                                          \
        operator float() const { return 0; }                                          \
        type &operator=(const type &) = default;                                      \
    };

PRETENDED_HALF(__half, __half_raw)
using half = __half;
