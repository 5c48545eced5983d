"""Plug-in for pytest (`-p parallel_compile`): Jittor compiles the kernels of a test side by side."""

import measuring  # noqa: F401 - finds the sources

from shanshui.backend.runtime import load_jittor

load_jittor(parallel_compile=True)
