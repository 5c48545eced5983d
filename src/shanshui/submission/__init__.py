"""The submission: replacing images of single-class label maps, and packaging."""
