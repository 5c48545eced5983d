"""Files on the disk: written whole or not at all; images, checkpoints, and what made a file."""
