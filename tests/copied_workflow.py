"""The repository's own workflow in a copy whose sources may be edited and whose stages compute nothing."""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
PARTS = ("Snakefile", "config.yaml", "rules", "workflow", "profiles", "envs")


class Planner:
    """A process that runs Snakemake on request, its imports already made; it starts with the first request."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def ask(self, folder: Path, arguments: Sequence[str], environment: dict[str, str], out: Path, err: Path) -> int:
        """Run Snakemake in a folder; its exit code. What it says goes to the files `out` and `err`."""
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, str(TESTS / "forking_snakemake.py")],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            atexit.register(self.close)
        assert self.process.stdin
        assert self.process.stdout
        # bytecode of a source that is edited twice within a second would be taken for that of the second text
        request = {
            "folder": str(folder), "arguments": list(arguments), "out": str(out), "err": str(err),
            "environment": {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        }  # fmt: skip
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def run(self, folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
        """Exit code and everything said."""
        out = folder / "said.txt"
        return self.ask(folder, arguments, environment, out, out), out.read_text(encoding="utf-8")

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """As `subprocess.run` in the folder of this process, both streams as text."""
        with tempfile.TemporaryDirectory() as folder:
            out, err = Path(folder) / "out", Path(folder) / "err"
            code = self.ask(Path.cwd(), arguments, {}, out, err)
            said = [file.read_text(encoding="utf-8") for file in (out, err)]
        return subprocess.CompletedProcess(["snakemake", *arguments], code, *said)

    def close(self) -> None:
        """End the process."""
        if self.process and self.process.stdin:
            self.process.stdin.close()
            self.process.wait()


PLANNER = Planner()  # of all tests of this process


class CopiedWorkflow:
    """A copy of the repository under `folder`; runs have working folders of their own under `folder/runs`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sources = folder / "src" / "shanshui"
        self.edited: dict[Path, str] = {}  # texts as they were
        folder.mkdir(parents=True)
        unneeded = shutil.ignore_patterns("__pycache__")
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, folder / part, ignore=unneeded)
            else:
                shutil.copy(source, folder / part)
        shutil.copytree(ROOT / "src" / "shanshui", self.sources, ignore=unneeded)
        shutil.copy(TESTS / "stand_in.py", self.sources / "__main__.py")

    def edit(self, part: str, change: Callable[[str], str]) -> None:
        """Change the text of a file of the copy, until `restore`."""
        file = self.folder / part
        before = file.read_text(encoding="utf-8")
        after = change(before)
        assert after != before, f"{part} was not changed"
        self.edited.setdefault(file, before)
        file.write_text(after, encoding="utf-8")

    def restore(self) -> None:
        """Take all edits back."""
        for file, text in self.edited.items():
            file.write_text(text, encoding="utf-8")
        self.edited.clear()

    def begin(self, name: str, config: dict[str, Any]) -> Run:
        """A working folder with a configuration."""
        run = Run(self, self.folder / "runs" / name)
        run.folder.mkdir(parents=True)
        run.write(config)
        return run


class Run:
    """A working folder of the copied workflow."""

    def __init__(self, workflow: CopiedWorkflow, folder: Path) -> None:
        self.workflow, self.folder = workflow, folder

    @property
    def results(self) -> Path:
        """The one run's results."""
        (results,) = (self.folder / "results").iterdir()
        return results

    def config(self) -> dict[str, Any]:
        """The configuration as it is now."""
        config: dict[str, Any] = yaml.safe_load((self.folder / "config.yaml").read_text(encoding="utf-8"))
        return config

    def write(self, config: dict[str, Any], sort_keys: bool = False) -> None:
        """Replace the configuration."""
        (self.folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=sort_keys), encoding="utf-8")

    def set(self, **sections: Any) -> None:
        """Change some options, by section."""
        config = self.config()
        for section, options in sections.items():
            config[section] = {**(config.get(section) or {}), **options} if isinstance(options, dict) else options
        self.write(config)

    def copy(self, name: str) -> Run:
        """The same working folder under another name, file times included."""
        other = Run(self.workflow, self.folder.with_name(name))
        shutil.copytree(self.folder, other.folder, symlinks=True)
        return other

    def snakemake(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """Run Snakemake here."""
        return PLANNER.run(
            self.folder, "--snakefile", str(self.workflow.folder / "Snakefile"), "--configfile", "config.yaml",
            "--cores", "2", "--logger-shanshui-everything", *arguments, **environment,
        )  # fmt: skip

    def jobs(self, **environment: str) -> Counter[str]:
        """Run to the end; the jobs that ran, by rule."""
        code, said = self.snakemake(**environment)
        assert code == 0, said[-4000:]
        ran = Counter(re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)$", said, re.MULTILINE))
        del ran["all"]
        return ran
