"""Serve a page on which label maps are drawn and become images, on this machine alone.

    python -m shanshui paint [--weights W.safetensors [MORE.safetensors ...]] [--open]
    python -m shanshui paint --weights W.safetensors --size 512x384 --labels DIR --seed 7 --port 0

Prints the page's address. The page draws label maps, imports and exports them, and shows the image of what is drawn;
everything stays on this machine. Several weights are offered as a menu. docs/paint.md describes the page, its HTTP
interface, and how to open it to other machines.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from shanshui.errors import UsageError
from shanshui.storage.size import Size
from shanshui.synthesis.generation_inputs import positive
from shanshui.synthesis.starter import given_or_starter

LIVE = {"auto": None, "on": True, "off": False}
LARGEST_PORT = 65535


def port_number(text: str) -> int:
    """Parse a port of a command line."""
    if not (text.isascii() and text.isdigit() and int(text) <= LARGEST_PORT):
        raise argparse.ArgumentTypeError(f"{text}: expected a port from 0 to {LARGEST_PORT}")
    return int(text)


def seed_number(text: str) -> int:
    """Parse a seed of a command line."""
    if not (text.isascii() and text.isdigit() and int(text) < 2**53):
        raise argparse.ArgumentTypeError(f"{text}: expected a whole number from 0 to 2^53 - 1")
    return int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("--weights", type=Path, nargs="+", metavar="FILE",
                        help="weights of a generator ; several are a menu (default: the starter model)")  # fmt: skip
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default 127.0.0.1)")
    parser.add_argument("--port", type=port_number, default=8000, help="port; 0: any free one (default 8000)")
    parser.add_argument("--size", type=Size.parse, help="WIDTHxHEIGHT to start with; default: as trained")
    parser.add_argument("--labels", type=Path, metavar="DIR", help="folder of label maps to start from (PNG, BMP)")
    parser.add_argument("--seed", type=seed_number, default=0, help="noise seed to start with (default 0)")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument("--allow-origin", nargs="+", default=[], metavar="URL",
                        help="origins whose pages may use the HTTP interface, such as https://example.org")  # fmt: skip
    parser.add_argument("--allow-host", nargs="+", default=[], metavar="NAME",
                        help="further names of this machine that browsers may use")  # fmt: skip
    parser.add_argument("--token", default="auto",
                        help="auto: one is made if other machines can reach the server; none; or a text")  # fmt: skip
    parser.add_argument("--threads", type=positive, metavar="N", help="threads of the generator (default: all cores)")
    parser.add_argument("--live", choices=tuple(LIVE), default="auto",
                        help="send drawings while they are drawn; auto: if an image takes less than 1.5 s")  # fmt: skip


def run(args: argparse.Namespace) -> None:
    """Check weights and folder, and serve until Ctrl-C."""
    from shanshui.errors import ShanshuiError
    from shanshui.painting import launch
    from shanshui.painting.context import Options
    from shanshui.painting.engine import Offer
    from shanshui.storage.checkpoint import read_meta

    weights = args.weights or [given_or_starter(None)]
    for path in weights:
        if read_meta(path).get("kind") != "generator":
            raise UsageError(f"{path} holds no generator", "a checkpoint of pretraining or fine-tuning, or an average")
    if args.labels and not args.labels.is_dir():
        raise ShanshuiError(f"{args.labels} is no folder", "a folder of label maps")
    width, height = args.size.width_first if args.size else (0, 0)
    offer = Offer([str(path) for path in weights], width, height, str(args.labels or ""))
    binding = launch.Binding(args.host, args.port, args.allow_host, args.allow_origin, args.token)
    options = Options(args.seed, LIVE[args.live], tuple(path.stem for path in weights))
    variables = {"OMP_NUM_THREADS": str(args.threads)} if args.threads else {}
    launch.run(offer, binding, options, variables, args.open)
