"""Prove and measure the GPU path on this machine, unattended, the most valuable first.

    make gpu-check                                        in .venv; results in results/gpu-check/
    python3 benchmarks/gpu/check.py --kit .gpu --out DIR  a bare machine without network, with what `make gpu-kit` made
    ... --only operations parity --limit 240              some of the steps again

Every step is a process of its own with its own time limit and writes at once, so that what came before a failure is
kept: log.txt, results.jsonl, steps.txt, profile.csv, doctor.json. Nothing of the card's settings is touched. PyTorch is
measured beside where it is installed. The folder is what to send with a report. Needs the standard library only.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FP32 = {"NVIDIA_TF32_OVERRIDE": "0"}
DENSE = {"SHANSHUI_GPU_PATCHES": "off"}
ALWAYS = ("setup", "core")  # what all others need
SPARE = 8  # seconds with less than which no step begins


@dataclass(frozen=True)
class Step:
    """One measurement: its name, limit in seconds, command behind Python, and what it adds to the environment."""

    name: str
    limit: float
    commands: tuple[tuple[str, ...], ...]
    environment: dict[str, str] = field(default_factory=dict)
    needs_torch: bool = False


def steps(out: Path, work: Path, pretend: bool) -> list[Step]:
    """All steps in their order."""

    def script(name: str, *arguments: object) -> tuple[str, ...]:
        return (str(HERE / f"{name}.py"), *map(str, arguments))

    parity = work / "parity"
    golden = [str(ROOT / "tests" / f"test_{name}.py") for name in ("golden_apf", "golden_spade", "inception")]
    quiet = "-q", "-n", "0", "-p", "no:cacheprovider", "--no-header"
    return [
        Step("facts", 30, (script("facts"),)),
        Step("doctor", 40, (("-m", "shanshui", "doctor", "--out", str(out / "doctor.json")),)),
        Step("core", 300, (script("core", *(["--pretend"] if pretend else [])),)),
        Step("operations", 120, (script("operations", "--large"),), FP32),
        Step("torch", 150, (script("torch_speed"),), needs_torch=True),
        Step(
            "parity", 150,
            (
                script("parity", parity, "ours", "--side", "ours"),
                script("parity", parity, "torch", "--side", "torch"),
                script("parity", parity, "ours", "--side", "compare"),
            ),
            FP32, needs_torch=True,
        ),
        Step("losses", 120, (script("losses", work / "losses"),)),
        Step("tf32", 90, (script("speed", "--precision", "tf32", "--features"),), DENSE),
        Step("profile", 60, (script("profile_step", "--batch", 5),), DENSE),
        Step("golden", 90, (("-m", "pytest", *quiet, "-p", "parallel_compile", "-k", "not patches", *golden),), FP32),
        Step("fp32", 60, (script("speed", "--precision", "fp32", "--batches", 1, 5),), FP32 | DENSE),
        Step("bf16", 60, (script("speed", "--precision", "bf16", "--batches", 1, 5),), DENSE),
        Step("patches", 60, (script("speed", "--batches", 1, 5),), {"SHANSHUI_GPU_PATCHES": "on"}),
        Step("repeat", 60, (script("repeatability"),)),
    ]  # fmt: skip


class Log:
    """Prints to the screen and to log.txt alike."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def say(self, line: str) -> None:
        print(line, flush=True)
        with open(self.file, "a", encoding="utf-8") as log:
            log.write(line + "\n")


def lines_of(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    for line in process.stdout:
        yield line.rstrip("\n")


def run(command: list[str], environment: dict[str, str], limit: float, log: Log) -> int:
    """Run one command for at most `limit` seconds and show what it prints.

    Returns:
        Its exit code, 124 where it was ended at the limit.
    """
    process = subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace", start_new_session=True,
    )  # fmt: skip
    kill = f"import os, time; time.sleep({limit:.1f}); os.killpg({process.pid}, {int(signal.SIGKILL)})"
    watchdog = subprocess.Popen([sys.executable, "-c", kill])  # reading the output blocks this process
    begin = time.monotonic()
    try:
        for line in lines_of(process):
            log.say(line)
        code = process.wait()
    finally:
        watchdog.kill()
        watchdog.wait()
    return 124 if time.monotonic() - begin >= limit else code


def run_step(step: Step, python: str, environment: dict[str, str], limit: float, log: Log) -> int:
    """Run the commands of a step one after another until one fails; one ended by a signal is tried once more.

    Jittor's threads that compile kernels crash now and then; what was compiled before is found again.
    """
    begin = time.monotonic()
    for arguments in step.commands:
        for attempt in range(2):
            rest = limit - (time.monotonic() - begin)
            code = run([python, *arguments], environment | step.environment, max(rest, 1), log)
            if code >= 0 or attempt or rest < 15:
                break
            log.say(f"--- {step.name} was ended by signal {-code}: again")
        if code:
            return code
    return 0


