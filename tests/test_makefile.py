"""`make` and the set-up behind it: when .venv is made anew, and what is said where something is missing."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

TOOLS = ("bash", "sh", "cat", "cut", "df", "awk", "dirname", "sha256sum", "rm", "grep", "make", "find")
MADE_FROM = ("envs/requirements.lock", "envs/uv.txt", "pyproject.toml")


@pytest.fixture
def clone(root: Path, tmp_path: Path) -> Path:
    """What `make setup` needs of the repository, in a folder with a space; .venv looks fresh."""
    folder = tmp_path / "a clone"
    (folder / ".venv" / "bin").mkdir(parents=True)
    shutil.copytree(root / "envs", folder / "envs")
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(root / name, folder / name)
    python = folder / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    stamp(folder)
    return folder


def stamp(folder: Path) -> None:
    digest = hashlib.sha256(b"".join((folder / name).read_bytes() for name in MADE_FROM)).hexdigest()
    (folder / ".venv" / "made-from").write_text(f"{digest} {folder}\n")


def path_of(folder: Path, **programs: str | None) -> str:
    """A PATH with a few plain tools and the given programs only."""
    tools = folder / "tools"
    tools.mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        assert found, name
        (tools / name).symlink_to(found)
    for name, target in programs.items():
        if target:
            (tools / name.replace("gxx", "g++")).symlink_to(target)
    return str(tools)


def setup(clone: Path, path: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": path, "HOME": str(clone), **variables}
    return subprocess.run(["make", "setup"], cwd=clone, env=environment, capture_output=True, text=True, check=False)


def test_fresh_environment_is_left_alone(clone: Path) -> None:
    done = setup(clone, path_of(clone))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda clone: shutil.rmtree(clone / ".venv"),
        lambda clone: (clone / ".venv" / "bin" / "python").unlink(),
        lambda clone: (clone / "envs" / "requirements.lock").write_text("numpy==1.26.4\n"),
        lambda clone: (clone / ".venv" / "made-from").write_text("0 /another/place\n"),
        lambda clone: (clone / ".venv" / "made-from").unlink(),
    ],
    ids=["removed", "python gone", "lock changed", "moved", "half made"],
)
def test_stale_environment_is_made_anew_after_a_look_at_the_machine(clone: Path, spoil: object) -> None:
    """Without a compiler nothing is made: the message shows that the set-up began."""
    assert callable(spoil)
    spoil(clone)
    done = setup(clone, path_of(clone, python3=sys.executable, gxx=None))
    assert done.returncode != 0
    assert "setup: no C++ compiler: g++ is not on the PATH\n       to do: apt-get install g++" in done.stderr


def test_missing_python_is_said(clone: Path) -> None:
    shutil.rmtree(clone / ".venv")
    done = setup(clone, path_of(clone), PYTHON="/no/such/python")
    assert done.returncode != 0
    assert "Python 3.11 or 3.12 is needed, /no/such/python is missing" in done.stderr


def test_old_python_is_refused_with_its_version(clone: Path) -> None:
    shutil.rmtree(clone / ".venv")
    old = clone / "old"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.18 || echo 3.9\n')
    old.chmod(0o755)
    done = setup(clone, path_of(clone, python3=str(old)))
    assert done.returncode != 0
    assert "python3 is Python 3.9.18" in done.stderr


def test_full_disk_is_said(clone: Path) -> None:
    shutil.rmtree(clone / ".venv")
    path = path_of(clone, python3=sys.executable, gxx=sys.executable)
    done = setup(clone, path, SHANSHUI_LEAST_DISK_GB="99999999")
    assert done.returncode != 0
    assert "99999999 are needed" in done.stderr


def test_demo_is_setup_then_compilation_then_pipeline(root: Path) -> None:
    said = subprocess.run(
        ["make", "--dry-run", "demo", "CORES=2"], cwd=root, capture_output=True, text=True, check=True,
        env={**os.environ, "MAKEFLAGS": ""},
    ).stdout.splitlines()  # fmt: skip
    assert [line.strip() for line in said if not line.startswith("make")] == [
        "envs/setup.sh",
        ".venv/bin/python -m shanshui doctor --compile --config config/demo.yaml | sed '/^$/,$d'",
        ".venv/bin/snakemake --cores 2 --configfile config/demo.yaml",
    ]


@pytest.fixture
def checked(clone: Path) -> Path:
    """A clone whose programs only say that they were called, which .venv/bin/called keeps in order."""
    for name in ("python", "ruff", "snakefmt", "mypy", "snakemake", "uv"):
        program = clone / ".venv" / "bin" / name
        program.write_text(f'#!/bin/sh\necho {name} "$@" | tee -a "{clone}/.venv/bin/called"\n')
        program.chmod(0o755)
    (clone / "envs" / "setup.sh").write_text("#!/bin/sh\n")
    (clone / "envs" / "cuda_wheels.sh").write_text("#!/bin/sh\n")
    return clone


def make_test(clone: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MAKEFLAGS": ""}
    command = ["make", "--no-print-directory", "test", "PYTEST=-x"]
    return subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)


def test_tests_come_after_what_lint_says_during_the_compilation(checked: Path) -> None:
    done = make_test(checked)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0] == "python -m shanshui doctor --compile"
    assert said[-1] == "python -m pytest -x"
    assert {"ruff check .", "mypy", "snakemake --lint"} <= set(said[1:-1])
    assert sorted((checked / ".venv" / "bin" / "called").read_text().splitlines()) == sorted(
        line for line in said if not line.startswith(".venv")
    )


@pytest.mark.parametrize(
    ("program", "error"), [("mypy", "found 1 error"), ("python", "no compiler"), ("uv", "no network")]
)
def test_no_test_runs_where_lint_or_compilation_fails(checked: Path, program: str, error: str) -> None:
    (checked / ".venv" / "bin" / program).write_text(f'#!/bin/sh\necho "{error}" >&2\nexit 1\n')
    done = make_test(checked)
    assert done.returncode != 0
    assert error in done.stdout + done.stderr
    assert "ruff check ." in done.stdout
    assert "pytest" not in done.stdout


def test_environment_of_the_caller_does_not_leak(clone: Path) -> None:
    (clone / "Makefile").write_text((clone / "Makefile").read_text() + "\nshow:\n\t@env\n")
    leaky = {
        "PYTHONPATH": "/somewhere", "VIRTUAL_ENV": "/elsewhere", "PYTHONHOME": "/nowhere",
        "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    said = subprocess.run(
        ["make", "show"], cwd=clone, env={**os.environ, **leaky}, capture_output=True, text=True, check=True
    ).stdout
    assert not re.search(r"^(PYTHONPATH|VIRTUAL_ENV|PYTHONHOME|PYTHONDONTWRITEBYTECODE)=", said, re.MULTILINE)


def test_paint_takes_the_weights_that_the_demo_chose(clone: Path) -> None:
    def command(*arguments: str) -> str:
        done = subprocess.run(
            ["make", "--no-print-directory", "--dry-run", "paint", *arguments],
            cwd=clone,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.splitlines()[-1]

    assert command() == ".venv/bin/python -m shanshui paint --open "
    for folder in ("select", "merge"):
        (clone / "results" / "demo" / folder).mkdir(parents=True)
    (clone / "results" / "demo" / "merge" / "010+011.safetensors").touch()
    (clone / "results" / "demo" / "select" / "model.json").write_text('{\n "chosen": [\n  "010+011"\n ]\n}\n')
    assert command().endswith("paint --open --weights results/demo/merge/010+011.safetensors")
    assert command("WEIGHTS=a b").endswith("paint --open --weights a b")


def test_continuous_integration_is_make_test(root: Path) -> None:
    script = (root / ".ci" / "run").read_text()
    assert script.splitlines()[-1] == "exec make test"
    assert os.access(root / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize(
    ("browser", "installed"), [(True, []), (False, ["update", "install -y --no-install-recommends chromium"])]
)
def test_continuous_integration_installs_a_missing_browser(
    clone: Path, root: Path, browser: bool, installed: list[str]
) -> None:
    (clone / ".ci").mkdir()
    shutil.copy(root / ".ci" / "run", clone / ".ci" / "run")
    path = Path(path_of(clone))
    (path / "make").unlink()
    for name in ("make", "apt-get", *(["chromium"] if browser else [])):
        (path / name).write_text(f'#!/bin/sh\necho "$@" >> "{clone}/{name}.called"\n')
        (path / name).chmod(0o755)
    subprocess.run(["bash", clone / ".ci" / "run"], env={"PATH": str(path)}, check=True)
    asked = clone / "apt-get.called"
    assert (asked.read_text().splitlines() if asked.exists() else []) == installed
    assert (clone / "make.called").read_text() == "test\n"


# --- the lock -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def locked(root: Path) -> dict[str, str]:
    """Versions in the lock by name."""
    text = (root / "envs" / "requirements.lock").read_text()
    return dict(re.findall(r"^([a-z0-9_.-]+)==(\S+)", text, re.MULTILINE))


def declared(root: Path) -> list[Requirement]:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    return [Requirement(text) for text in project["dependencies"] + project["optional-dependencies"]["dev"]]


def test_lock_serves_pyproject(root: Path, locked: dict[str, str]) -> None:
    wrong = [str(r) for r in declared(root) if not r.specifier.contains(locked.get(r.name.lower(), "0"))]
    assert wrong == []


def test_every_locked_package_has_hashes(root: Path, locked: dict[str, str]) -> None:
    for name in ("requirements.lock", "uv.txt", "docs.txt"):
        blocks = re.split(r"^(?=[a-z0-9_.-]+==)", (root / "envs" / name).read_text(), flags=re.MULTILINE)[1:]
        assert blocks
        assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_tools_of_the_documents_fit_the_lock(root: Path, locked: dict[str, str]) -> None:
    """They are installed into the same .venv: packages of both have one version."""
    text = (root / "envs" / "docs.txt").read_text()
    tools = dict(re.findall(r"^([a-z0-9_.-]+)==(\S+)", text, re.MULTILINE))
    assert {name: version for name, version in tools.items() if locked.get(name, version) != version} == {}
    wanted = tomllib.loads((root / "pyproject.toml").read_text())["dependency-groups"]["docs"]
    assert [text for text in wanted if not Requirement(text).specifier.contains(tools[Requirement(text).name])] == []


def test_conda_environment_has_the_locked_versions(root: Path, locked: dict[str, str]) -> None:
    pins = yaml.safe_load((root / "envs" / "jittor.yaml").read_text())["dependencies"][-1]["pip"]
    assert {pin: locked[pin.split("==")[0].lower()] for pin in pins} == {pin: pin.split("==")[1] for pin in pins}
    names = {r.name for r in declared(root)[: -len(dev(root))]} - {
        "snakemake",
        "pygments",
        "h11",
        "starlette",
        "uvicorn",
    }
    assert {pin.split("==")[0] for pin in pins} == names


def dev(root: Path) -> list[str]:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    return list(project["optional-dependencies"]["dev"])
