"""Write a model card: what a weights file was trained on and scored by, its size and licence, and how to use it.

    python -m shanshui card W.safetensors
    python -m shanshui card W.safetensors --out README.md --examples examples.png --scores S.json --licence cc-by-4.0

Without `--out` it is printed. The card is Markdown with a YAML head, as hubs of models read it. `export hub` lays out a
whole folder.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from shanshui.errors import UsageError
from shanshui.report.card_arguments import add_card_arguments
from shanshui.storage.outputs import add_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("weights", type=Path, metavar="WEIGHTS", help="checkpoint or average (*.safetensors)")
    add_file(parser, "--out", ".md", metavar="FILE", help="write the card to this file instead of printing it")
    add_file(parser, "--examples", ".png", metavar="FILE", help="write example images, which the card shows")
    add_card_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Write or print the card."""
    if args.labels and not args.examples:
        raise UsageError("--labels without --examples", "both: label maps are used for the example images only")
    if args.examples and not args.out:
        raise UsageError("--examples without --out", "both: the card shows the images by their file name")
    from shanshui.report.card_content import card_content, example_images
    from shanshui.report.model_card import card_text
    from shanshui.storage.files import write_text
    from shanshui.storage.images import write_image

    shown = Path(os.path.relpath(args.examples, args.out.parent)).as_posix() if args.examples else ""
    content = card_content(
        args.weights, name=args.name, licence=args.licence, note=args.note, scores=args.scores, examples=shown
    )
    text = card_text(content)
    if not args.out:
        print(text, end="")
        return
    if args.examples:
        write_image(args.examples, example_images(args.weights, args.labels))
    write_text(args.out, text)
