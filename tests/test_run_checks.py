"""What can be known of a run is known before its first job, by `snakemake` and by `doctor` alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shanshui.__main__ import main
from shanshui.backend.device import Device
from shanshui.config.settings import validate
from shanshui.errors import ShanshuiError, UsageError
from shanshui.pipeline import run_checks
from shanshui.pipeline.finding import Finding
from shanshui.storage.files import write_json

PLAIN = {"net": "none"}
SMALL: dict[str, Any] = {
    "landscapes": None,
    "data": {"classes": ["sky", "water"], "width": 64, "height": 32, "load_width": 72, "holdout": 4},
    "model": {
        "generator": {"name": "apf", "base_channels": 4, "halvings": 5},
        "discriminator": {"name": "progressive", "count": 2, "base_channels": 8},
    },
    "pretrain": {"epochs": 2, "batch": 2, "perceptual": PLAIN},
    "finetune": {"epochs": 2, "batch": 2, "perceptual": PLAIN},
    "score": {"first": 3, "last": 4, "metrics": ["dct_frechet", "swd"], "rank_by": "dct_frechet"},
    "select": {"top": 2},
}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten pairs and three test label maps of two classes."""
    monkeypatch.chdir(tmp_path)
    for folder in ("train/imgs", "train/labels", "test/labels"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    for i in range(10):
        Image.new("RGB", (64, 32), (i, 0, 0)).save(f"data/train/imgs/p{i}.jpg")
        Image.fromarray(np.tile([0, 1], (32, 32)).astype(np.uint8)).save(f"data/train/labels/p{i}.png")
    for i in range(3):
        Image.new("L", (64, 32), 1).save(f"data/test/labels/t{i}.png")
    return tmp_path


def changed(**sections: Any) -> dict[str, Any]:
    """The small configuration with some options laid over."""
    raw = {name: dict(part) if isinstance(part, dict) else part for name, part in SMALL.items()}
    for section, options in sections.items():
        raw[section] = {**(raw.get(section) or {}), **options} if isinstance(options, dict) else options
    return raw


def found(rules: set[str] | None = None, local: bool = True, **sections: Any) -> dict[str, Finding]:
    """What is wrong or limited, by name."""
    findings = run_checks.examine(validate(changed(**sections)), rules, local)
    return {finding.name: finding for finding in findings if finding.state != "ok"}


@pytest.mark.usefixtures("own")
def test_a_sound_run_is_only_counted() -> None:
    assert found() == {}
    texts = {finding.name: finding.text for finding in run_checks.examine(validate(SMALL))}
    assert texts["data"] == "6 pairs to train on, 4 held out, 3 test label maps"
    assert "takes about" in texts["disk: the run"]


@pytest.mark.usefixtures("own")
def test_batches_and_hold_out_against_the_pairs() -> None:
    assert "pretrain.batch 7 is more than the 6 pairs" in found(pretrain={"batch": 7})["batch"].text
    held = found(data={"holdout": 10})["batch"]
    assert (held.state, held.text) == (
        "gap",
        "finetune.batch 2 is more than the 0 pairs to train on (data.holdout 10 of 10)",
    )
    assert "a smaller data.holdout" in held.do
    merged = found(merge={"batch_norm": "estimated", "label_maps": 1})["merge"]
    assert (merged.state, "less than one batch of 2" in merged.text) == ("gap", True)


@pytest.mark.usefixtures("own")
def test_a_batch_of_one_with_batch_norm_is_said() -> None:
    one = found(finetune={"batch": 1})["batch"]
    assert (one.state, "a batch has one image" in one.text) == ("note", True)
    raw = changed(finetune={"batch": 1})
    raw["model"] = {
        "generator": {"name": "spade", "norm": "instance", "base_channels": 4},
        "discriminator": "multiscale",
    }
    assert "batch" not in {finding.name for finding in run_checks.examine(validate(raw))}


@pytest.mark.usefixtures("own")
def test_scores_that_cannot_be_had() -> None:
    for path in Path("data/test/labels").glob("t[12].png"):
        path.unlink()
    note = found()["scores"]
    assert note.state == "note"
    assert note.text == "dct_frechet (2 or more) cannot be had on the test set: 1 image(s)"
    assert "not measured" in note.do
    gap = found(select={"on": "test"})["scores"]
    assert (gap.state, "it is what chooses" in gap.text) == ("gap", True)
    other = {"metrics": ["dct_precision", "swd"], "rank_by": "dct_precision"}
    few = found(score=other, data={"holdout": 3})["scores"]
    assert "dct_precision (4 or more) cannot be had on the " in few.text
    command = found(score={"aesthetic_command": "no-such-program --fast"})["aesthetics"]
    assert (command.state, "no-such-program is not found" in command.text) == ("gap", True)


def test_pairs_that_are_missing(own: Path) -> None:
    (own / "data/train/labels/p3.png").unlink()
    (own / "data/train/imgs/p4.jpg").unlink()
    assert "1 photograph(s) without label map, 1 label map(s) without photograph" in found()["data: pairs"].text
    assert "data.exclude: gone.txt does not exist" in found(data={"exclude": "gone.txt"})["data"].text
    for path in (own / "data/test/labels").iterdir():
        path.unlink()
    assert found()["data"].text == "there are no test label maps"
    (own / "data/test/labels").rmdir()
    assert "no data: test label maps" in found()["data"].text


def test_data_without_a_pair_have_one_fault(own: Path) -> None:
    for path in (own / "data/train/imgs").iterdir():
        path.rename(path.with_stem(f"x{path.stem}"))
    faults = found(pretrain={"batch": 7}, merge={"batch_norm": "estimated"})
    assert set(faults) == {"data"}
    text = "no pairs: 10 training photographs and 10 training label maps without a name in common, such as "
    assert faults["data"].text == f"{text}data/train/imgs/xp0.jpg and data/train/labels/p0.png"
    assert "--until validate" in faults["data"].do
    assert "data" not in found({"settings", "validate"}), "`validate` says it better itself"


def test_exclusion_of_every_pair_is_named(own: Path) -> None:
    (own / "exclude.txt").write_text("".join(f"p{i}\n" for i in range(10)))
    faults = found(data={"exclude": "exclude.txt"})
    assert (set(faults), "data.exclude leaves none" in faults["data"].text) == ({"data"}, True)


def test_classes_that_never_occur(own: Path) -> None:
    note = found(data={"classes": ["sky", "water", "tree", "hill"]})["classes"]
    assert (note.state, note.text) == ("note", "2 of 4 classes in none of the 13 label maps: tree, hill")
    Image.new("L", (64, 32), 2).save(own / "data/test/labels/t0.png")
    assert "classes" not in found(data={"classes": ["sky", "water", "tree"]})


@pytest.mark.usefixtures("own")
def test_pictures_too_small_for_a_network() -> None:
    assert (
        "a side of 16 pixels; it needs 75" in found(pretrain={"perceptual": {"net": "inception_v3"}})["perceptual"].text
    )
    model = {"generator": "pix2pixhd", "discriminator": "multiscale"}
    with pytest.raises(UsageError, match=r"data\.width 16 is too small for generator pix2pixhd: 32 or more"):
        validate(changed(model=model, data={"width": 16, "height": 16, "load_width": 16}))


def test_estimated_statistics_that_would_have_no_effect() -> None:
    model = {"generator": {"name": "clade", "norm": "instance"}, "discriminator": "multiscale"}
    with pytest.raises(UsageError, match=r"estimated has no effect with model\.generator\.norm instance"):
        validate(changed(model=model, merge={"batch_norm": "estimated"}))


def test_weights_are_read_before(own: Path) -> None:
    asked = {"perceptual": {"net": "vgg19"}}
    gap = found(finetune=asked, pretrain={"perceptual": PLAIN})["vgg19"]
    assert (gap.state, gap.do) == ("gap", "python -m shanshui weights vgg19")
    place = own / "resources" / "weights" / "vgg19.pkl"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"half a file")
    assert "cannot be read" in found(finetune=asked)["vgg19"].text
    (own / "s.safetensors").write_bytes(b"")
    wanted = {"metrics": ["miou", "swd"], "rank_by": "swd"}
    assert "s.safetensors" in found(score=wanted, segmenter={"weights": "s.safetensors"})["segmenter"].text
    assert "segmenter" not in found(score=wanted, segmenter={"weights": "builtin"})
    classes = {"classes": ["spoon", "fork"]}
    assert found(score=wanted, segmenter={"weights": "builtin"}, data=classes)["segmenter"].state == "gap"


