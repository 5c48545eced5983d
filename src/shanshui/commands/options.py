"""Generate the configuration's schema and the option table of the README from the classes in `config`."""

from __future__ import annotations

import argparse
from pathlib import Path

from shanshui.config import options
from shanshui.storage.files import write_json, write_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the stage."""
    parser.add_argument("--schema", type=Path, default="workflow/schemas/config.schema.json", help="JSON schema")
    parser.add_argument("--readme", type=Path, default="README.md", help="document with the two markers")


def run(args: argparse.Namespace) -> None:
    """Write both."""
    write_json(args.schema, options.schema())
    write_text(args.readme, options.place(args.readme.read_text(encoding="utf-8")))
