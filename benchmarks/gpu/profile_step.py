"""Where a full-size step's time goes on the GPU, kernel by kernel, and what of it runs on the CPU."""

from __future__ import annotations

import argparse
import csv
import tempfile
from pathlib import Path

import measuring

from shanshui.backend.runtime import load_jittor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="512x384")
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--batch", type=int, default=5)
    args = parser.parse_args()
    jt = load_jittor(parallel_compile=True)
    with tempfile.TemporaryDirectory() as folder:
        _, step = measuring.training_step(measuring.subject(args.batch, args.channels, args.size), Path(folder))
    step(), step()
    with jt.profile_scope() as profile:
        step()
    heading, *rows = [[str(cell) for cell in row] for row in profile]
    with open(measuring.OUT / "profile.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([heading, *rows])
    total, count = heading.index("TotalTime"), heading.index("Count")  # nanoseconds
    rows = [row for row in rows if float(row[total]) > 0 and not row[0].startswith("Total")]
    on_cpu = [row for row in rows if "JIT_cpu" in row[0]]
    measuring.report(
        "profile", batch=args.batch, kernels=len(rows), calls=sum(int(float(row[count])) for row in rows),
        ms=sum(float(row[total]) for row in rows) / 1e6, on_cpu_kernels=len(on_cpu),
        on_cpu_ms=sum(float(row[total]) for row in on_cpu) / 1e6,
    )  # fmt: skip
    for row in sorted(rows, key=lambda row: -float(row[total]))[:40]:
        where = "CPU" if "JIT_cpu" in row[0] else "   "
        print(f"    {float(row[total]) / 1e6:9.2f} ms {int(float(row[count])):5d} x {where} {row[0][:150]}", flush=True)


if __name__ == "__main__":
    main()
