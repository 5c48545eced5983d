"""Snakemake with its imports made once: reads one request per line, runs each in a forked process.

A request is JSON with `folder`, `arguments`, `environment` (all of it), `out` and `err` (files for what is said on
either stream; one file for both); the answer is the exit code.
"""

from __future__ import annotations

import ast
import contextlib
import gc
import json
import os
import sys
from pathlib import Path

import snakemake.cli
import snakemake.report.html_reporter
import snakemake.sourcecache  # the last two, and pandas, Snakemake imports in the middle of planning

with contextlib.suppress(ImportError):
    import pandas  # noqa: F401

SOURCES = Path(__file__).resolve().parent.parent / "src" / "shanshui"
TREES = {text: ast.parse(text) for text in (file.read_text(encoding="utf-8") for file in SOURCES.rglob("*.py"))}
parse = ast.parse


def parse_once(source: str, *arguments: object, **options: object) -> ast.AST:
    """The tree of a source file of this package, of which every plan reads some hundred (and changes none)."""
    known = None if arguments or options else TREES.get(source)
    return known or parse(source, *arguments, **options)  # type: ignore[call-overload,no-any-return]


ast.parse = parse_once  # type: ignore[assignment]
gc.freeze()  # what is here when a process is forked is never collected: its pages stay shared


def run(folder: str, arguments: list[str], out: str, err: str, environment: dict[str, str]) -> None:
    """In the forked process: everything Snakemake would do as a command of its own."""
    os.environ.clear()
    os.environ.update(environment)
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
    sys.argv = ["snakemake", *arguments]
    os.chdir(folder)
    sys.path[0] = folder
    for stream, path in ((1, out), (2, err)):
        if stream == 2 and err == out:
            os.dup2(1, 2)
        else:
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), stream)
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
