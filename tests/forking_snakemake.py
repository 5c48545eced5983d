"""Snakemake with its imports made once: reads one request per line, runs each in a forked process.

A request is JSON with `folder`, `arguments`, `environment` and `out` (a file for all that is said); the answer is
the exit code.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys

import snakemake.cli

with contextlib.suppress(ImportError):
    import pandas  # noqa: F401 - where there is one, Snakemake imports it in the middle of planning


def run(folder: str, arguments: list[str], out: str, environment: dict[str, str]) -> None:
    """In the forked process: everything Snakemake would do as a command of its own."""
    os.environ.update(environment)
    sys.argv = ["snakemake", *arguments]
    os.chdir(folder)
    said = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(said, 1)
    os.dup2(said, 2)
    code: object = 1
    try:
        snakemake.cli.main(arguments)
    except SystemExit as end:
        code = end.code
    if isinstance(code, str):
        print(code, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


for line in sys.stdin:
    child = os.fork()
    if child == 0:
        run(**json.loads(line))
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
