"""Parameter counts of a configuration's networks, for estimates that are made before a run.

They are counted on the built networks (`architectures.network_cost`), in a child process: Snakemake's own never loads
Jittor or takes a GPU. The result is stored in the cache under a digest of all that it depends on, the networks' code
included, so that the networks are built once per model. Where Jittor is not compiled yet, nothing is counted: compiling
it takes minutes, and is the job `doctor`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shanshui.architectures.network_cost import NetworkCounts, count
from shanshui.backend import gpu_lock
from shanshui.backend.compilation import environment_key, is_compiled
from shanshui.backend.device import cuda_identities, find_device
from shanshui.backend.runtime import cache_home
from shanshui.config.schema import Config
from shanshui.errors import ShanshuiError
from shanshui.metrics.registry import need_segmenter
from shanshui.pipeline.code_dependencies import code_digest, sources
from shanshui.storage.files import digest, read_json, write_json

COUNTED_BY = "shanshui.architectures.network_cost"
CHILD = """
import json, sys
from pathlib import Path
from shanshui.pipeline.network_counts import count_in_child
count_in_child(json.loads(sys.argv[1]), Path(sys.argv[2]))
"""
PATIENCE = 60.0  # seconds; without other processes that import Jittor it takes three
NOT_COMPILED = "Jittor is not compiled yet"


def settings_of(config: Config) -> dict[str, Any]:
    """Return what the counts depend on, apart from the code; see `architectures.network_cost.count`."""
    networks, data = config.networks(), config.data
    trained = need_segmenter(config.score.metrics) and not config.segmenter.weights
    return {
        "data": {"classes": [str(i) for i in range(len(data.classes))], "width": data.width, "height": data.height},
        **networks.sections(),
        "parity": dict(networks.generator.context.parity),
        "seg_noise": config.finetune.seg_noise,
        "segmenter_channels": config.segmenter.channels if trained else None,
    }


def stored_file(settings: dict[str, Any]) -> Path:
    """Return the file in the cache that holds the counts of `settings`."""
    code = code_digest(sources().dependencies(COUNTED_BY))
    return cache_home() / "network_counts" / f"{digest([settings, code])}.json"


def read_counts(config: Config) -> NetworkCounts | None:
    """Read the counts of a configuration's networks; None where they have not been counted."""
    return _read(stored_file(settings_of(config)))


def find_counts(config: Config) -> NetworkCounts | str:
    """Return the counts of a configuration's networks, counted now if they were not before; else the reason."""
    settings = settings_of(config)
    file = stored_file(settings)
    if counts := _read(file):
        return counts
    reason = run_child(CHILD, settings, file)
    return _read(file) or reason


def run_child(code: str, settings: object, file: Path) -> str:
    """Run Python code in a child process that has `settings` (JSON) and `file` as arguments, and writes the file.

    Returns:
        Why it was not run or ended early, for the case that the file is not there.
    """
    try:
        if not is_compiled(cache_home() / "jittor", environment_key()):
            return NOT_COMPILED
    except ShanshuiError:  # without a compiler
        return NOT_COMPILED
    command = [sys.executable, "-c", code, json.dumps(settings), str(file)]
    try:
        child = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return f"counting them took more than {PATIENCE:.0f} s"
    said = child.stderr.strip().splitlines()
    return said[-1] if said else f"counting them ended with exit code {child.returncode}"


def count_in_child(settings: dict[str, Any], file: Path) -> None:
    """Count in the child of `find_counts`."""
    write_in_child(lambda: count(settings).as_json(), file)


def write_in_child(content: Callable[[], object], file: Path) -> None:
    """Write JSON in a child of `run_child`; end without clean-up, in which Jittor would compute what is pending."""
    code = 1
    try:
        if find_device().kind == "cuda" and not gpu_lock.acquire_gpu_if_free(cuda_identities()):
            print("all GPUs are in use", file=sys.stderr)
        else:
            write_json(file, content())
            code = 0
    except Exception as error:  # a plug-in's network may raise anything
        why = error.found if isinstance(error, ShanshuiError) else f"{type(error).__name__}: {error}"
        print(why.splitlines()[0], file=sys.stderr)
    sys.stderr.flush()
    os._exit(code)


def _read(file: Path) -> NetworkCounts | None:
    try:
        return NetworkCounts.of(read_json(file))
    except (OSError, ShanshuiError):
        return None
