"""shanshui (山水): semantic label maps in, landscape photographs out."""

__version__ = "0.1.0"
