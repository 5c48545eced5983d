"""The warm-up: kernels compiled once, in a child that may crash or stand still."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from shanshui.backend import watchdog
from shanshui.config.kernels import kernels_of
from shanshui.config.settings import load_config, validate
from shanshui.errors import ShanshuiError
from shanshui.storage.files import digest
from shanshui.training import precompilation


def test_every_step_runs_once_and_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    done: list[str] = []
    precompilation.compile_kernels([("one", lambda: done.append("one")), ("two", lambda: done.append("two"))])
    assert done == ["one", "two"]
    assert capfd.readouterr().err == "compiling kernels: 0 of 2 steps, 0:00\ncompiling kernels: 2 of 2 steps, 0:00\n"


CHATTY = """
import os, sys
from shanshui.training import precompilation
precompilation.keep_compiler_output()
os.write(2, b"Compiling Operators(88/179)")
os.system("echo a compiler >&2")
print("of Python", file=sys.stderr)
"""


def test_what_compilers_print_is_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHANSHUI_CACHE", str(tmp_path))
    done = subprocess.run([sys.executable, "-c", CHATTY], capture_output=True, text=True, check=True)
    assert done.stderr == "of Python\n"
    assert precompilation.kernel_log().read_text() == "Compiling Operators(88/179)a compiler\n"


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The networks whose kernels were asked for; an empty cache, and nothing compiled."""
    asked: list[Any] = []
    monkeypatch.setenv("SHANSHUI_CACHE", str(tmp_path))
    monkeypatch.setattr(precompilation, "compile_apart", asked.append)
    return asked


def test_warm_up_is_done_once(compiled: list[Any]) -> None:
    assert [precompilation.ensure_compiled(), precompilation.ensure_compiled()] == [True, False]
    assert compiled == [None]


CHILD = """
import os, signal, sys, time
print("attempt by", sys.argv[2], file=sys.stderr, flush=True)
if sys.argv[2] == "threads":
    {first}
sys.exit({second})
"""


