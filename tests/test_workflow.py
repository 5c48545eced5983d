"""The real Snakefile from drawn landscapes to a submission, at the smallest size."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import zipfile
from collections import Counter
from pathlib import Path

import pytest
import yaml
from copied_workflow import PLANNER

from shanshui.config.settings import load_config
from shanshui.storage import files

MOST_LINES = 80  # of a run on the screen where that is no terminal
OUTPUTS = ("submission.zip", "fid_table.csv", "fid_table.md", "fid_curve.png", "report.html")


def snakemake(root: Path, folder: Path, *arguments: str, config: str = "tiny.yaml") -> subprocess.CompletedProcess[str]:
    """Run Snakemake on the repository's Snakefile in a working folder of its own."""
    return PLANNER.command(
        "--snakefile", str(root / "Snakefile"), "--directory", str(folder), "--configfile", str(folder / config),
        "--cores", os.environ.get("OMP_NUM_THREADS", "all"), *arguments,
    )  # fmt: skip


def planned(root: Path, folder: Path, config: str = "tiny.yaml") -> Counter[str]:
    """Jobs a dry run lists, by rule."""
    done = snakemake(root, folder, "--dry-run", "--quiet", "rules", config=config)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^(\w+)\s+(\d+)$", done.stdout + done.stderr, re.MULTILINE)
    return Counter({rule: int(count) for rule, count in rows if rule not in ("total", "all")})


def changed(folder: Path, name: str, **sections: object) -> str:
    """A copy of the tiny configuration with some sections replaced option by option."""
    config = yaml.safe_load((folder / "tiny.yaml").read_text())
    for section, options in sections.items():
        config[section] = {**config.get(section, {}), **options} if isinstance(options, dict) else options
    (folder / name).write_text(yaml.safe_dump(config, sort_keys=True))
    return name


