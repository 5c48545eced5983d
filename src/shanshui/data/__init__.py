"""Datasets: finding, checking, preparing and loading training pairs and label maps."""
