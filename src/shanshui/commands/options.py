"""Generate the configuration's schema, the documents' table of options, and the table of stages."""

from __future__ import annotations

import argparse
from pathlib import Path

from shanshui.config import options
from shanshui.storage.files import write_json, write_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("--schema", type=Path, default="workflow/schemas/config.schema.json", help="JSON schema")
    parser.add_argument("--table", type=Path, default="docs/options.md", help="document with the markers of options")
    parser.add_argument(
        "--stages", type=Path, default="docs/architecture.md", help="document with the markers of stages"
    )


def run(args: argparse.Namespace) -> None:
    """Write the schema, the table of options and the table of stages."""
    write_json(args.schema, options.schema())
    write_text(args.table, options.place(args.table.read_text(encoding="utf-8")))
    write_text(args.stages, options.place_stages(args.stages.read_text(encoding="utf-8")))
