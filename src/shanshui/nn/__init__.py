"""Layers and pretrained networks: plain arguments in, tensors out; no files, no configuration."""
