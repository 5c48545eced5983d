"""Headers of Jittor's core, compiled once: by a real compiler, with the flags they are used with."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from shanshui.backend.core_headers import HEADERS, precompiled_headers
from shanshui.backend.toolchain import find_compiler

VAR = """#pragma once
#include <string>
inline int var() { return LEVEL; }
namespace jittor {
using std::string;
bool startswith(const string& text, const string& part, unsigned start = 0);
}
"""
ASK = """
#include <iostream>
#include "var.h"
int main() {
    using jittor::startswith;
    std::cout << startswith("#if JIT", "#if") << startswith("x #if", "#if", 2) << startswith("x #if", "#if")
              << startswith("#i", "#if") << startswith("#if", "#if", 4) << startswith("#if", "", 3)
              << startswith("#if", "#if", 99);
}
"""


@pytest.fixture
def core(tmp_path: Path) -> Path:
    """Sources where Jittor's lie, in a folder with a space."""
    source = tmp_path / "a b" / "jittor" / "src"
    for name in re.findall(r'#include "(.*)"', HEADERS):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("#pragma once\n")
    (source / "var.h").write_text(VAR)
    (source / "op.cc").write_text('#include "var.h"\nint op() { return var(); }\n')
    (source / "ops" / "other_op.cc").write_text('#include "var.h"\nint other() { return 2 * var(); }\n')
    return source


def compiled(file: Path, core: Path, variables: dict[str, str], level: int = 1) -> str:
    """Compile; return which headers were read, `!` before those that were ready."""
    command = [find_compiler().path, str(file), "-O2", "-fPIC", f"-I{core}", f"-DLEVEL={level}", "-H", "-c"]
    out = file.with_suffix(".o")
    done = subprocess.run(
        [*command, "-o", str(out)], env={**os.environ, **variables}, capture_output=True, text=True, check=True
    )
    assert out.is_file()
    return done.stderr


def test_headers_are_compiled_once_and_then_used(core: Path, tmp_path: Path) -> None:
    with precompiled_headers(tmp_path, find_compiler().path) as variables:
        for name in ("op.cc", "ops/other_op.cc"):
            assert "core.h.gch" in compiled(core / name, core, variables)
        (folder,) = tmp_path.glob("headers-*")
    assert not folder.exists()


def test_machine_code_is_the_same(core: Path, tmp_path: Path) -> None:
    object_file = core / "op.o"
    compiled(core / "op.cc", core, {})
    plain = object_file.read_bytes()
    with precompiled_headers(tmp_path, find_compiler().path) as variables:
        compiled(core / "op.cc", core, variables)
    assert object_file.read_bytes() == plain


def test_other_flags_and_other_files_read_the_text(core: Path, tmp_path: Path) -> None:
    other = tmp_path / "kernel.cc"
    other.write_text('#include "var.h"\nint kernel() { return var(); }\n')
    with precompiled_headers(tmp_path, find_compiler().path) as variables:
        assert "core.h.gch" in compiled(core / "op.cc", core, variables)
        for said in (compiled(core / "op.cc", core, variables, level=2), compiled(other, core, variables)):
            assert "core.h.gch" not in said
            assert "var.h" in said


def test_prefixes_are_found_without_a_string_of_the_literal(core: Path, tmp_path: Path) -> None:
    """Jittor's own form is only declared here: a call of it would not link."""
    (core / "ask.cc").write_text(ASK)
    with precompiled_headers(tmp_path, find_compiler().path) as variables:
        compiled(core / "ask.cc", core, variables)
    subprocess.run([find_compiler().path, str(core / "ask.o"), "-o", str(core / "ask")], check=True)
    assert subprocess.run([core / "ask"], capture_output=True, text=True, check=True).stdout == "1100010"


def test_a_file_that_does_not_compile_after_the_headers_is_compiled_without(core: Path, tmp_path: Path) -> None:
    (core / "first.cc").write_text("#ifdef _GLIBCXX_STRING\n#error\n#endif\n")
    with precompiled_headers(tmp_path, find_compiler().path) as variables:
        assert "core.h.gch" in compiled(core / "first.cc", core, variables)
    assert (core / "first.o").is_file()


def test_headers_that_do_not_compile_are_left_out(core: Path, tmp_path: Path) -> None:
    (core / "executor.h").unlink()
    with precompiled_headers(tmp_path, find_compiler().path) as variables:
        assert "core.h.gch" not in compiled(core / "op.cc", core, variables)


def test_a_compiler_without_the_inner_program_gets_no_variables(tmp_path: Path) -> None:
    other = tmp_path / "clang++"
    other.write_text('#!/bin/sh\necho "${1#-print-prog-name=}"\n')
    other.chmod(0o755)
    for compiler in (str(other), "/no/such/compiler", ""):
        with precompiled_headers(tmp_path, compiler) as variables:
            assert variables == {}


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "headers-1").mkdir()
    (tmp_path / "headers-1" / "core.h.gch").touch()
    with precompiled_headers(tmp_path, find_compiler().path):
        assert not (tmp_path / "headers-1").exists()


def test_folders_of_the_caller_come_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPILER_PATH", "/somewhere")
    with precompiled_headers(tmp_path, find_compiler().path) as variables:
        assert variables["COMPILER_PATH"].endswith(":/somewhere")
