"""Average the weights of several checkpoints into one.

python -m shanshui merge epoch_003.safetensors epoch_005.safetensors --out 003+005.safetensors
"""

from __future__ import annotations

import argparse
from pathlib import Path

from shanshui import checkpoint
from shanshui.errors import UsageError
from shanshui.files import sha256
from shanshui.merging import average, refresh_singular_vectors


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the stage."""
    parser.add_argument("weights", nargs="+", type=Path, help="two or more checkpoints (*.safetensors)")
    parser.add_argument("--out", required=True, type=Path, help="averaged checkpoint")


def run(args: argparse.Namespace) -> None:
    """Average and write, with a list of what was averaged in the metadata."""
    if len(args.weights) < 2:
        raise UsageError("one checkpoint given", "two or more to average")
    parts = [checkpoint.load(path) for path in args.weights]
    mean = average([part.arrays for part in parts], [str(path) for path in args.weights])
    meta = {k: v for k, v in parts[0].meta.items() if k not in ("epoch", "shanshui", "python")}
    averaged = [
        {"file": path.name, "sha256": sha256(path), "epoch": part.meta.get("epoch")}
        for path, part in zip(args.weights, parts, strict=True)
    ]
    checkpoint.save(args.out, refresh_singular_vectors(mean), **meta, averaged=averaged)
