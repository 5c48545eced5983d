"""The code version in manifests covers the whole package; the note of compiled kernels covers what has kernels."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "shanshui"
SCRIPT = (
    "from shanshui.storage.provenance import code_version\n"
    "from shanshui.training.precompilation import kernel_stamp\n"
    "print(code_version(), kernel_stamp().name)\n"
)


def stamps(sources: Path) -> list[str]:
    """Code version and name of the note, as a process with these sources finds them."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(sources)},
    )  # fmt: skip
    return done.stdout.split()


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package."""
    folder = tmp_path_factory.mktemp("sources")
    shutil.copytree(PACKAGE, folder / "shanshui", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="module")
def before(sources: Path) -> list[str]:
    """The stamps of the code as it is."""
    return stamps(sources)


@pytest.mark.parametrize(
    ("module", "of_kernels"),
    [("nn/resize", True), ("architectures/networks", True), ("nn/losses", True), ("report/wording", False)],
)
def test_changed_code_has_another_version_and_asks_for_kernels_where_it_has_some(
    sources: Path, before: list[str], module: str, of_kernels: bool
) -> None:
    file = sources / "shanshui" / f"{module}.py"
    text = file.read_text(encoding="utf-8")
    file.write_text(f"{text}\n# changed\n", encoding="utf-8")
    version, note = stamps(sources)
    file.write_text(text, encoding="utf-8")
    assert version != before[0]
    assert (note != before[1]) == of_kernels
