"""A CUDA toolkit, driver and libraries that compute nothing: what a run asks of a device, counted without one."""
