"""Checks of the machine for `doctor`: each returns one line and, if something is missing, a remedy."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from shanshui.backend.compilation import environment_key, is_compiled
from shanshui.backend.device import cuda_devices, driver_version, find_device
from shanshui.backend.runtime import LEAST_FREE, cache_home
from shanshui.backend.toolchain import cpu_model, find_compiler, onednn_prefix, python_include
from shanshui.config.schema import Config
from shanshui.errors import ShanshuiError
from shanshui.pipeline import run_checks
from shanshui.pipeline.finding import Finding, State, asked
from shanshui.pipeline.memory import available_memory
from shanshui.storage.outputs import check_writable

GIB = 1024**3
PYTHONS = ((3, 11), (3, 12))  # those Jittor was compiled under
LEAST_MEMORY = 3 * GIB
LEAST_DISK = 2 * GIB


def check_python() -> Finding:
    """Check the version of Python against those tried."""
    text = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info[:2] in PYTHONS:
        return Finding("Python", "ok", text)
    return Finding("Python", "note", f"{text}, not tried with this Jittor", "Python 3.11 or 3.12 if anything fails")


def check_jittor() -> Finding:
    """Check that Jittor is installed and compiled for this environment."""
    try:
        version = metadata.version("jittor")
    except metadata.PackageNotFoundError:
        return Finding("Jittor", "gap", "not installed", "run `make setup`")
    home = cache_home() / "jittor"
    try:
        compiled = is_compiled(home, environment_key())
    except ShanshuiError:
        compiled = False
    if compiled:
        return Finding("Jittor", "ok", f"{version}, compiled in {home}")
    return Finding("Jittor", "note", f"{version}, not compiled yet (about 2 minutes, once)", "add --compile")


def check_device() -> Finding:
    """Report whether CUDA or the CPU is used, and why."""
    device = find_device()
    if device.kind == "cpu":
        waiting = bool(cuda_devices()) and "=cpu" not in device.why
        do = "what this line says; docs/gpu.md has more" if waiting else "nothing, for demos and tests"
        return Finding("device", "note", device.why, do + "; real training wants a GPU")
    names = ", ".join(f"{d['name']} ({d['memory_mib']} MiB)" for d in cuda_devices())
    return Finding("device", "ok", f"{device.why}; driver for CUDA {driver_version()}; {names}")


def check_cpu() -> Finding:
    """Report the cores and the number of threads."""
    cores = len(os.sched_getaffinity(0))
    threads = os.environ.get("OMP_NUM_THREADS")
    return Finding("CPU", "ok", f"{cpu_model()}, {cores} cores, {threads or cores} threads (OMP_NUM_THREADS)")


def check_memory() -> Finding:
    """Check the free memory."""
    free = available_memory()
    text = f"{free / GIB:.1f} GiB available"
    if free < LEAST_MEMORY:
        return Finding("memory", "note", text, f"close something: the demo needs about {LEAST_MEMORY // GIB} GiB")
    return Finding("memory", "ok", text)


def check_disk(name: str, folder: Path, least: int) -> Finding:
    """Check that `folder` can be written and that its disk has `least` free bytes."""
    try:
        check_writable(folder, folder=True)
    except OSError as error:
        why = f"{folder} cannot be written to ({error.strerror}: {error.filename})"
        return Finding(name, "gap", why, "use another folder; for the cache: SHANSHUI_CACHE")
    present = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(present).free
    text = f"{free / GIB:.1f} GiB free at {folder}"
    if free < least:
        return Finding(name, "gap", text, f"free some space: {least / GIB:.1f} GiB are needed")
    return Finding(name, "ok", text)


def check_cache() -> Finding:
    """Check free space and write permission for compiled kernels."""
    try:
        return check_disk("disk: cache", cache_home(), LEAST_FREE)
    except ShanshuiError as error:
        return Finding("disk: cache", "gap", error.found, error.do)


def check_weights(needed: Sequence[str]) -> list[Finding]:
    """Report the pretrained weight files; those that the configuration needs are checked with the run."""
    from shanshui.weights.catalogue import WEIGHT_FILES, place

    findings = []
    for name, entry in WEIGHT_FILES.items():
        if name in needed:
            continue  # looked at with the run
        path = place(name)
        if path.exists():
            findings.append(Finding(name, "ok", str(path)))
        else:
            state: State = "note"
            findings.append(Finding(name, state, f"{path} is missing ({entry.purpose})", entry.command))
    return findings


def examine(needed_weights: Sequence[str] = (), config: Config | None = None) -> list[Finding]:
    """Run all checks, in the order of need; with a configuration, those of its run as well."""
    return [
        check_python(),
        asked("compiler", lambda: f"{find_compiler().version} at {find_compiler().path}"),
        asked("headers", lambda: f"Python.h in {python_include()}"),
        asked("oneDNN", lambda: f"{metadata.version('onednn-cpu-gomp')} in {onednn_prefix()}"),
        check_jittor(),
        check_device(),
        check_cpu(),
        check_memory(),
        check_disk("disk: results", Path("results").absolute(), LEAST_DISK),
        check_cache(),
        *(run_checks.examine(config) if config else []),
        *check_weights(needed_weights),
    ]


def summary() -> dict[str, object]:
    """Return the description of the machine for a run's provenance."""
    device = find_device()
    return {
        "device": device.kind,
        "why": device.why,
        "gpus": cuda_devices(),
        "jittor": metadata.version("jittor"),
        "numpy": metadata.version("numpy"),
        "compiler": find_compiler().version,
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": os.environ.get("OMP_NUM_THREADS", ""),
    }
