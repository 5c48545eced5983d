"""Compiler, headers and oneDNN: found, or said to be missing; and the scripts that stand in for tools."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shanshui.backend import toolchain
from shanshui.backend.toolchain import find_compiler, write_kernel_compiler, write_python_config
from shanshui.errors import ShanshuiError


@pytest.fixture
def forgetful() -> Iterator[None]:
    """What was found is not remembered from or for other tests."""
    find_compiler.cache_clear()
    yield
    find_compiler.cache_clear()


def test_compiler_that_does_not_run_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgetful: None) -> None:
    broken = tmp_path / "g++"
    broken.write_text("#!/bin/sh\necho no libc >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("cc_path", str(broken))
    with pytest.raises(ShanshuiError, match="does not run: no libc"):
        find_compiler()


def test_missing_headers_name_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain.sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(toolchain, "Path", lambda path: tmp_path / "elsewhere")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    with pytest.raises(ShanshuiError, match=f"apt-get install {version}-dev"):
        toolchain.python_include()


def test_missing_onednn_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "ONEDNN_PACKAGE", "there-is-no-such-package")
    with pytest.raises(ShanshuiError, match="oneDNN is missing"):
        toolchain.onednn_prefix()


def test_python_config_answers_what_jittor_asks(tmp_path: Path) -> None:
    script = write_python_config(tmp_path)
    includes = subprocess.run([script, "--includes"], capture_output=True, text=True, check=True).stdout.strip()
    assert (Path(includes.removeprefix("-I")) / "Python.h").is_file()
    suffix = subprocess.run([script, "--extension-suffix"], capture_output=True, text=True, check=True).stdout
    assert suffix.strip().endswith(".so")


@pytest.mark.parametrize("tuner", ["/venv/jittor/utils/asm_tuner.py", "/a path/with  spaces/utils/asm_tuner.py"])
@pytest.mark.parametrize("marked", [False, True])
def test_kernels_go_straight_to_the_compiler_unless_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tuner: str, marked: bool
) -> None:
    """What Jittor hands to a shell: the tuner's path without quotes, everything else with."""
    for name in ("python", "g++"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$HOME"\nfor a; do echo "<$a>"; done\n')
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(toolchain.sys, "executable", str(tmp_path / "python"))
    home = tmp_path / "ho me"
    home.mkdir()
    script = write_kernel_compiler(home)
    assert stat.S_IMODE(script.stat().st_mode) == 0o755
    source = tmp_path / "a b_op.cc"
    source.write_text('//@begin replace "vmova" "vmovnt"\n' if marked else "int x;\n")
    command = f'"{script}" {tuner} --cc_path="{tmp_path}/g++" "{source}" -O2 -o "a b.so"'
    said = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout.splitlines()
    arguments = [f"<{source}>", "<-O2>", "<-o>", "<a b.so>"]
    if marked:
        squeezed = " ".join(tuner.split())
        assert said == [f"python {home}", f"<{squeezed}>", f"<--cc_path={tmp_path}/g++>", *arguments]
    else:
        assert said == [f"g++ {home}", *arguments]


RELAY = "struct Op { void do_run(); };\nvoid run(Op* one) {\n    Op* rop_0_0 = one;\n    rop_0_0->do_run();\n}\n"


@pytest.mark.parametrize("text", ['#define JIT_cpu 1\n#include "var.h"\nint kernel() { return var(); }\n', RELAY])
def test_headers_of_kernels_are_compiled_once_with_their_flags(tmp_path: Path, text: str) -> None:
    """A real compiler: the second kernel is built from the precompiled header, which lacks the linker's flags."""
    (tmp_path / "a b").mkdir()
    script = write_kernel_compiler(tmp_path / "a b", "key")
    include = tmp_path / "include"
    for name in re.findall(r'#include "(.*)"', toolchain.PRELUDE):
        (include / name).parent.mkdir(parents=True, exist_ok=True)
        (include / name).write_text("#pragma once\n")
    (include / "var.h").write_text("#pragma once\nint var();\n")
    source = tmp_path / "kernel_op.cc"
    source.write_text(f"\n#define JIT 1\n{text}")
    flags = ["-fPIC", "-O2", f"-I{include}", "-shared", "-ldl"]
    for out in ("first.so", "second.so"):
        command = [str(script), "asm_tuner.py", f"--cc_path={find_compiler().path}", str(source), *flags]
        subprocess.run([*command, "-H", "-o", str(tmp_path / out)], check=True, capture_output=True)
    compiled = tmp_path / "a b" / "prelude-key.h.gch"
    assert compiled.stat().st_size > 100_000
    used = subprocess.run([*command, "-H", "-o", str(tmp_path / "x.so")], check=True, capture_output=True, text=True)
    assert f"! {compiled}" in used.stderr, "the compiler marks a precompiled header it uses with !"


def test_other_uses_of_python_pass_through(tmp_path: Path) -> None:
    script = write_kernel_compiler(tmp_path)
    said = subprocess.run([script, "-c", "print('here')"], capture_output=True, text=True, check=True).stdout
    assert said == "here\n"
