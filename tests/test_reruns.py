"""The table of docs/reruns.md: every row is a change to a finished run, and the jobs that then run.

On the real Snakefile, rules and sources, with stages that compute nothing: what is looked at is what runs, in full,
choices included, not what a dry run foretells.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from copied_workflow import CopiedWorkflow, Run

from shanshui.config.stages import with_settings
from shanshui.pipeline.code_changes import accept, code_change
from shanshui.pipeline.code_dependencies import Sources

Change = Callable[[Run], None]


def options(**sections: Any) -> Change:
    """Change options of the configuration."""
    return lambda run: run.set(**sections)


def code(part: str, before: str = "", after: str = "\nEXTRA = 1\n") -> Change:
    """Change a source file: the first `before` becomes `after`; without `before`, a statement more at the end."""
    edit = (lambda text: text.replace(before, after, 1)) if before else (lambda text: text + after)
    return lambda run: run.workflow.edit(part, edit)


def nothing(run: Run) -> None:
    pass


def rewrite(run: Run) -> None:
    run.write(run.config(), sort_keys=True)
    file = run.folder / "config.yaml"
    file.write_text("# the same\n" + file.read_text().replace("run: tiny", "run: tiny  # its name"))


def move(run: Run) -> None:
    other = run.folder.with_name("moved")
    run.folder.rename(other)
    run.folder = other


def touch(run: Run) -> None:
    for file in [*run.results.rglob("*.json"), *run.results.rglob("*.csv")]:
        file.touch()


def reword(run: Run) -> None:
    code("src/shanshui/architectures/apf_generator.py", '"""', '"""Reworded. ')(run)
    code("src/shanshui/nn/spade.py", "", "\n# the end\n")(run)
    code("src/shanshui/training/loop.py", "training diverged", "the training diverged")(run)
    code("src/shanshui/training/arguments.py", "settings of this stage", "the settings")(run)


def machine(run: Run) -> None:
    for module in (
        "config/schema",
        "logs",
        "backend/device",
        "storage/files",
        "training/resume",
        "data/validation_report",
    ):
        code(f"src/shanshui/{module}.py")(run)


def accepted(run: Run) -> None:
    code("src/shanshui/nn/spade.py")(run)
    sources = Sources(run.workflow.sources)
    changes = [code_change(run.results, stage, sources) for stage in with_settings()]
    accept(run.results, [change for change in changes if change and change.pending])


def remove(*names: str) -> Change:
    """Delete results."""

    def change(run: Run) -> None:
        for name in names:
            path = run.results / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


def grow(run: Run) -> None:
    for part, suffix in (("imgs", "jpg"), ("labels", "png")):
        (run.folder / "data" / "train" / part / f"new.{suffix}").write_bytes(b"new")


def touch_data(run: Run) -> None:
    for file in (run.folder / "data").rglob("*.*"):
        file.touch()


def redraw(run: Run) -> None:
    file = run.folder / "data" / "train" / "imgs" / "a0.jpg"
    file.write_bytes(bytes(file.stat().st_size))


@dataclass(frozen=True)
class Row:
    """One row: the change in words, the change, the jobs that run after it by rule, and the run it is made to."""

    text: str
    change: Change
    jobs: dict[str, int]
    run: str = "drawn"


def jobs(*parts: dict[str, int], **more: int) -> dict[str, int]:
    """Job counts put together."""
    return {name: count for part in (*parts, more) for name, count in part.items()}


MODULES = "src/shanshui"
CHOICES = {"select_checkpoints": 1, "select_model": 1, "select_seed": 1}
OUTPUTS = {"table": 1, "fuse": 1, "score_fused": 1, "package": 1, "report": 1}
SEEDS = {"infer": 2, "score_seed": 2}
SCORED = jobs(CHOICES, OUTPUTS, generate=3, score=3, score_seed=2)  # images of checkpoints are temporary
PICTURES = jobs(SCORED, infer=2)
FINETUNE = jobs(PICTURES, finetune=2, merge=1)
PRETRAIN = jobs(FINETUNE, pretrain=2)
DATA = jobs(PRETRAIN, validate=1, prepare=1, reference=1)

ROWS = [
    Row("nothing", nothing, {}),
    Row("comments, or the order of options, in a YAML file", rewrite, {}),
    Row(
        "`gpus`, `jobs_per_gpu`, `generate.batch`, `snapshot_minutes`, `log_every`",
        options(gpus=0, jobs_per_gpu=2, generate={"batch": 1}, finetune={"snapshot_minutes": 1, "log_every": 3}),
        {},
    ),
    Row("the working folder moved", move, {}),
    Row("files touched, their contents as before", touch, {}),
    Row("images of your own data touched, their contents as before", touch_data, {}, "own"),
    Row("an image of your own data changed, its size as before", redraw, DATA, "own"),
    Row("a pair added to your own data", grow, DATA, "own"),
    Row("`seed`", options(seed=3), jobs(DATA, settings=7, landscapes=1)),
    Row("`data.holdout`", options(data={"holdout": 5}), jobs(DATA, settings=2)),
    Row("a number under `pretrain`", options(pretrain={"lr_g": 2e-4}), jobs(PRETRAIN, settings=2)),
    Row("a number under `finetune`", options(finetune={"lr_g": 2e-4}), jobs(FINETUNE, settings=2)),
    Row(
        "`finetune.epochs` and `score.last` one higher",
        options(finetune={"epochs": 3}, score={"last": 5}),
        jobs(settings=1, finetune=1, generate=1, score=1, select_checkpoints=1, table=1, package=1, report=1),
    ),
    Row(
        "`score.first` one higher, `select.top` one lower",
        options(score={"first": 4}, select={"top": 1}),
        jobs(SEEDS, CHOICES, OUTPUTS, settings=1),
    ),
    Row(
        "`score.metrics`",
        options(score={"metrics": ["dct_frechet", "sharpness"]}),
        jobs(SCORED, settings=3, reference=1),
    ),
    Row("`select.top` one lower", options(select={"top": 1}), jobs(SEEDS, CHOICES, OUTPUTS, settings=1)),
    Row("`select.soup` one higher", options(select={"soup": 2}), jobs(settings=1, report=1)),
    Row(
        "`finetune.ema`",
        options(finetune={"ema": 0.9}),
        jobs(FINETUNE, settings=2, finetune=1, finetune_last=1, generate=4, score=4),
    ),
    Row(
        "`mask_accuracy` among `score.metrics`",
        options(score={"metrics": ["dct_frechet", "mask_accuracy"]}),
        jobs(SCORED, settings=4, reference=1, segmenter=1),
    ),
    Row("`select.on`", options(select={"on": "test"}), jobs(CHOICES, settings=3, table=1, package=1, report=1)),
    Row(
        "a seed more in `infer.seeds`",
        options(infer={"seeds": [5, 7, 9]}),
        jobs(settings=1, infer=1, score_seed=1, select_seed=1, table=1, package=1, report=1),
    ),
    Row(
        "a seed less in `infer.seeds`",
        options(infer={"seeds": [5]}),
        jobs(OUTPUTS, settings=1, select_seed=1),
    ),
    Row(
        "a share in `compress.shares`, the first",
        options(compress={"shares": [0.6], "perceptual": {"net": "none"}, "batch": 2}),
        jobs(settings=3, compress=2, generate=2, score=2, compress_report=1, report=1),
    ),
    Row("`generate.quality`", options(generate={"quality": 90}), jobs(PICTURES, settings=4)),
    Row("`fuse.share`", options(fuse={"share": 0.9}), jobs(settings=2, fuse=1, score_fused=1, package=1, report=1)),
    Row("`report.samples`", options(report={"samples": 3}), jobs(settings=1, report=1)),
    Row("comments, docstrings, help texts, wording of errors in the code", reword, {}),
    Row("code that changes no result: `logs`, `device`, `files`, ...", machine, {}),
    Row("a network (`nn/spade.py`)", code(f"{MODULES}/nn/spade.py"), jobs(PRETRAIN, settings=4)),
    Row("the same, accepted as harmless", accepted, {}),
    Row("a loss (`nn/losses.py`)", code(f"{MODULES}/nn/losses.py"), jobs(PRETRAIN, settings=4)),
    Row(
        "how images are generated (`synthesis/synthesizer.py`)",
        code(f"{MODULES}/synthesis/synthesizer.py"),
        jobs(PICTURES, settings=1),
    ),
    Row("a metric (`metrics/dct.py`)", code(f"{MODULES}/metrics/dct.py"), jobs(SCORED, settings=2, reference=1)),
    Row(
        "how weights are averaged (`evaluation/merging.py`)",
        code(f"{MODULES}/evaluation/merging.py"),
        jobs(SEEDS, OUTPUTS, settings=1, merge=1, generate=1, score=1, select_model=1, select_seed=1),
    ),
    Row(
        "another version of Pillow",
        code(
            f"{MODULES}/pipeline/code_dependencies.py",
            "return metadata",
            'return "9" if package == "pillow" else metadata',
        ),
        jobs(DATA, settings=11, landscapes=1),
    ),
    Row("the report's template", code(f"{MODULES}/report/report.html.j2"), jobs(settings=1, report=1)),
    Row(
        "the command of a rule (`table`)",
        code("rules/deliver.smk", "shanshui table ", "shanshui  table "),
        jobs(table=1, report=1),
    ),
    Row("`submission.zip` deleted", remove("submission.zip"), jobs(package=1, report=1)),
    Row(
        "weights or scores in between deleted",
        remove("finetune/epoch_003.safetensors", "score/epoch_003.json"),
        {},
    ),
]


@pytest.fixture(scope="module")
def workflow(tmp_path_factory: pytest.TempPathFactory) -> CopiedWorkflow:
    return CopiedWorkflow(tmp_path_factory.mktemp("copy") / "山水 of mine")


@pytest.fixture(scope="module")
def finished(root: Path, workflow: CopiedWorkflow) -> dict[str, Run]:
    """Two finished runs: on drawn landscapes, and on pairs of one's own."""
    config = yaml.safe_load((root / "tests" / "config" / "tiny.yaml").read_text())
    runs = {"drawn": workflow.begin("drawn", config), "own": workflow.begin("own", {**config, "landscapes": None})}
    for part in ("train/imgs/a{}.jpg", "train/labels/a{}.png", "test/labels/b{}.png"):
        for number in range(8):
            file = runs["own"].folder / "data" / part.format(number)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"a")
    for run in runs.values():
        assert run.jobs()["report"] == 1
    return runs


