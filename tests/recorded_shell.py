"""Shell blocks of documents, expanded by bash with programs that only record how they are called."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from documents import ROOT

PROGRAMS = (  # what a document may call
    "python", "python3", "snakemake", "make", "uv", "snakedeploy", "pip", "git", "docker", "kubectl", "apt-get",
)  # fmt: skip
TOOLS = ("mkdir", "cp", "ls", "cat", "cmp", "sed", "awk", "ln", "unzip", "rm")  # do nothing here
RECORDER = """#!/bin/sh
printf '%s\\037' {name} "$@" >> '{calls}'
printf '\\036' >> '{calls}'
"""
FOLDERS = ("benchmarks", "config", "docs", "envs", "profiles", "rules", "src", "tests", "workflow")
FILES = ("Makefile", "Snakefile", "config.yaml")


class Recorder:
    """A copy of the repository's outline, in which shell blocks are expanded."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.calls = folder / "clone", folder / "calls"
        programs = folder / "bin"
        (self.folder / "data").mkdir(parents=True)
        for place in (programs, self.folder / ".venv" / "bin"):
            place.mkdir(parents=True)
            for name in PROGRAMS:
                text = RECORDER.format(calls=self.calls, name=name)
                (place / name).write_text(text)
                (place / name).chmod(0o755)
        for name in TOOLS:
            (programs / name).write_text("#!/bin/sh\n")
            (programs / name).chmod(0o755)
        (self.folder / ".venv" / "bin" / "activate").touch()
        for name in (*FOLDERS, *FILES):
            (self.folder / name).symlink_to(ROOT / name)
        self.path, self.bash = str(programs), str(shutil.which("bash"))

    def expand(self, text: str) -> list[list[str]]:
        """The calls of a block, each a program and its arguments, in order."""
        self.calls.write_text("")
        done = subprocess.run(
            [self.bash, "-euc", f"cd() {{ :; }}\n{text}"], cwd=self.folder, capture_output=True, text=True, check=False,
            env={"PATH": self.path, "HOME": "/nowhere"}, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return [call.split("\x1f")[:-1] for call in self.calls.read_text(encoding="utf-8").split("\x1e")[:-1]]


def lost_files(arguments: Sequence[str]) -> list[str]:
    """Arguments that name files of the repository which are not there."""
    named = [part for argument in arguments for part in (argument, argument.rpartition("=")[2])]
    ours = [name for name in named if (name.split("/")[0] in FOLDERS and "/" in name) or name in FILES]
    return [name for name in ours if not (ROOT / name).exists()]
