"""Small generators, the students, from large ones, their teachers: their shapes and their training."""
