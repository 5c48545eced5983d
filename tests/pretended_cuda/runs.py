"""Runs a program "on CUDA": in a child process that finds the pretended device in the normal way."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pretended_cuda import toolkit
from shanshui.backend.runtime import cache_home

TESTS = Path(__file__).resolve().parent.parent
ROOT = TESTS.parent
WORK = "pretended_cuda.work"  # the module whose functions are run


@dataclass(frozen=True)
class PretendedDevice:
    """A toolkit in `folder`; what is compiled with it stays there for the next run."""

    folder: Path

    def environment(self) -> dict[str, str]:
        """Of this process, with the pretended toolkit and driver before all others."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SHANSHUI_", "CUDA_"))}
        site = self.folder / "site"
        ours = {
            "PATH": f"{site / 'nvidia' / 'cu13' / 'bin'}:{kept['PATH']}",
            "LD_LIBRARY_PATH": str(self.folder / "driver"),
            "PYTHONPATH": os.pathsep.join([str(site), str(ROOT / "src"), str(TESTS)]),
            "SHANSHUI_CACHE": str(self.folder / "cache"),
            "SHANSHUI_GPU_LOCKS": str(self.folder / "locks"),
            "SHANSHUI_JOBS_PER_GPU": "8",  # tests side by side do not wait for each other
        }
        quick = self.folder / "bin" / "g++"
        return kept | ours | ({"cc_path": str(quick)} if quick.is_file() else {})

    def start(self, *command: str, seconds: float = 900) -> subprocess.CompletedProcess[str]:
        """Run Python with these arguments."""
        return subprocess.run(
            [sys.executable, *command],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def run(self, *names: str, seconds: float = 900) -> dict[str, Any]:
        """What functions of `work` return, by name; all run in one process, one after another."""
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "counts.json"
            done = self.start("-m", WORK, str(out), *names, seconds=seconds)
            if not out.is_file():
                raise AssertionError(f"exit code {done.returncode}: {(done.stdout + done.stderr)[-6000:]}")
            found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return found


def counting_device() -> PretendedDevice:
    """The device on which launches are counted; made at first use, and kept in the cache of compiled code."""
    return prepare("counting", toolkit.build_counting)


def compiling_device(wheels: Path) -> PretendedDevice:
    """The device whose compiler is NVIDIA's, of the wheels unpacked in `wheels`."""
    return prepare("compiling", lambda into: toolkit.build_compiling(into, wheels.resolve()))


def prepare(kind: str, build: Callable[[Path], None]) -> PretendedDevice:
    """The device whose toolkit `build` makes in a new folder."""
    home = cache_home() / "pretended"
    home.mkdir(parents=True, exist_ok=True)
    folder = home / f"{kind}-{toolkit.digest()}"
    with open(home / f"{kind}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            staged = home / f".{kind}.{os.getpid()}"
            shutil.rmtree(staged, ignore_errors=True)
            build(staged)
            os.replace(staged, folder)
    return PretendedDevice(folder)
