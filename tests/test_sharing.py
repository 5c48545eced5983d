"""A folder shared with others: data nobody may change, and two runs side by side.

A moved folder is a row of test_reruns, spaces and Chinese characters are in the folders of test_workflow and
test_reruns, a stale lock and a second Snakemake on the same run are in test_snakemake_lock.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from copied_workflow import CopiedWorkflow, Planner
from small_set import small_set

from shanshui.__main__ import main
from shanshui.storage.files import write_json


def seen(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Size, time and inode of everything below a folder."""
    found = {path: path.stat() for path in [folder, *folder.rglob("*")]}
    return {str(path): (stat.st_size, stat.st_mtime_ns, stat.st_ino) for path, stat in found.items()}


def test_data_are_only_read(tmp_path: Path) -> None:
    data = small_set(tmp_path)
    folders = [tmp_path / name for name in ("imgs", "labels", "test")]
    paths = [path for folder in folders for path in (folder, *folder.iterdir())]
    before = [seen(folder) for folder in folders]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert data.validate() == 0
        out, settings = tmp_path / "prepared", tmp_path / "settings-prepare.json"
        others = ("batch", "holdout", "seed")  # of `validate` alone
        write_json(settings, {name: value for name, value in data.settings.items() if name not in others})
        assert main(["prepare", f"--settings={settings}", f"--pairs={tmp_path / 'out' / 'train.csv'}",
                     *(f"--{name}={out / name}.npy" for name in ("photos", "label-maps")),
                     f"--names={out / 'names.json'}"]) == 0  # fmt: skip
        assert [seen(folder) for folder in folders] == before
    finally:
        for folder in folders:
            folder.chmod(0o755)


@pytest.fixture
def planners() -> Iterator[list[Planner]]:
    planners = [Planner(), Planner()]
    yield planners
    for planner in planners:
        planner.close()


def test_two_runs_in_one_folder_at_once(root: Path, tmp_path: Path, planners: list[Planner]) -> None:
    workflow = CopiedWorkflow(tmp_path / "copy")
    work = workflow.begin("both", {}).folder
    config = yaml.safe_load((root / "tests" / "config" / "tiny.yaml").read_text())
    said: dict[str, tuple[int, str]] = {}

    def run(name: str, planner: Planner) -> None:
        (work / f"{name}.yaml").write_text(yaml.safe_dump({**config, "run": name}))
        said[name] = planner.run(
            work, "--snakefile", str(workflow.folder / "Snakefile"), "--configfile", f"{name}.yaml", "--cores", "1",
            f"results/{name}/prepare/names.json", STAND_IN_SLOW="landscapes",
        )  # fmt: skip

    threads = [threading.Thread(target=run, args=pair) for pair in zip(("one", "two"), planners, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, (code, words) in said.items():
        assert code == 0, f"{name}: {words[-2000:]}"
        assert (work / "results" / name / "prepare" / "names.json").exists()