def make_environment(kit: Path, work: Path, log: Log) -> str:
    """Make a virtual environment from the kit's wheels, with the packages of this Python behind; returns its Python."""
    python = work / "venv" / "bin" / "python"
    if python.exists():
        return str(python)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(work / "venv")], check=True)
    wheels = [str(wheel) for wheel in sorted((kit / "wheels").glob("*.whl"))]
    install = ["install", "--quiet", "--no-index", "--no-deps", "--no-compile"]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), *install, *wheels], check=True)
    ask = [str(python), "-c", "import site; print(site.getsitepackages()[0])"]
    site = Path(subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip())
    behind = [entry for entry in sys.path if entry.endswith("-packages")]  # torch, NVIDIA's libraries
    (site / "behind.pth").write_text("\n".join([*behind, str(ROOT / "src")]) + "\n", encoding="utf-8")
    for name in ("libdnnl.so", "libdnnl.so.2.2", "libmkldnn.so", "libmkldnn.so.2", "libmkldnn.so.2.2"):
        link = work / "venv" / "lib" / name  # the kit carries one of the six equal libraries
        if not link.exists():
            link.symlink_to("libdnnl.so.2")
    headers = kit / "python-headers.tar.gz"
    header = Path(f"/usr/include/python3.{sys.version_info.minor}/Python.h")
    if headers.exists() and not header.exists():
        log.say("no Python.h on this machine: the kit's is put into /usr/include")
        shutil.unpack_archive(headers, "/usr/include")
    return str(python)


def has_torch(python: str) -> bool:
    ask = "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is None)"
    return subprocess.run([python, "-c", ask], check=False).returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--kit", type=Path, help="folder that `make gpu-kit` made, on a bare machine")
    parser.add_argument("--work", type=Path, help="folder for what is only needed meanwhile (default OUT/work)")
    parser.add_argument("--only", nargs="+", default=[], metavar="STEP", help="these steps, and what they need")
    parser.add_argument("--limit", type=float, default=540, help="seconds for everything (default 540)")
    parser.add_argument("--pretend", action="store_true", help="a rehearsal: no kernel runs")
    args = parser.parse_args()
    begin = time.monotonic()
    out = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    log = Log(out / "log.txt")
    work = (args.work or out / "work").resolve()
    work.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ, "PYTHONUNBUFFERED": "1", "MPLBACKEND": "Agg", "SHANSHUI_GPU_OUT": str(out),
        "PYTHONPATH": os.pathsep.join([str(HERE), str(ROOT / "src")]),
    }  # fmt: skip
    python = sys.executable
    if args.kit:
        kit = args.kit.resolve()
        environment |= {"SHANSHUI_CACHE": str(work / "cache"), "SHANSHUI_GPU_LOCKS": str(work / "locks")}
        if (kit / "golden").is_dir():
            environment["SHANSHUI_REFERENCES"] = str(kit)
        if (kit / "labels").is_dir():
            environment["SHANSHUI_GPU_LABELS"] = str(kit / "labels")
        python = make_environment(kit, work, log)
    known = steps(out, work, args.pretend)
    if unknown := set(args.only) - {step.name for step in known}:
        parser.error(f"no step is called {', '.join(sorted(unknown))}; there are {', '.join(s.name for s in known)}")
    torch, failed = has_torch(python), []
    for step in known:
        if args.only and step.name not in (*ALWAYS, *args.only):
            continue
        if step.needs_torch and not torch:
            log.say(f"=== {step.name}: left out, PyTorch is not installed")
            continue
        rest = args.limit - (time.monotonic() - begin)
        if rest < SPARE:
            ended, seconds = "left out: no time", 0.0
        else:
            log.say(f"=== {step.name} (at most {min(step.limit, rest):.0f} s of {rest:.0f})")
            started = time.monotonic()
            code = run_step(step, python, environment, min(step.limit, rest), log)
            seconds, ended = time.monotonic() - started, "ok" if code == 0 else f"FAILED, exit code {code}"
        if ended != "ok":
            failed.append(step.name)
        with open(out / "steps.txt", "a", encoding="utf-8") as file:
            file.write(f"{step.name:12} {seconds:5.0f} s  {ended}\n")
        if step.name == "core" and ended != "ok":
            break
    log.say(f"=== {time.monotonic() - begin:.0f} s in all; results: {out}")
    log.say((out / "steps.txt").read_text(encoding="utf-8"))
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
