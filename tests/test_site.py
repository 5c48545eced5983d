"""The documents as a site: it is built without warnings, and needs no network to be read."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from documents import DOCUMENTS

pytest.importorskip("sphinx", reason="`make docs-tools` installs it, as `make test` does")


@pytest.fixture(scope="module")
def site(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as by `make docs`."""
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "--quiet",
        "--fail-on-warning",
        "--keep-going",
        str(root / "docs"),
        folder,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_document_is_a_page_in_the_list(root: Path, site: Path) -> None:
    listed = re.findall(
        r'<li class="toctree-l1[^"]*"><a class="reference internal" href="([^"#]+)"', (site / "index.html").read_text()
    )
    pages = {
        str(file.relative_to(root / "docs").with_suffix(".html"))
        for file in DOCUMENTS
        if file.is_relative_to(root / "docs")
    }
    assert set(listed) == pages - {"index.html"}
    assert all((site / page).is_file() for page in pages)


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    loaded = re.compile(r'<(?:script|img|iframe|source)\b[^>]* src="([^"]+)"|<link\b[^>]* href="([^"]+)"')
    styles = re.compile(r"(?:url\(|@import )['\"]?((?:https?:)?//[^'\")]+)")
    far = []
    for file in [*site.rglob("*.html"), *site.rglob("*.css")]:
        text = file.read_text(encoding="utf-8")
        found = [one or other for one, other in loaded.findall(text)] + styles.findall(text)
        far += [(file.name, target) for target in found if re.match(r"(?:https?:)?//", target)]
    assert far == []


def test_links_between_pages_and_pictures_lead_to_files(site: Path) -> None:
    lost = []
    for file in site.rglob("*.html"):
        for target in re.findall(r'<(?:a|img)\b[^>]* (?:href|src)="([^"#?]+)', file.read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:", target) and not (file.parent / target).exists():
                lost.append((file.name, target))
    assert lost == []


def test_the_pipeline_is_drawn(site: Path) -> None:
    page = (site / "pipeline.html").read_text(encoding="utf-8")
    drawn = page[page.index('<marker id="head"') :]
    assert {"landscapes", "pretrain", "tidy"} <= set(re.findall(r">(\w+)</text>", drawn))
    assert drawn.count("marker-end") > 20