def test_places_that_cannot_be_written(own: Path) -> None:
    (own / "results").write_text("mine")
    assert "a part of this path is a file" in found()["results"].text
    (own / "results").unlink()
    (own / "results").symlink_to(own / "unmounted" / "disk")
    assert found()["results"].state == "gap"
    (own / "results").unlink()
    assert "too long" in found(run="r" * 300)["results"].text


@pytest.mark.usefixtures("own")
def test_gpus_that_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_checks.machine, "find_device", lambda: Device("cpu", "CPU: no CUDA device"))
    monkeypatch.setattr(run_checks.machine, "cuda_devices", list)
    assert found() == found(gpus=0) == {}
    gap = found(gpus=[0])["GPU"]
    assert (gap.state, gap.text) == ("gap", "gpus: [0], and none can be used here: CPU: no CUDA device")
    assert found(gpus=[0], local=False) == {}
    monkeypatch.setattr(run_checks.machine, "cuda_devices", lambda: [{"name": "Card", "memory_mib": 8000}])
    aloud = found(gpus=0)["GPU"]
    assert (aloud.state, aloud.text) == (
        "note", "gpus: 0, so everything runs on the CPU; 1 GPU(s) visible (Card), none is used",
    )  # fmt: skip
    assert "none can be used" in found()["GPU"].text
    monkeypatch.setattr(run_checks.machine, "find_device", lambda: Device("cuda", "CUDA: 1 device(s)"))
    monkeypatch.setattr(run_checks.machine, "cuda_identities", lambda: ["a"])
    monkeypatch.setattr(run_checks.machine, "find_mpi", lambda: type("Mpi", (), {"version": "Open MPI 4"}))
    assert found() == {}
    assert "only 1 of them are here" in found(gpus=[0, 1])["GPU"].text
    assert "names no device" in found(gpus=[3])["GPU"].text
    many = found(finetune={"processes": 2})["processes"]
    assert (many.state, many.text) == ("gap", "processes 2: each has a GPU of its own, and there are 1")


