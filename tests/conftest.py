"""Fixtures of the whole suite."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from golden_files import GoldenFiles
from made_sets import Pairs

if TYPE_CHECKING:
    from paint_browser import Opened
    from paint_server import Running
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parent.parent

os.environ.setdefault("MPLBACKEND", "Agg")
if "PYTEST_XDIST_WORKER" in os.environ:  # side by side, OpenMP's waiting threads would hold up the other's
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ.setdefault("GOMP_SPINCOUNT", "0")  # of jobs with more threads that tests run

LONGEST = (  # files whose tests take more than half a minute where no kernel is compiled yet, the longest first
    "test_pretended_device", "test_workflow", "test_choosing", "test_reruns", "test_parallel", "test_cuda_kernels",
    "test_toys", "test_compress", "test_distill", "test_accumulation", "test_precompilation", "test_models",
    "test_features", "test_arithmetic", "test_finished_run", "test_tidy", "test_terminal", "test_compress_report",
)  # fmt: skip
ORDER = {name: number for number, name in enumerate(LONGEST)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, so that they do not come last and alone."""
    items.sort(key=lambda item: ORDER.get(item.path.stem, len(ORDER)))


@pytest.fixture(scope="session")
def references() -> Path | None:
    """Folder with whole reference outputs and real pairs: $SHANSHUI_REFERENCES, else `shared` beside the repository.

    None without it: tests then take what is kept in `golden/`, and made pairs.
    """
    folder = Path(os.environ.get("SHANSHUI_REFERENCES") or ROOT.parent / "shared")
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def golden_files(references: Path | None, tmp_path_factory: pytest.TempPathFactory) -> GoldenFiles:
    """Reference outputs and checkpoint files."""
    whole = references / "golden" if references else None
    return GoldenFiles(whole, tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture(scope="session")
def pairs(references: Path | None, tmp_path_factory: pytest.TempPathFactory) -> Pairs:
    """Folders of real pairs, or of made ones in their form."""
    return Pairs(references, tmp_path_factory.mktemp("pairs"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a home folder beside it."""
    for name in ("desk", "home"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "desk")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "desk"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium, one for all tests of a file."""
    from paint_browser import launched
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = launched(playwright)
        yield found
        found.close()


@pytest.fixture(scope="module")
def page_server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server of the drawing page, with a worker that colours classes and takes styles."""
    from paint_server import running

    with running(tmp_path_factory.mktemp("server"), "--style") as served:
        yield served


@pytest.fixture(scope="module")
def lasting_site(browser: Browser, page_server: Running) -> Iterator[Opened]:
    """The drawing page, opened once for a file."""
    from paint_browser import opened

    with opened(browser, page_server) as found:
        yield found


@pytest.fixture
def canvas(lasting_site: Opened) -> Opened:
    """A page for tests that change nothing but the drawing and its tools: these are as when it was opened."""
    lasting_site.clear()
    return lasting_site


@pytest.fixture
def site(browser: Browser, page_server: Running) -> Iterator[Opened]:
    """The drawing page, opened."""
    from paint_browser import opened

    with opened(browser, page_server) as found:
        yield found
