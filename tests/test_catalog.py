"""What the Snakemake workflow catalog and snakedeploy expect of the repository, checked without network."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from copied_workflow import PARTS, PLANNER

CACHED = "snakemake/snakemake/source-cache/snakemake-git-cache"  # below $XDG_CACHE_HOME
DEPLOYED = """from snakemake.utils import min_version


min_version("6.10.0")


configfile: "config/config.yaml"


# declare https://github.com/owner/shanshui as a module
module shanshui:
    snakefile:
        github("owner/shanshui", path="workflow/Snakefile", tag="v1")
    config:
        config


# use all rules from https://github.com/owner/shanshui
use rule * from shanshui
"""


@pytest.fixture(scope="module")
def tiny(root: Path) -> Path:
    return root / "tests" / "config" / "tiny.yaml"


def test_files_of_a_standardised_workflow_are_there(root: Path) -> None:
    shown = yaml.safe_load((root / ".snakemake-workflow-catalog.yml").read_text(encoding="utf-8"))
    assert set(shown) == {"usage"}
    assert set(shown["usage"]) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert shown["usage"]["software-stack-deployment"]["conda"] is True
    readme = (root / "README.md").read_text(encoding="utf-8").lower()
    assert "snakemake" in readme
    assert "workflow" in readme
    assert "config/config.yaml" in (root / "config" / "README.md").read_text(encoding="utf-8")
    assert list((root / "rules").glob("*.smk"))


def test_deployed_configuration_is_the_whole_one(root: Path, tmp_path: Path) -> None:
    """As snakedeploy copies it."""
    shutil.copytree(root / "config", tmp_path / "config")
    assert not (tmp_path / "config" / "config.yaml").is_symlink()
    assert (tmp_path / "config" / "config.yaml").read_bytes() == (root / "config.yaml").read_bytes()


@pytest.fixture(scope="module")
def fetched(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache in which Snakemake finds the workflow as already fetched from GitHub; the package is not in it."""
    folder, cache = tmp_path_factory.mktemp("repository"), tmp_path_factory.mktemp("cache")
    for part in PARTS:
        copy = shutil.copytree if (root / part).is_dir() else shutil.copy
        copy(root / part, folder / part)
    name = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    for command in (["init", "-q"], ["add", "."], [*name, "commit", "-qm", "All"], ["tag", "v1"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    place = cache / CACHED / "github.com" / "owner" / "shanshui"
    subprocess.run(["git", "clone", "-q", "--bare", folder, place], check=True)
    return cache


def test_deployed_workflow_runs_with_the_installed_package(
    root: Path, fetched: Path, tmp_path: Path, tiny: Path
) -> None:
    """Rules come from the repository at a tag, the configuration from the working folder, the package from Python."""
    for name in ("workflow", "config"):
        (tmp_path / name).mkdir()
    (tmp_path / "workflow" / "Snakefile").write_text(DEPLOYED)
    shutil.copy(tiny, tmp_path / "config" / "config.yaml")
    environment = {"PYTHONPATH": str(root / "src"), "XDG_CACHE_HOME": str(fetched)}
    code, said = PLANNER.run(tmp_path, "--cores", "1", "--", "results/tiny/landscapes", **environment)
    assert code == 0, said
    assert list((tmp_path / "results" / "tiny" / "landscapes").rglob("*.png"))
    code, said = PLANNER.run(tmp_path, "--cores", "1", "--dry-run", "--quiet", "rules", **environment)
    assert code == 0, said
    planned = dict(re.findall(r"^(\w+) +(\d+)$", said, re.M))
    assert {"complete": "1", "finetune": "2", "package": "1"}.items() <= planned.items(), (
        "all outputs, without a target"
    )
    assert "landscapes" not in planned, "made above"


def test_missing_package_is_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "shanshui"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "shanshui", None)
    hosted = SimpleNamespace(current_basedir=object())
    with pytest.raises(SystemExit, match=r"shanshui is not installed.*config/README\.md"):
        exec((root / "rules" / "configuration.smk").read_text(), {"workflow": hosted, "Path": Path})


def test_package_is_alone_in_the_folder_that_jobs_get(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from shanshui.pipeline import deployment

    installed = tmp_path / "site-packages" / "shanshui"
    installed.mkdir(parents=True)
    (installed.parent / "numpy").mkdir()
    monkeypatch.setattr(deployment.shanshui, "__file__", str(installed / "__init__.py"))
    for _ in range(2):
        folder = deployment.package_folder(tmp_path / ".snakemake")
        assert [path.name for path in folder.iterdir()] == ["shanshui"]
        assert (folder / "shanshui").resolve() == installed
