"""Weight files of other implementations: names, sources, and safe reading."""
