"""`make fuzz`: random inputs until the time is over or the cases are done; a table, and what ended badly.

python -m fuzz [--minutes 10] [--cases 2000] [--processes 200] [--seed 0] [--only KIND:SEED]
"""

from __future__ import annotations

import argparse
import functools
import itertools
import random
import sys
import tempfile
import time
from pathlib import Path

from fuzz import cases
from fuzz.cases import Kind
from fuzz.running import KINDS, Figures, run_case

SHARE = {"picture": 8, "validate": 5, "configuration": 8, "weights": 6, "import": 1, "score": 3, "generate": 3}
COMMANDS = ("validate", "import", "score", "generate")  # that can run as processes of their own


def network(path: Path) -> None:
    """Weights of a tiny generator of three classes that paints 64x32."""
    from shanshui.architectures.networks import build_generator
    from shanshui.backend.modules import gather
    from shanshui.backend.runtime import seed_everything
    from shanshui.storage import checkpoint
    from shanshui.training.precompilation_steps import SETTINGS

    seed_everything(0)
    generator = build_generator(SETTINGS)
    arrays = checkpoint.prefixed("G", gather(generator.G)) | checkpoint.prefixed("E", gather(generator.E))
    data = {**SETTINGS["data"], "width": 64, "height": 32, "label_offset": 0, "ignore_label": None}
    meta = {**SETTINGS, "data": data, "heads": 0, "seg_noise": False, "level": None, "alpha": 0.0}
    checkpoint.save(path, arrays, kind="generator", **meta)


def order(kinds: dict[str, Kind], seed: int) -> itertools.cycle[str]:
    """Kinds by their shares, mixed."""
    mixed = [kind for kind in kinds for _ in range(SHARE[kind])]
    random.Random(seed).shuffle(mixed)
    return itertools.cycle(mixed)


def main() -> int:
    """Run; 1 where a case ended badly."""
    parser = argparse.ArgumentParser(prog="fuzz", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10, help="no case begins later (default 10)")
    parser.add_argument("--cases", type=int, default=2000, help="within this process (default 2000)")
    parser.add_argument("--processes", type=int, default=200, help="commands as processes of their own (default 200)")
    parser.add_argument("--seed", type=int, default=0, help="of the first case; the same seed, the same cases")
    parser.add_argument("--only", metavar="KIND:SEED", help="one case")
    args = parser.parse_args()
    end, figures = time.monotonic() + 60 * args.minutes, Figures()
    with tempfile.TemporaryDirectory() as place:
        weights = Path(place) / "w.safetensors"
        network(weights)
        kinds: dict[str, Kind] = {**KINDS, "generate": functools.partial(cases.generate, network=weights)}
        if args.only:
            kind, _, number = args.only.partition(":")
            run_case(kind, int(number), figures, kinds=kinds)
        else:
            plans = ((args.cases, kinds, False), (args.processes, {k: kinds[k] for k in COMMANDS}, True))
            for share, (count, chosen, apart) in zip((0.7, 1.0), plans, strict=True):
                until = end - (1 - share) * 60 * args.minutes
                for number, kind in zip(range(count), order(chosen, args.seed), strict=False):
                    if time.monotonic() > until:
                        print(f"the time was over after {number} of {count}", file=sys.stderr)
                        break
                    run_case(kind, args.seed + number + apart * 1_000_000, figures, apart, kinds)
    print(*figures.bad, figures.table(), sep="\n")
    return int(bool(figures.bad))


if __name__ == "__main__":
    sys.exit(main())
