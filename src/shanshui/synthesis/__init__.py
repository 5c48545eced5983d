"""Generation of images from weights and label maps."""
