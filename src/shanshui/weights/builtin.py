"""The name of the built-in segmenter, accepted in place of a weights file."""

from __future__ import annotations

BUILTIN = "builtin"  # the segmenter that comes with the package