@pytest.mark.parametrize("row", ROWS, ids=[row.text for row in ROWS])
def test_row(row: Row, finished: dict[str, Run], workflow: CopiedWorkflow) -> None:
    run = finished[row.run].copy("changed")
    try:
        row.change(run)
        ran = run.jobs()
        print("RAN", row.text, "|", jobs(ran))
        assert ran == Counter(row.jobs)
    finally:
        workflow.restore()
        shutil.rmtree(run.folder)


ORDER = (
    "settings", "landscapes", "validate", "prepare", "segmenter", "reference", "pretrain", "finetune",
    "finetune_last", "generate", "score", "merge", "select_checkpoints", "select_model", "infer", "score_seed",
    "select_seed", "compress", "compress_report", "table", "fuse", "score_fused", "package", "report",
)  # fmt: skip


def described(row: Row) -> str:
    """The row as the document has it."""
    named = [f"{row.jobs[rule]} {rule}" if row.jobs[rule] > 1 else rule for rule in ORDER if rule in row.jobs]
    assert len(named) == len(row.jobs)
    return f"| {row.text} | {', '.join(named) or 'nothing'} |"


def test_document_has_these_rows_and_no_others(root: Path) -> None:
    lines = (root / "docs" / "reruns.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("| ")][1:] == [described(row) for row in ROWS]


def test_choice_being_made_again_while_another_one_ends(finished: dict[str, Run], workflow: CopiedWorkflow) -> None:
    """Snakemake then asks for its file, which is not there for a moment, and may begin the choice once more."""
    run = finished["drawn"].copy("changed")
    try:
        code(f"{MODULES}/synthesis/synthesizer.py")(run)
        ran = run.jobs(STAND_IN_SLOW="select/seed.json")
        assert ran in [jobs(PICTURES, settings=1, select_seed=times) for times in (1, 2)]
    finally:
        workflow.restore()
        shutil.rmtree(run.folder)


def test_options_that_yaml_reads_otherwise_stop_the_planning(workflow: CopiedWorkflow) -> None:
    run, defaults = workflow.begin("twice", {}), workflow.folder / "config.yaml"
    (run.folder / "config.yaml").write_text("finetune: {batch: 4}\nseed: 1\nfinetune: {epochs: 2}\n")
    code, said = run.snakemake("-n")
    assert code
    assert "config.yaml: finetune stands in line 1 and again in line 3" in said
    text = defaults.read_bytes()
    try:
        defaults.write_bytes("# 风景\n".encode("gb18030") + text)
        code, said = run.snakemake("-n")
    finally:
        defaults.write_bytes(text)
    assert code
    assert "config.yaml is not UTF-8: byte 0xb7 in line 1; it may be GB18030" in said
    assert "Traceback" not in said
