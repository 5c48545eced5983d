"""Checks of the machine before a run: folders, memory, GPUs, Open MPI."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from shanshui.backend import gpu_lock
from shanshui.backend.device import cuda_devices, cuda_identities, find_device
from shanshui.backend.mpi import find_mpi
from shanshui.pipeline import device_memory, memory
from shanshui.pipeline.finding import Finding, asked
from shanshui.pipeline.run_checks.planned_run import PlannedRun
from shanshui.storage.outputs import check_writable


def places(planned_run: PlannedRun) -> Iterator[Finding]:
    """Check that the run's folders, and the longest file name in them, can be written."""
    run = Path("results") / planned_run.config.run
    longest = run / "logs" / f"settings.{max(planned_run.run_paths.wildcards()['stage'].split('|'), key=len)}.log"

    def writable() -> str:
        check_writable(run, folder=True)
        check_writable(run / ".state", folder=True)
        check_writable(longest)
        check_writable(Path(".snakemake"), folder=True)
        return f"{run} can be written to"

    yield asked("results", writable)


def step(planned_run: PlannedRun) -> Iterator[Finding]:
    """Check the memory of a training step, if known."""
    config, counts = planned_run.config, planned_run.counts
    if isinstance(counts, str):
        return
    if planned_run.local and find_device().kind == "cuda":
        yield from device_memory.on_gpus(config, counts, cuda_devices())
    if (taken := memory.step_bytes(config, counts)) is not None:
        much = planned_run.local and find_device().kind == "cpu" and taken > memory.available_memory()
        do = "lower batch, base_channels or the images' size" if much else ""
        yield Finding("memory: a step", "note" if much else "ok", memory.step_sentence(config, taken), do)


def gpus(planned_run: PlannedRun) -> Iterator[Finding]:
    """Check the configured GPUs against those of this machine; cluster nodes are not checked."""
    config = planned_run.config
    if not planned_run.local:
        return
    visible = [str(device["name"]) for device in cuda_devices()]
    shown = f"{len(visible)} GPU(s) visible ({', '.join(visible)})"
    device = find_device()
    if config.gpus == 0:
        if visible:
            text = f"gpus: 0, so everything runs on the CPU; {shown}, none is used"
            yield Finding("GPU", "note", text, "gpus: auto, to use them")
        return
    if device.kind == "cpu":
        if isinstance(config.gpus, list):
            text = f"gpus: {config.gpus}, and none can be used here: {device.why}"
            yield Finding("GPU", "gap", text, "docs/gpu.md says what is needed; `gpus: auto` takes the CPU instead")
        elif visible:
            text = f"{shown}, and none can be used: {device.why}; everything runs on the CPU"
            yield Finding("GPU", "note", text, "docs/gpu.md says what is needed; `gpus: 0` says that it is meant")
        return
    wanted = ",".join(map(str, config.gpus)) if isinstance(config.gpus, list) else gpu_lock.AUTO
    here = gpu_lock.visible_gpus(cuda_identities())
    found = asked("GPU", lambda: f"{len(gpu_lock.allowed(here, wanted))} GPU(s) for this run")
    yield found
    if found.state == "ok":
        usable = len(gpu_lock.allowed(here, wanted))
        if isinstance(config.gpus, list) and usable < len(config.gpus):
            yield Finding("GPU", "note", f"gpus: {config.gpus}; only {usable} of them are here", "nothing, if so meant")
        if (most := planned_run.run_paths.largest_job()) > usable:
            text = f"processes {most}: each has a GPU of its own, and there are {usable}"
            yield Finding("processes", "gap", text, f"processes: {usable}, or more GPUs in `gpus`")


def mpi(planned_run: PlannedRun) -> Iterator[Finding]:
    """Check Open MPI, if several processes train together."""
    if planned_run.local and planned_run.run_paths.largest_job() > 1:
        yield asked("MPI", lambda: find_mpi().version)