@pytest.mark.usefixtures("own")
def test_only_what_concerns_the_planned_rules_is_looked_at() -> None:
    assert "batch" in found({"pretrain"}, pretrain={"batch": 7})
    assert "batch" not in found({"report"}, pretrain={"batch": 7})


def test_a_gap_stops_and_notes_are_told() -> None:
    note, gap = Finding("a", "note", "limited", "nothing"), Finding("b", "gap", "impossible", "change it")
    assert run_checks.stop_at_gaps([Finding("c", "ok", "fine")]) == ""
    assert run_checks.stop_at_gaps([note]).splitlines() == ["note a             limited", " " * 19 + "to do: nothing"]
    with pytest.raises(ShanshuiError) as caught:
        run_checks.stop_at_gaps([note, gap])
    assert "impossible" in str(caught.value)
    assert "limited" in str(caught.value)


def test_doctor_looks_at_the_same(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_json(own / "my.yaml", changed(pretrain={"batch": 7}, data={"classes": ["sky", "water", "tree"]}))
    assert main(["doctor", "--config", "my.yaml"]) == 1
    said = capsys.readouterr()
    for finding in run_checks.examine(
        validate(changed(pretrain={"batch": 7}, data={"classes": ["sky", "water", "tree"]}))
    ):
        assert finding.line() in said.out
    assert "not usable: batch" in said.err
