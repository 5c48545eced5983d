"""Whether the weights after two training steps repeat bit by bit on this GPU: in one process, and in another."""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

import measuring


def digests(args: argparse.Namespace, folder: Path, times: int) -> list[str]:
    """Digest of all weights after two steps, `times` times from the same weights in `folder`."""
    from shanshui.backend.arithmetic import Arithmetic, use
    from shanshui.backend.modules import gather
    from shanshui.backend.runtime import seed_everything

    use(Arithmetic(deterministic=True))
    found = []
    for _ in range(times):
        seed_everything(1)
        nets, step = measuring.training_step(measuring.subject(args.batch, args.channels, args.size), folder)
        step(), step()
        arrays = [array for part in nets.parts().values() for array in gather(part).values()]
        found.append(hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()[:16])
    return found


def in_a_child(folder: str, times: int) -> list[str]:
    """Digests found by a process of its own; this one must not hold the GPU meanwhile."""
    command = [sys.executable, *sys.argv, "--child", folder, "--times", str(times)]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return next((line.split()[1:] for line in said.splitlines() if line.startswith("digests")), [])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="256x192")
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--times", type=int, default=1, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print("digests", *digests(args, args.child, args.times))
        return
    with tempfile.TemporaryDirectory() as folder:
        found = in_a_child(folder, 2) + in_a_child(folder, 1)
    measuring.report("repeat", in_one_process=found[0] == found[1], in_two=found[2] == found[0], digests=found)


if __name__ == "__main__":
    main()
