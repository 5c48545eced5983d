"""Files on disk: atomic writing, images, label maps, checkpoints and provenance."""