@pytest.fixture(scope="module")
def finished(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder in which the tiny run has been made; its name has spaces and Chinese characters."""
    folder = tmp_path_factory.mktemp("work") / "山水 run"
    folder.mkdir()
    shutil.copy(root / "tests" / "config" / "tiny.yaml", folder)
    done = snakemake(root, folder)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    (folder / "said.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
    return folder


def test_a_run_leaves_what_it_promises(finished: Path) -> None:
    run = finished / "results" / "tiny"
    assert all((run / name).stat().st_size > 0 for name in OUTPUTS)
    tests = files.read_csv(run / "validate" / "test.csv")
    with zipfile.ZipFile(run / "submission.zip") as archive:
        assert sorted(archive.namelist()) == sorted(f"{row['name']}.jpg" for row in tests)
        assert archive.testzip() is None
    assert len(list((run / "samples" / "pretrain").glob("epoch_*.png"))) == 2
    assert len((run / "finetune" / "stats.jsonl").read_text().splitlines()) == 2
    assert not list(run.rglob(".*.safetensors")), "no temporary file is left"


def test_in_a_pipe_a_run_prints_few_lines_with_the_numbers_that_matter(finished: Path) -> None:
    said = (finished / "said.txt").read_text(encoding="utf-8")
    lines = said.splitlines()
    assert len(lines) <= MOST_LINES, said
    assert "\r" not in said
    for pattern in (
        r"everything else: \.snakemake/log/\S+\.log$",
        r"  doctor        \d+ CPU cores?, no GPU in use$",
        r"  landscapes    14 pairs$",
        r"  validate      14 pairs, \d+ findings?$",
        r"  pretrain      64x32: epoch 2, \d+ steps, G/adv \S+$",
        r"  finetune      epoch 4: \d+ steps, G/adv \S+$",
        r"  score         average of 3 \+ 4: DCT-Fréchet \S+ \(best so far \S+, .*\)$",
        r"  score         .*, seed 7: DCT-Fréchet \S+ \(best so far \S+, seed \d\)$",
        r"  score         submission: DCT-Fréchet \S+ on the test label maps$",
        r"  select        seed: seed \d \(DCT-Fréchet \S+\)$",
        r"  package       4 images, \d\.\d MiB$",
        r"first samples: results/tiny/samples/pretrain/epoch_001\.png \(",
        r"results so far: results/tiny/progress\.html \(",
        r"  submission: results/tiny/submission\.zip$",
        r"  table:      results/tiny/fid_table\.md$",
        r"  report:     results/tiny/report\.html$",
    ):
        assert any(re.search(pattern, line) for line in lines), f"{pattern}\n{said}"
    assert "url=report.html" in (finished / "results" / "tiny" / "progress.html").read_text(encoding="utf-8")


def test_table_names_its_features_and_never_says_fid(finished: Path) -> None:
    table = files.read_csv(finished / "results" / "tiny" / "fid_table.csv")
    kinds = Counter(row["kind"] for row in table)
    assert kinds == {"checkpoint": 2, "average": 1, "seed": 2}
    assert {"holdout_dct_frechet", "test_dct_frechet"} <= set(table[0])
    assert not any("fid" in column.lower() for column in table[0])


def test_the_chosen_are_the_best_on_the_holdout(finished: Path) -> None:
    run = finished / "results" / "tiny"
    chosen = json.loads((run / "select" / "model.json").read_text())["chosen"][0]
    scores = {path.stem: json.loads(path.read_text()) for path in (run / "score").glob("*.json")}
    assert scores.pop("fused")["model"] == "fused"
    assert chosen == min(scores, key=lambda name: scores[name]["sets"]["holdout"]["metrics"]["dct_frechet"])


def test_second_run_has_nothing_to_do(root: Path, finished: Path) -> None:
    done = snakemake(root, finished)
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr


def test_graph_in_the_documents_shows_the_rules_and_real_dependencies(root: Path, finished: Path) -> None:
    drawn = [
        re.findall(r"```mermaid\n(.*?)```", (root / name).read_text(encoding="utf-8"), re.DOTALL)
        for name in ("docs/pipeline.md", "docs/zh/pipeline.md")
    ]
    assert drawn[0] == drawn[1]
    chains = [line.split(" --> ") for line in drawn[0][0].splitlines() if "-->" in line]
    text = snakemake(root, finished, "--rulegraph").stdout
    names = dict(re.findall(r'(\d+)\[label = "(\w+)', text))
    after: dict[str, set[str]] = {name: set() for name in names.values()}
    for earlier, later in re.findall(r"(\d+) -> (\d+)", text):
        after[names[earlier]].add(names[later])
    for _ in after:  # until nothing is added: all rules that depend on each, directly or not
        after = {name: later.union(*(after[other] for other in later)) for name, later in after.items()}
    elsewhere = {
        "segmenter",
        "soup",
        "tidy",
        "compress",
        "compress_report",
    }  # rules that this configuration does without
    shown = {rule.strip() for chain in chains for rule in chain}
    assert shown - elsewhere == set(after) - {"all", "settings", "doctor"}
    pairs = [(a.strip(), b.strip()) for chain in chains for a, b in itertools.pairwise(chain)]
    assert [(a, b) for a, b in pairs if not elsewhere & {a, b} and b not in after[a]] == []


def test_reordering_the_configuration_reruns_nothing(root: Path, finished: Path) -> None:
    assert planned(root, finished, changed(finished, "reordered.yaml")) == {}


def test_scoring_section_does_not_retrain(root: Path, finished: Path) -> None:
    jobs = planned(root, finished, changed(finished, "scores.yaml", score={"metrics": ["dct_frechet", "sharpness"]}))
    assert {"reference", "score"} <= set(jobs)
    assert not {"validate", "prepare", "pretrain", "finetune", "merge"} & set(jobs)


def test_one_seed_more_runs_that_seed_only(root: Path, finished: Path) -> None:
    jobs = planned(root, finished, changed(finished, "seeds.yaml", infer={"seeds": [5, 7, 9]}))
    assert (jobs["infer"], jobs["score_seed"], jobs["select_seed"]) == (1, 1, 1)
    assert not {"pretrain", "finetune", "generate", "score", "merge", "reference"} & set(jobs)


def test_packaging_number_reruns_packaging_only(root: Path, finished: Path) -> None:
    jobs = planned(root, finished, changed(finished, "fuse.yaml", fuse={"share": 0.9}))
    assert set(jobs) == {"settings", "fuse", "score_fused", "package", "report"}


def test_one_epoch_more_trains_that_epoch_only(root: Path, finished: Path) -> None:
    config = changed(finished, "longer.yaml", finetune={"epochs": 3}, score={"last": 5})
    jobs = planned(root, finished, config)
    assert (jobs["finetune"], jobs["generate"], jobs["score"]) == (1, 1, 1)
    assert not {"pretrain", "prepare", "reference", "validate"} & set(jobs)


def test_interrupted_finetuning_continues_bit_for_bit(root: Path, finished: Path) -> None:
    """The last epoch trained again from the kept state gives the bytes of the uninterrupted run."""
    weights = finished / "results" / "tiny" / "finetune" / "epoch_004.safetensors"
    before = files.sha256(weights)
    weights.unlink()
    shutil.rmtree(finished / "results" / "tiny" / ".state")
    done = snakemake(root, finished, "--", "results/tiny/finetune/epoch_004.safetensors")
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert files.sha256(weights) == before


# --- mistakes: a clear message, an exit code, nothing half-written ---------------------------------------------


def test_typo_in_the_configuration_is_refused(root: Path, finished: Path) -> None:
    done = snakemake(root, finished, "--dry-run", config=changed(finished, "typo.yaml", pretrain={"epochz": 3}))
    assert done.returncode != 0
    assert "pretrain.epochz: there is no such option; did you mean `epochs`?" in done.stderr
    assert "Traceback" not in done.stderr


def broken(finished: Path, tmp_path: Path) -> Path:
    """The drawn pairs as somebody's own data, ready to be damaged."""
    shutil.copytree(finished / "results" / "tiny" / "landscapes", tmp_path / "data")
    (tmp_path / "tiny.yaml").write_text((finished / "tiny.yaml").read_text())
    changed(tmp_path, "tiny.yaml", landscapes=None)
    return tmp_path


def test_own_data_without_damage_is_accepted(root: Path, finished: Path, tmp_path: Path) -> None:
    folder = broken(finished, tmp_path)
    assert load_config([folder / "tiny.yaml"]).landscapes is None
    done = snakemake(root, folder, "--until", "validate")
    assert done.returncode == 0, done.stdout + done.stderr


def test_broken_photo_is_named(root: Path, finished: Path, tmp_path: Path) -> None:
    folder = broken(finished, tmp_path)
    photo = sorted((folder / "data" / "train" / "imgs").iterdir())[0]
    photo.write_bytes(photo.read_bytes()[:300])
    done = snakemake(root, folder, "--until", "validate")
    assert done.returncode != 0
    assert photo.name in done.stderr
    assert not (folder / "results" / "tiny" / "validate" / "train.csv").exists()


def test_label_out_of_range_is_named(root: Path, finished: Path, tmp_path: Path) -> None:
    from PIL import Image

    folder = broken(finished, tmp_path)
    label = sorted((folder / "data" / "train" / "labels").iterdir())[0]
    Image.new("L", (64, 32), 77).save(label)
    done = snakemake(root, folder, "--until", "validate")
    assert done.returncode != 0
    assert label.name in done.stderr
    assert "77" in done.stderr


def test_data_without_a_pair_are_named_once(root: Path, finished: Path, tmp_path: Path) -> None:
    folder = broken(finished, tmp_path)
    for photo in (folder / "data" / "train" / "imgs").iterdir():
        photo.rename(photo.with_stem("photo-" + photo.stem))
    whole = snakemake(root, folder)
    assert whole.returncode != 0
    assert whole.stderr.count("\ngap ") == 1
    assert "without a name in common, such as data/train/imgs/photo-" in whole.stderr
    assert "--until validate" in whole.stderr
    done = snakemake(root, folder, "--until", "validate")
    assert done.returncode != 0
    assert "has not been started" not in done.stderr
    assert "photo-" in done.stderr
    assert "no training pairs" in done.stderr


def test_the_full_ade20k_is_named_before_and_by_validate(root: Path, finished: Path, tmp_path: Path) -> None:
    folder = broken(finished, tmp_path)
    photo = next((folder / "data" / "train" / "imgs").iterdir())
    for phase, short in (("training", "train"), ("validation", "val")):
        scene = folder / "ade" / "images" / phase / "a" / "abbey"
        scene.mkdir(parents=True)
        for i in range(4):
            shutil.copy(photo, scene / f"ADE_{short}_{i:08d}.jpg")
            shutil.copy(photo, scene / f"ADE_{short}_{i:08d}_seg.png")
    changed(folder, "ade.yaml", run="ade", data={"layout": "ade20k", "root": "ade"})
    for options in ((), ("--until", "validate")):
        done = snakemake(root, folder, *options, config="ade.yaml")
        assert done.returncode != 0
        assert "this is the full ADE20K" in done.stderr
        assert "ADEChallengeData2016" in done.stderr
        assert "0 pairs" not in done.stderr
        assert ("has not been started" in done.stderr) == (not options)


def test_no_data_is_said_in_three_lines(root: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text("run: own\n")
    done = snakemake(root, tmp_path, "--dry-run")
    assert done.returncode != 0
    message = done.stderr.strip().splitlines()[-3:]
    assert message[0].startswith("no data:")
    assert "config/demo.yaml" in message[2]
