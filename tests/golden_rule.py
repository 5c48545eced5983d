"""The rule that made the weights of the reference outputs, loaded from beside the repository."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType


def load_rule(shared: Path) -> ModuleType:
    """`weights.py` of the reference outputs: `fill(shapes, salt, gain, power)` and the input formulas."""
    spec = importlib.util.spec_from_file_location("golden_weights", shared / "golden" / "weights.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
