"""Compile Jittor with CUDA and run a first operation on the device."""

from __future__ import annotations

import argparse
import time

from measuring import report

from shanshui.backend.device import find_device
from shanshui.backend.runtime import load_jittor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pretend", action="store_true", help="numbers may be wrong: no kernel runs")
    args = parser.parse_args()
    start = time.perf_counter()
    device = find_device()
    print("    " + device.why, flush=True)
    jt = load_jittor(parallel_compile=True)
    if not jt.flags.use_cuda:
        raise SystemExit("no CUDA device is used, see above; this check is of no use on a CPU")
    x = jt.randn(1000)
    variance = float((x * x).mean().item())
    report("core", seconds=time.perf_counter() - start, archs=str(jt.flags.cuda_archs), variance=variance)
    if not args.pretend and abs(variance - 1) > 0.2:
        raise SystemExit(f"the variance of 1000 normal numbers is {variance}: the device computes wrong numbers")


if __name__ == "__main__":
    main()
