"""What the segmenter that comes with the package is called, where the name of a weights file may stand."""

from __future__ import annotations

BUILTIN = "builtin"  # the segmenter that comes with the package
