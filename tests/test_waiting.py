"""How long threads keep a core while they wait."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from shanshui.backend import waiting

SHOW = """
import ctypes
from shanshui.backend.runtime import load_jittor
load_jittor()
ctypes.CDLL("libgomp.so.1").omp_display_env(1)
"""


@pytest.mark.parametrize(
    ("given", "spins"), [({}, "20000"), ({"GOMP_SPINCOUNT": "5"}, "5"), ({"OMP_WAIT_POLICY": "active"}, None)]
)
def test_waiting_threads_leave_their_core_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], spins: str | None
) -> None:
    monkeypatch.setattr(waiting.os, "environ", {"PATH": "", **given})
    waiting.let_waiting_threads_sleep()
    assert os.environ.get("GOMP_SPINCOUNT") == spins


@pytest.mark.parametrize("given", [{"GOMP_SPINCOUNT": "5"}, {"OMP_WAIT_POLICY": "active"}])
def test_what_the_user_has_set_stays(given: dict[str, str]) -> None:
    assert waiting.spins_when_nice(given, 19) == {}


@pytest.mark.parametrize(("nice", "spins"), [(0, "20000"), (5, "1000")])
def test_a_process_that_gives_way_loads_openmp_with_short_waits(nice: int, spins: str) -> None:
    """Of OpenMP's own report; the pipeline has set its value for all jobs."""
    given = {**os.environ, "GOMP_SPINCOUNT": "20000"}
    given.pop("OMP_WAIT_POLICY", None)
    done = subprocess.run(
        ["nice", "-n", str(nice), sys.executable, "-c", SHOW], env=given, capture_output=True, text=True, check=True
    )
    if os.nice(0) > 0:
        spins = "1000"
    assert f"GOMP_SPINCOUNT = '{spins}'" in done.stderr
