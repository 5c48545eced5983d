"""Files on disk: atomic writing, images, checkpoints and provenance."""
