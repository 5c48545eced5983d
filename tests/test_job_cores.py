"""How jobs share a machine."""

from __future__ import annotations

import pytest

from shanshui.backend.device import Device
from shanshui.config.schema import Config
from shanshui.config.settings import validate
from shanshui.errors import ShanshuiError
from shanshui.pipeline import job_cores
from shanshui.pipeline.job_cores import parallel_jobs


def test_jobs_and_cores_follow_the_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(job_cores.os, "sched_getaffinity", lambda _: set(range(16)))
    monkeypatch.setattr(job_cores, "find_device", lambda: Device("cuda", "CUDA"))
    monkeypatch.setattr(job_cores, "cuda_identities", lambda: ["a", "b", "c"])
    assert parallel_jobs(Config()) == parallel_jobs(Config(), local=False) == 3
    assert parallel_jobs(validate({"gpus": [2, 0], "jobs_per_gpu": 2})) == 4
    with pytest.raises(ShanshuiError, match="names no device"):
        parallel_jobs(validate({"gpus": [5]}))
    assert [job_cores.cores(jobs) for jobs in (1, 4, 64)] == [64, 4, 1]
    assert (job_cores.threads(4, 16), job_cores.niceness(local=True)) == (4, 0)


@pytest.mark.parametrize(("there", "jobs", "claimed"), [(1, 1, 64), (2, 2, 1), (16, 2, 8)])
def test_two_jobs_share_a_cpu_and_each_has_all_of_its_threads(
    monkeypatch: pytest.MonkeyPatch, there: int, jobs: int, claimed: int
) -> None:
    """The number of threads, on which bits depend, is that of a job alone."""
    monkeypatch.setattr(job_cores.os, "sched_getaffinity", lambda _: set(range(there)))
    monkeypatch.setattr(job_cores, "find_device", lambda: Device("cpu", "CPU"))
    config = validate({"gpus": [5]})
    assert (parallel_jobs(config), job_cores.cores(jobs), job_cores.niceness(local=True)) == (jobs, claimed, 19)
    assert job_cores.threads(min(claimed, there), there) == there
    assert (parallel_jobs(config, local=False), job_cores.niceness(local=False)) == (1, 0)
    assert job_cores.threads(8, None) == 8, "a node of a cluster"
