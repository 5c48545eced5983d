"""The files that are handed in: filling of single-class label maps, packaging."""
