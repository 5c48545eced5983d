"""Arguments of the commands that write model cards; importing this loads nothing that is slow."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_card_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of what a card says."""
    parser.add_argument("--name", default="", help="of the model; default: from the file or folder")
    parser.add_argument(
        "--licence", default="unknown", metavar="ID", help="of the weights, such as cc-by-4.0 [unknown]"
    )
    parser.add_argument(
        "--note", default="", metavar="TEXT", help="on the training, such as its data, number of steps and duration"
    )
    parser.add_argument(
        "--scores", type=Path, nargs="+", default=[], metavar="JSON", help="score files of images of these weights"
    )
    parser.add_argument(
        "--labels", type=Path, metavar="PATH", help="label maps of the example images; default: drawn ones"
    )
