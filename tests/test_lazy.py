"""Importing the package loads no Jittor, starts nothing and writes nothing; layers are Jittor's once it is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import shanshui
from shanshui.backend.lazy import Adam, Conv, Function, Module, jt, nn

SOURCES = Path(shanshui.__file__).parent.parent

IMPORT = """
import importlib, os, pkgutil, sys

def watch(event, arguments):
    if event in ("subprocess.Popen", "os.fork", "os.forkpty", "os.exec", "os.posix_spawn", "os.system"):
        raise RuntimeError(f"started {arguments}")
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        raise RuntimeError(f"wrote {arguments[0]}")

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("jittor", "jittor_utils"):
            raise RuntimeError(f"imported {name}")

sys.meta_path.insert(0, Refused())
watching = False
sys.addaudithook(lambda event, arguments: watch(event, arguments) if watching else None)
for name in sys.argv[1:]:
    watching = name != "numpy.testing"  # which asks lscpu for the processor's extensions
    importlib.import_module(name)
"""


def modules() -> list[str]:
    parts = [file.relative_to(SOURCES).with_suffix("").parts for file in sorted(SOURCES.rglob("shanshui/**/*.py"))]
    return [".".join(part for part in names if part != "__init__") for names in parts]


def run(script: str, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a new process with an empty home folder."""
    unset = ("XDG_CACHE_HOME", "SHANSHUI_CACHE")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment |= {"HOME": str(home), "PYTHONPATH": str(SOURCES), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, env=environment, cwd=home
    )


def test_importing_any_module_loads_no_jittor_writes_no_file_and_starts_no_process(tmp_path: Path) -> None:
    names = modules()
    assert {"shanshui.training.loop", "shanshui.nn.spectral_norm", "shanshui.architectures.apf_generator"} < {*names}
    done = run(IMPORT, tmp_path, "shanshui.training.loop", "numpy.testing", *names)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "script", ["import jittor", "import subprocess; subprocess.run(['true'])", "open('file', 'w')"]
)
def test_the_watch_over_imports_sees_what_it_looks_for(tmp_path: Path, script: str) -> None:
    (tmp_path / "module.py").write_text(script)
    assert "RuntimeError" in run(IMPORT, tmp_path, "module").stderr


LAYERS = """
from shanshui.backend.lazy import Conv, Function, Module, jt, nn
import sys

class Scale(Module):
    def __init__(self, factor):
        self.second = jt.array([factor])
        self.first = jt.array([1.0])
        self._hidden = jt.array([0.0])

    def execute(self, x):
        return x * self.second + self.first

class Own(Conv):
    pass

class Double(Function):
    def execute(self, x):
        return x * 2

    def grad(self, gradient):
        return gradient * 5

assert "jittor" not in sys.modules
layer = Scale(3.0)
assert "jittor" in sys.modules
both = nn.Sequential(layer, Own(2, 4, 3))
print(isinstance(layer, nn.Module), isinstance(both[1], nn.Conv), [name for name, _ in both.named_parameters()])
print(layer(jt.array([2.0])).item(), both[1](jt.zeros((1, 2, 5, 5))).shape)
x = jt.array([1.0])
print(jt.grad(Double.apply(x), x).item())
both.eval()
print(layer.is_training(), [type(module).__name__ for module in both.modules()])
sys.stdout.flush()
import os
os._exit(0)
"""


def test_layers_declared_before_jittor_is_loaded_are_its_own() -> None:
    environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
    done = subprocess.run([sys.executable, "-c", LAYERS], capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines() == [
        "True True ['0.second', '0.first', '1.weight', '1.bias']",
        "7.0 [1,4,3,3,]",
        "5.0",
        "False ['Sequential', 'Scale', 'Own']",
    ], done.stderr


def test_attributes_are_those_of_jittor() -> None:
    import jittor

    assert (nn.conv2d, jt.flags, jt.nn) == (jittor.nn.conv2d, jittor.flags, jittor.nn)
    for ours, theirs in ((Module, jittor.Module), (Function, jittor.Function), (Conv, jittor.nn.Conv)):
        assert issubclass(ours, theirs)
    assert issubclass(Adam, jittor.optim.Adam)
    assert np.array_equal(jt.ones((2,)).numpy(), [1, 1])


def test_attributes_can_be_replaced_and_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = jt.nn.conv2d
    with monkeypatch.context() as patch:
        patch.setattr(nn, "conv2d", len)
        assert jt.nn.conv2d is len
    assert jt.nn.conv2d is before