@pytest.mark.parametrize(("first", "how"), [
    ("os.kill(os.getpid(), signal.SIGSEGV)", "ended with exit code -11"),
    ("sys.exit(1)", "ended with exit code 1"),
    ("time.sleep(60)", "made no progress"),
])  # fmt: skip
def test_threads_that_fail_are_followed_by_one(
    first: str, how: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Seen once: a thread of Jittor's parallel compiler crashed, and the process then waited for it forever."""
    monkeypatch.setattr(precompilation, "CHILD", CHILD.format(first=first, second=0))
    monkeypatch.setattr(
        precompilation, "run_with_watchdog", lambda command: watchdog.run_with_watchdog(command, patience=1)
    )
    precompilation.compile_apart(None)
    said = capfd.readouterr().err
    assert said.index("attempt by threads") < said.index(f"{how}; again with one") < said.index("attempt by one")


@pytest.mark.parametrize(
    ("first", "second", "attempts"), [("sys.exit(1)", 1, 2), (f"sys.exit({precompilation.SAID_WHY})", 0, 1)]
)
def test_kernels_that_cannot_be_compiled(
    first: str, second: int, attempts: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(precompilation, "CHILD", CHILD.format(first=first, second=second))
    with pytest.raises(ShanshuiError, match="kernels could not be compiled"):
        precompilation.compile_apart(None)
    assert capfd.readouterr().err.count("attempt by") == attempts


def test_what_the_child_lacks_is_said_plainly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("cc_path", raising=False)
    child = subprocess.run(
        [sys.executable, "-c", precompilation.CHILD, "null", "threads"], capture_output=True, text=True, timeout=60
    )
    assert child.returncode == precompilation.SAID_WHY, child.stderr
    assert "g++" in child.stderr
    assert "Traceback" not in child.stderr


def test_work_of_children_is_no_standstill() -> None:
    busy = f"{sys.executable} -c 'import time\nwhile time.process_time() < 2: pass'"
    assert watchdog.run_with_watchdog(["sh", "-c", f"{busy}; exit 7"], patience=0.5) == 7


def test_nothing_is_left_of_what_stood_still(tmp_path: Path) -> None:
    mark = tmp_path / "children"
    assert watchdog.run_with_watchdog(["sh", "-c", f"sleep 60 & echo $! > {mark}; wait"], patience=0.5) is None
    child = int(mark.read_text())
    until = time.monotonic() + 20  # a killed process goes when it is next scheduled
    while alive(child) and time.monotonic() < until:
        time.sleep(0.05)
    assert not alive(child)


def alive(process: int) -> bool:
    """Whether a process runs, or could."""
    try:
        return psutil.Process(process).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


def test_other_compiler_asks_for_another_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    before = precompilation.kernel_stamp()
    assert precompilation.kernel_stamp() == before
    monkeypatch.setattr(precompilation, "environment_key", lambda: "another")
    assert precompilation.kernel_stamp() != before


def test_a_run_compiles_its_own_kernels_alone(compiled: list[Any]) -> None:
    """Once for equal needs, and not at all for APF-GAN's where those were compiled before, whatever the options."""
    grown, flat, other = ({"model": name, "sizes": sizes} for name, sizes in (("a", 3), ("b", 1), ("c", 3)))
    for kernels in (grown, grown, flat, None, other, flat, {**flat, "segmenter": True}):
        precompilation.ensure_compiled(kernels)  # type: ignore[arg-type]
    assert compiled == [grown, flat, None, {**flat, "segmenter": True}]


def test_widths_sizes_and_rates_need_no_other_kernels() -> None:
    small = {
        "generator": {"name": "apf", "base_channels": 8},
        "discriminator": {"name": "progressive", "base_channels": 32},
    }
    data = {"width": 256, "height": 192, "load_width": 288}
    same = [{}, {"model": small}, {"data": data, "pretrain": {"lr_g": 1e-3, "batch": 5}, "finetune": {"ema": 0.5}}]
    assert len({digest(kernels_of(validate(config))) for config in same}) == 1
    others: list[dict[str, Any]] = [
        {"model": {"generator": {"name": "apf", "spectral_norm": "off"}}},
        {"model": {"discriminator": {"name": "progressive", "count": 3}}},
        {"pretrain": {"perceptual": {"net": "none"}}}, {"finetune": {"reconstruction": 1.0}},
        {"finetune": {"augment": []}}, {"finetune": {"ema": 0}}, {"finetune": {"seg_noise": False}},
        {"score": {"metrics": ["fid"]}}, {"parity": {"loss_resize": "bilinear"}},
        {"pretrain": {"epochs": 6}, "score": {"first": 7, "last": 7}, "select": {"top": 1, "soup": 0}},
    ]  # fmt: skip
    assert len({digest(kernels_of(validate(config))) for config in [{}, *others]}) == 1 + len(others)


@pytest.mark.parametrize("model", [
    {
        "generator": {
            "name": "spade", "z_dim": 256, "upsampling": "more", "norm": "instance", "activation": "gelu",
            "attention": "simam", "style_encoder": {"base_channels": 64},
        },
        "discriminator": {"name": "multiscale", "activation": "gelu", "attention": "simam"},
    },
    pytest.param({"generator": "clade_icpe", "discriminator": "fpse", "edges": "label"}, marks=pytest.mark.drill),
    {"discriminator": "oasis"},
])  # fmt: skip
def test_configured_networks_are_precompiled_small(model: dict[str, Any]) -> None:
    without = {"perceptual": {"net": "none"}}
    config = validate({"model": model, "pretrain": without, "finetune": without, "score": {"metrics": ["fid"]}})
    steps = precompilation.steps_of(kernels_of(config))
    assert [name for name, _ in steps][1:3] == ["pretraining, full size", "fine-tuning"]
    for _, step in steps:
        step()


def test_the_demos_steps_are_those_of_its_networks() -> None:
    """Sizes that grow, the loss that is installed with the packages, the segmenter."""
    steps = precompilation.steps_of(kernels_of(load_config(["config/demo.yaml"])))
    assert [name for name, _ in steps] == [
        "convolution", "pretraining, size 1", "pretraining, size 2", "pretraining, full size", "fine-tuning",
        "generating", "generating with noise", "segmenter",
    ]  # fmt: skip


def test_steps_run_on_this_machine() -> None:
    for _, step in precompilation.steps()[:1]:
        step()
