"""Documents made from the configuration's classes are in step with them."""

from __future__ import annotations

from pathlib import Path

from shanshui.config import options
from shanshui.storage.files import read_json

FIX = "run `python -m shanshui options`"


def test_schema_is_in_step(root: Path) -> None:
    assert read_json(root / "workflow" / "schemas" / "config.schema.json") == options.schema(), FIX


def test_table_of_options_is_in_step(root: Path) -> None:
    text = (root / "docs" / "options.md").read_text(encoding="utf-8")
    assert options.BEGIN in text, "docs/options.md has lost the marker of the option table"
    assert options.place(text) == text, FIX


def test_table_of_stages_is_in_step(root: Path) -> None:
    text = (root / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert all(mark in text for mark in options.STAGES), (
        "docs/architecture.md has lost the markers of the table of stages"
    )
    assert options.place_stages(text) == text, FIX


def test_every_option_is_described() -> None:
    rows = options.option_table().splitlines()[3:-2]
    assert len(rows) > 60
    assert not [row for row in rows if "| None" in row]
