"""Digests of the code behind a stage: what changes them and what does not."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from shanshui.config.stages import with_settings
from shanshui.pipeline import code_dependencies
from shanshui.pipeline.code_dependencies import LEFT_OUT, LOOKED_AT, Sources, code_digest

PACKAGE = {
    "__init__.py": '"""A package."""\n\n__version__ = "1"\n',
    "errors.py": "class ShanshuiError(Exception):\n    pass\n",
    "stages/__init__.py": '"""Stages."""\n',
    "stages/train.py": (
        '"""Train."""\n\nfrom __future__ import annotations\n\nfrom typing import TYPE_CHECKING\n\n'
        "from shanshui.errors import ShanshuiError\n\nif TYPE_CHECKING:\n    from shanshui.tables import Table\n\n\n"
        'def run(parser) -> None:\n    """Run."""\n    from shanshui.nets import spade\n\n'
        '    parser.add_argument("--a", help="a number", default=3)\n'
        '    if spade.WIDTH < 1:\n        raise ShanshuiError("too narrow")\n'
    ),
    "stages/show.py": "from shanshui import tables\n\nprint(tables.NAME)\n",
    "nets/__init__.py": "DEPTH = 2\n",
    "nets/spade.py": '"""A network."""\n\nWIDTH = 16  # channels\n',
    "tables.py": '"""Tables."""\n\nNAME = "page.j2"\n',
    "page.j2": "<p>",
    "other.j2": "<q>",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in PACKAGE.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


def digests(folder: Path) -> dict[str, str]:
    sources = Sources(folder)
    return {stage: code_digest(sources.stage(stage)) for stage in ("train", "show")}


def changed(folder: Path, name: str, before: str, after: str) -> set[str]:
    """Stages whose digest changes with a file."""
    old = digests(folder)
    file = folder / name
    assert before in file.read_text()
    file.write_text(file.read_text().replace(before, after))
    new = digests(folder)
    return {stage for stage in old if old[stage] != new[stage]}


def test_closure_follows_imports_within_functions_and_packages_around_modules(folder: Path) -> None:
    assert list(Sources(folder).stage("train")) == ["shanshui.nets", "shanshui.nets.spade", "shanshui.stages.train"]
    assert list(Sources(folder).stage("show")) == ["shanshui.stages.show", "shanshui.tables"]


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("nets/spade.py", "# channels", "# of features"),
        ("nets/spade.py", "A network.", "Another text."),
        ("nets/spade.py", "WIDTH = 16", "WIDTH = (\n    16\n)"),
        ("stages/train.py", "Run.", "Run it."),
        ("stages/train.py", "a number", "the number of it"),
        ("stages/train.py", "too narrow", "much too narrow"),
        ("stages/train.py", "shanshui.tables import Table", "shanshui.tables import Page"),
        ("errors.py", "pass", "code = 1"),
        ("__init__.py", '"1"', '"2"'),
        ("other.j2", "<q>", "<r>"),
    ],
)
def test_words_and_what_is_left_out_change_nothing(folder: Path, name: str, before: str, after: str) -> None:
    assert changed(folder, name, before, after) == set()


@pytest.mark.parametrize(
    ("name", "before", "after", "stages"),
    [
        ("nets/spade.py", "16", "17", {"train"}),
        ("nets/spade.py", "16", "16.0", {"train"}),
        ("nets/__init__.py", "2", "3", {"train"}),
        ("stages/train.py", "default=3", "default=4", {"train"}),
        ("stages/train.py", "<", "<=", {"train"}),
        ("stages/show.py", "print(tables.NAME)", "print(tables.NAME, 1)", {"show"}),
        ("page.j2", "<p>", "<b>", {"show"}),
    ],
)
def test_statements_and_named_data_files_count(
    folder: Path, name: str, before: str, after: str, stages: set[str]
) -> None:
    assert changed(folder, name, before, after) == stages


def test_new_module_counts_once_it_is_imported(folder: Path) -> None:
    before = digests(folder)
    (folder / "extra.py").write_text("A = 1\n")
    assert digests(folder) == before
    assert changed(folder, "nets/spade.py", "WIDTH", "from shanshui import extra\nWIDTH") == {"train"}


def test_modules_that_are_found_by_their_package_count(folder: Path) -> None:
    found = 'from shanshui.plugins.discovery import import_modules\nimport_modules("shanshui.nets")\n'
    assert changed(folder, "tables.py", "NAME", f"{found}NAME") == {"show"}
    assert changed(folder, "nets/spade.py", "16", "17") == {"train", "show"}


def test_record_of_a_stage_does_not_count(folder: Path) -> None:
    file = folder / "stages" / "show.py"
    file.write_text(file.read_text() + '\nSTAGE = Stage(after="train", section="report")\n')
    assert changed(folder, "stages/show.py", '"report"', '"table"') == set()


def test_versions_of_packages_count_where_they_are_imported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"numpy": "1.0", "pillow": "9.0", "scipy": "2.0", "jittor": "3.0"}
    monkeypatch.setattr(code_dependencies, "installed", lambda package: versions[package])
    assert changed(folder, "nets/spade.py", "WIDTH", "import numpy as np\nfrom PIL import Image\nWIDTH") == {"train"}
    added = (
        "from scipy.ndimage import zoom\nfrom shanshui.backend.runtime import load_jittor\nimport torch\nimport os\n"
    )
    assert changed(folder, "tables.py", "NAME", f"{added}NAME") == {"show"}
    stages = {stage: Sources(folder).stage(stage) for stage in ("train", "show")}
    assert {n: v for n, v in stages["train"].items() if "package" in n} == {
        "package numpy": "1.0", "package pillow": "9.0"
    }  # fmt: skip
    assert {n: v for n, v in stages["show"].items() if "package" in n} == {
        "package jittor": "3.0", "package scipy": "2.0"
    }  # fmt: skip
    before = digests(folder)
    versions["pillow"] = "10.0"
    assert {stage for stage, digest in digests(folder).items() if digest != before[stage]} == {"train"}


# --- this package ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real() -> Sources:
    return Sources()


def test_lists_of_what_does_not_count_name_what_there_is(real: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(LEFT_OUT) <= set(real.names())
    monkeypatch.setattr(code_dependencies, "LOOKED_AT", {})
    everything = Sources()
    assert all(apart <= everything.module(name).imports for name, apart in LOOKED_AT.items())


def test_training_depends_on_its_networks_and_on_no_words(real: Sources) -> None:
    modules = set(real.stage("finetune"))
    assert {"shanshui.nn.spade", "shanshui.nn.losses", "shanshui.data.loader"} <= modules
    kinds = (
        "shanshui.report",
        "shanshui.metrics",
        "shanshui.landscapes",
        "shanshui.synthesis",
        "shanshui.__main__",
    )
    assert not [name for name in modules if name.startswith(kinds)]
    assert not modules & set(LEFT_OUT)


@pytest.mark.parametrize(
    ("stage", "packages"),
    [("finetune", {"numpy", "pillow", "scipy", "jittor"}), ("prepare", {"numpy", "pillow"}), ("table", {"numpy"})],
)
def test_stages_depend_on_the_packages_they_compute_with(real: Sources, stage: str, packages: set[str]) -> None:
    marked = {name.partition(" ")[2] for name in real.stage(stage) if name.startswith(code_dependencies.PACKAGE_MARK)}
    assert marked == packages
    assert all(code_dependencies.installed(package) != "none" for package in packages)


def test_code_of_a_metric_counts_where_features_and_scores_are_computed(real: Sources) -> None:
    for metric in ("kid", "lpips", "dct", "swd"):
        counting = {stage for stage in with_settings() if f"shanshui.metrics.{metric}" in real.stage(stage)}
        assert counting == {"reference", "score"}, metric


def test_stages_differ_and_depend_on_no_other_stage(real: Sources) -> None:
    own = {
        stage: [name for name in real.stage(stage) if name.startswith("shanshui.stages")] for stage in with_settings()
    }
    assert own == {stage: [f"shanshui.stages.{stage}"] for stage in with_settings()}


def test_all_stages_are_read_in_less_than_a_second() -> None:
    begin = time.process_time()
    sources = Sources()
    for stage in with_settings():
        sources.stage(stage)
    assert time.process_time() - begin < 2, "0.4 s on two cores at leisure"
