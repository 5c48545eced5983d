"""The door to Jittor: what it leaves alone, what it shares, what it says before it imports."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from shanshui.backend import runtime
from shanshui.backend.cuda_toolkit import Toolkit
from shanshui.backend.device import Device
from shanshui.backend.runtime import cache_home, check_space, link_onednn, load_jittor, seed_everything
from shanshui.backend.toolchain import find_compiler
from shanshui.errors import ShanshuiError

SOURCE = Path(__file__).resolve().parent.parent / "src"
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start a Python script in a new home, with the compiled Jittor of this machine."""
    home = tmp_path / "home"
    home.mkdir()

    def start(script: str, *prefix: str) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "HOME": str(home),
            "SHANSHUI_CACHE": str(cache_home()),
            "PYTHONPATH": str(SOURCE),
        }
        return subprocess.Popen(
            [*prefix, sys.executable, "-c", textwrap.dedent(script)],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    return start


def can_cut_the_network() -> bool:
    tool = shutil.which("unshare")
    return tool is not None and subprocess.run([tool, "-n", "true"], capture_output=True, check=False).returncode == 0


def test_import_is_silent_offline_and_leaves_everything_as_it_was(start: Start, tmp_path: Path) -> None:
    load_jittor()  # compiled from here on
    sticky = tmp_path / "home" / ".cache" / "jittor" / "config.json"
    sticky.parent.mkdir(parents=True)
    sticky.write_text('{"JITTOR_HOME": "/nowhere/at/all"}')
    script = """
        import os, signal, ssl, sys
        signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background jobs of a script
        before = dict(os.environ), ssl._create_default_https_context, os.getcwd()
        from shanshui.backend.runtime import cache_home, load_jittor
        jt = load_jittor()
        assert (dict(os.environ), ssl._create_default_https_context, os.getcwd()) == before
        assert jt.flags.cache_path.startswith(str(cache_home())), jt.flags.cache_path
        assert jt.nn.relu(jt.array([-1.0, 2.0])).numpy().tolist() == [0, 2]
        import numpy
        numpy.finfo(numpy.float32), numpy.finfo(numpy.float64)  # no warning: kernels switch subnormal numbers off
        try:
            os.kill(os.getpid(), signal.SIGINT)
            raise SystemExit("Ctrl-C did not arrive")
        except KeyboardInterrupt:
            pass
    """
    process = start(script, *(["unshare", "-n"] if can_cut_the_network() else []))
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out) == (0, ""), err
    assert "Warning" not in err
    assert sticky.read_text() == '{"JITTOR_HOME": "/nowhere/at/all"}'
    assert [p for p in (tmp_path / "home").rglob("*") if p.is_file()] == [sticky]


def test_three_starts_at_a_time_all_end(start: Start) -> None:
    load_jittor()
    script = """
        from shanshui.__main__ import leave
        from shanshui.backend.runtime import load_jittor
        print(load_jittor().ones(3).sum().item())
        leave(0)
    """
    processes = [start(script) for _ in range(3)]
    answers = [process.communicate(timeout=300) for process in processes]
    assert [(p.returncode, out) for p, (out, _) in zip(processes, answers, strict=True)] == [(0, "3.0\n")] * 3, answers


def test_one_jittor_per_process_without_parallel_compiler() -> None:
    jt = load_jittor()
    assert load_jittor(parallel_compile=True) is jt
    assert jt.flags.use_parallel_op_compiler == 0


def test_seed_repeats_jittor_and_numpy() -> None:
    jt = load_jittor()
    draws = []
    for seed in (5, 5, 6):
        seed_everything(seed)
        draws.append((jt.randn(4).numpy().tolist(), np.random.rand()))
    assert draws[0] == draws[1] != draws[2]


def test_missing_compiler_is_said_before_the_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    find_compiler.cache_clear()
    request.addfinalizer(find_compiler.cache_clear)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("cc_path", raising=False)
    monkeypatch.setattr(runtime, "_loaded", None)
    with pytest.raises(ShanshuiError, match=r"no C\+\+ compiler.*\n.*\n.*apt-get install g\+\+"):
        load_jittor()


def test_onednn_is_linked_where_jittor_looks_and_again_after_a_move(tmp_path: Path) -> None:
    folder = link_onednn(tmp_path)
    assert (folder / "lib" / "libmkldnn.so").is_file()
    (folder / "lib").unlink()
    (folder / "lib").symlink_to(tmp_path / "gone")
    assert (link_onednn(tmp_path) / "lib" / "libmkldnn.so").is_file()
    assert sorted(p.name for p in folder.iterdir()) == ["include", "lib"]


def test_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(runtime.shutil, "disk_usage", lambda folder: usage._replace(free=3 * 1024**2))
    with pytest.raises(ShanshuiError, match="only 3 MB are free"):
        check_space(tmp_path)


def test_environment_for_cuda_downloads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "assemble", lambda toolkit, home: home / "nvcc")
    toolkit = Toolkit("/opt/cuda/bin/nvcc", (12, 2), 8, (), ())
    hopper = runtime.cuda_environment(tmp_path, Device("cuda", "", toolkit, (9, 0)))
    assert hopper == {"nvcc_path": f"{tmp_path}/nvcc", "use_cutt": "0", "use_cutlass": "0"}
    newer = runtime.cuda_environment(tmp_path, Device("cuda", "", toolkit, (12, 0)))
    assert newer == {**hopper, "nvcc_flags": "-code=compute_90"}
    assert runtime.cuda_environment(tmp_path, Device("cpu", "CPU")) == {"nvcc_path": ""}
