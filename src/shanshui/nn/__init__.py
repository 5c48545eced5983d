"""Layers and networks of fixed weights: plain arguments in, tensors out; no disk, no configuration."""
