"""Jittor and the machine: start, compilation, CUDA, devices, GPU locks, MPI."""
