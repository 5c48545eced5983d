"""From weights and label maps to images."""
