"""How long Snakemake plans: the leaderboard recipe on 10,000 pairs and 1,000 label maps, before and after the run.

    python benchmarks/planning.py [--limit 15]

The pairs are empty-ish files and the stages compute nothing (`tests/stand_in.py`), so that the finished run is made
in a minute or two; what is planned is real. Exit code 1 where a dry run takes longer than the limit (seconds).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

from copied_workflow import CopiedWorkflow, Planner, Run  # noqa: E402

from shanshui.config.schema import Config  # noqa: E402
from shanshui.config.settings import needed_weights  # noqa: E402
from shanshui.pipeline.run_paths import weight_path  # noqa: E402

PAIRS, TESTS = 10_000, 1_000


def make_data(folder: Path) -> None:
    """Pairs, test label maps and weight files that hold next to nothing."""
    for part, suffix, count in (
        ("train/imgs", "jpg", PAIRS),
        ("train/labels", "png", PAIRS),
        ("test/labels", "png", TESTS),
    ):
        place = folder / "data" / part
        place.mkdir(parents=True)
        for number in range(count):
            (place / f"{number:05d}.{suffix}").write_bytes(b"x")
    for name in needed_weights(Config()):
        file = folder / weight_path(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")


def dry_run(run: Run) -> float:
    """Seconds of one `snakemake -n` as a command of its own, its imports included."""
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(run.workflow.folder / "Snakefile"), "--configfile",
        "config.yaml", "--cores", "2", "--dry-run", "--quiet", "rules",
    ]  # fmt: skip
    begin = time.perf_counter()
    done = subprocess.run(command, cwd=run.folder, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begin
    if done.returncode != 0:
        raise SystemExit(done.stdout + done.stderr)
    return seconds


def main() -> None:
    """Measure both, print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=float, default=15, help="seconds a dry run may take")
    limit = parser.parse_args().limit
    planner = Planner()
    with tempfile.TemporaryDirectory() as place:
        run = CopiedWorkflow(Path(place) / "copy", planner).begin("leaderboard", {"run": "leaderboard"})
        make_data(run.folder)
        first = dry_run(run)
        print(f"first time: {first:.1f} s", flush=True)
        begin = time.perf_counter()
        count = sum(run.jobs().values())
        print(f"({count} jobs that compute nothing: {time.perf_counter() - begin:.0f} s)", flush=True)
        last = dry_run(run)
        print(f"when all is done: {last:.1f} s", flush=True)
    planner.close()
    if max(first, last) > limit:
        raise SystemExit(f"longer than {limit:g} s")


if __name__ == "__main__":
    main()
