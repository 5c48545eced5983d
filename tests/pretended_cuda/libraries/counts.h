// What the pretended libraries tell each other: all counting is done in the runtime library.
#pragma once

extern "C" {
void pretended_launch(const char *kernel);                   // a kernel by its name
void pretended_launch_of(const void *function);              // a kernel nvcc compiled and registered
void pretended_register(const void *function, const char *kernel);
void pretended_call(const char *function);                   // of cuBLAS, cuDNN, cuRAND, CUB
void pretended_reset();                                      // everything but the memory held starts from 0
void pretended_report(const char *path);                     // see device_counts.py
}
