"""Generators, discriminators, encoders and segmenters: their networks, how they are built and called."""
