"""What benchmarks import from the package exists: most of them run on a GPU only, where no test runs them."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = sorted((ROOT / "benchmarks").rglob("*.py"))


def exists(module: str, name: str) -> bool:
    """Tell whether `from module import name` would succeed."""
    if hasattr(importlib.import_module(module), name):
        return True
    try:
        importlib.import_module(f"{module}.{name}")
    except ModuleNotFoundError:
        return False
    return True


@pytest.mark.parametrize("script", SCRIPTS, ids=[str(path.relative_to(ROOT)) for path in SCRIPTS])
def test_imported_names_exist(script: Path) -> None:
    imports = (
        node
        for node in ast.walk(ast.parse(script.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "shanshui"
    )
    missing = [
        f"{node.module}.{name.name}"
        for node in imports
        for name in node.names
        if not exists(node.module or "", name.name)
    ]
    assert missing == []
