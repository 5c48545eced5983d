"""The stage `compress`: students and controls that load like any weights, resumed exactly; what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_students import CONFIG, STYLES, command, save_run
from small_weights import label_map, save_spade

import shanshui
from shanshui.__main__ import main
from shanshui.compression.distilling import Distillation
from shanshui.config.settings import merge, stage_settings, validate
from shanshui.errors import EXIT_INTERRUPTED, EXIT_USAGE, UsageError
from shanshui.storage import checkpoint
from shanshui.storage.files import read_json, sha256, write_json


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def trained(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student, its control, and a student of the teacher's images alone, after four epochs each."""
    folder = tmp_path_factory.mktemp("students")
    assert main(command(run, folder / "small_060_of_epoch_007.safetensors", epochs=4)) == 0
    assert main(command(run, folder / "alone_060_of_epoch_007.safetensors", "--alone", epochs=2)) == 0
    assert main(command(run, folder / "teacher_alone.safetensors", epochs=2, photographs=False)) == 0
    return folder


def killed_after(epoch: int) -> Callable[..., None]:
    """`Distillation.train` of a process that is killed after an epoch."""
    train = Distillation.train

    def killed(self: Distillation, source: Any, first: int, after_epoch: Any) -> None:
        def after(now: int, means: Any) -> None:
            after_epoch(now, means)
            if now == epoch:
                raise KeyboardInterrupt

        train(self, source, first, after)

    return killed


# --- files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["small_060_of_epoch_007", "alone_060_of_epoch_007", "teacher_alone"])
def test_a_student_is_used_like_any_weights(run: Path, trained: Path, name: str) -> None:
    whole, small = shanshui.load(run / "epoch_007.safetensors"), shanshui.load(trained / f"{name}.safetensors")
    shape = label_map("a").shape
    assert small.cost(shape).macs < 0.65 * whole.cost(shape).macs
    assert small.accepts == whole.accepts
    assert small.generate(label_map("a"), "a", seed=1).shape == (1, 3, *shape)


def test_a_file_says_where_it_is_from(run: Path, trained: Path) -> None:
    teacher = run / "epoch_007.safetensors"
    meta = checkpoint.read_meta(trained / "small_060_of_epoch_007.safetensors")
    assert meta["teacher"] == {
        "file": "epoch_007.safetensors", "identity": checkpoint.identity(teacher), "sha256": sha256(teacher),
    }  # fmt: skip
    said = meta["compression"]
    assert said["method"] == "narrow"
    assert said["macs"] <= 0.6 * said["macs_of_teacher"]
    assert said["macs_on_patches"] <= said["macs"]
    assert said["macs_on_patches_of_teacher"] <= said["macs_of_teacher"]
    assert meta["training"]["epochs"] == meta["epoch"] == 4
    assert meta["training"]["alignment"] == {"weight": 0.5, "by": "position"}
    assert checkpoint.read_meta(trained / "alone_060_of_epoch_007.safetensors")["compression"]["alone"] is True


def test_the_teacher_stays_out_of_the_state_and_the_discriminator_is_in_it(trained: Path) -> None:
    states = {path.parent.parent.name: path for path in trained.rglob("epoch_002.safetensors")}
    named = {name: {array.partition(".")[0] for array in checkpoint.load(path).arrays} for name, path in states.items()}
    assert named["teacher_alone.states"] == {"G", "E", "opt"}
    assert named["alone_060_of_epoch_007.states"] == {"G", "E", "opt", "D", "opt_d"}


# --- resuming and losses ----------------------------------------------------------------------------------


def test_two_epochs_a_kill_and_two_more_are_four(
    run: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With photographs: the discriminator, its optimiser and augmentation continue exactly, too."""
    resumed, words = tmp_path / "resumed.safetensors", command(run, tmp_path / "resumed.safetensors", epochs=4)
    with monkeypatch.context() as patched:
        patched.setattr(Distillation, "train", killed_after(2))
        assert main(words) == EXIT_INTERRUPTED
    assert not resumed.exists()
    capsys.readouterr()
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "epoch 2:" not in said
    assert "epoch 3:" in said
    ours, theirs = (
        checkpoint.load(resumed).arrays,
        checkpoint.load(trained / "small_060_of_epoch_007.safetensors").arrays,
    )
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_array_equal(ours[name], array, err_msg=name)


@pytest.mark.parametrize(
    ("more", "photographs", "terms"),
    [
        ([], False, {"G/alignment", "G/similarity", "G/rec"}),
        (["--alone"], False, {"G/similarity", "G/rec"}),
        ([], True, {"G/alignment", "G/similarity", "G/rec", "G/adv", "G/feat", "G/rec_photo", "D/real", "D/fake"}),
        (["--alone"], True, {"G/adv", "G/feat", "G/rec_photo", "D/real", "D/fake"}),
    ],
)
def test_terms(
    run: Path, tmp_path: Path, more: list[str], photographs: bool, terms: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    digest = sha256(run / "epoch_007.safetensors")
    assert main(command(run, tmp_path / "s.safetensors", *more, epochs=1, batch=4, photographs=photographs)) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch 1: "))
    assert {part.split()[0] for part in line.removeprefix("epoch 1: ").split(", ")} == terms
    assert sha256(run / "epoch_007.safetensors") == digest


@pytest.mark.parametrize("more", [[], ["--alone"]])
def test_a_student_with_styles_has_the_teachers_encoder(tmp_path: Path, more: list[str]) -> None:
    """Of a generator with edges, a style encoder, and pixels without class."""
    run, out = save_run(tmp_path / "run", STYLES), tmp_path / "small.safetensors"
    assert main(command(run, out, *more, config=STYLES, epochs=1)) == 0
    whole, small = (checkpoint.load(path).arrays for path in (run / "epoch_007.safetensors", out))
    encoder = [name for name in whole if name.startswith("E.")]
    assert encoder
    for name in encoder:
        np.testing.assert_array_equal(small[name], whole[name], err_msg=name)
    assert shanshui.load(out).accepts.style


def test_a_pruned_student_begins_as_its_teacher_and_its_control_does_not(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The training itself is left out: what is looked at are the weights that it begins with."""
    monkeypatch.setattr(Distillation, "train", lambda self, source, first, after_epoch: None)
    found = []
    for name, more in (("small", []), ("alone", ["--alone"])):
        out = tmp_path / f"{name}.safetensors"
        assert main(command(run, out, *more, share=0.9, method="prune", photographs=False)) == 0
        found.append(checkpoint.load(out).arrays)
    small, alone = found
    whole = checkpoint.load(run / "epoch_007.safetensors").arrays
    assert {name: array.shape for name, array in small.items()} == {name: array.shape for name, array in alone.items()}
    encoder = next(name for name in whole if name.startswith("E.") and name.endswith("weight"))
    np.testing.assert_array_equal(small[encoder], whole[encoder])
    assert (alone[encoder] != whole[encoder]).any()


# --- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("compress", "words"),
    [
        ({"shares": [1.0]}, "less than 1"),
        ({"shares": [0.0]}, "greater than 0"),
        ({"shares": [0.123]}, "not a whole number of percent"),
        ({"shares": [0.25, 0.25]}, "listed twice"),
        ({"submit": 0.25}, "submit 0.25 is not among shares"),
        ({"alignment": {"by": "image"}, "batch": 1}, "of a single image the alignment is always 1"),
        (
            {"alignment": {"weight": 0}, "similarity": 0, "reconstruction": 0, "photographs": False},
            "at least one loss",
        ),
        ({"similarity": 0, "reconstruction": 0, "photographs": False}, "control without photographs"),
        ({"method": "other"}, "narrow"),
    ],
)
def test_configurations_that_are_refused(compress: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        validate(merge(CONFIG, {"compress": compress}))


def test_without_shares_there_is_nothing_to_depend_on() -> None:
    assert stage_settings(validate({}), "compress") == {}
    one, two = (stage_settings(validate(merge(CONFIG, {"compress": c})), "compress") for c in (
        {"shares": [0.6]}, {"shares": [0.6, 0.5], "control": False, "submit": 0.5},
    ))  # fmt: skip
    assert one == two, "which students there are is in the names of files"


def test_jobs_that_are_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "small.safetensors"
    assert main(command(run, out, share=0.001)) == 1
    assert "at least 0." in capsys.readouterr().err
    words = [word for word in command(run, out) if not word.startswith("--discriminator")]
    assert main(words) == EXIT_USAGE
    assert "photographs true without --discriminator" in capsys.readouterr().err
    settings = read_json(out.with_suffix(".settings.json"))
    del settings["compress"]["similarity"]
    write_json(tmp_path / "less.json", settings)
    less = [f"--settings={tmp_path / 'less.json'}" if word.startswith("--settings") else word for word in words]
    assert main(less) == EXIT_USAGE
    assert "compress.similarity is missing" in capsys.readouterr().err
    other = save_spade(tmp_path / "other.safetensors")
    words = [f"--teacher={other}" if word.startswith("--teacher") else word for word in command(run, out)]
    assert main(words) == 1
    assert "other classes or another size" in capsys.readouterr().err
    growing = tmp_path / "growing.safetensors"
    found = checkpoint.load(run / "epoch_007.safetensors")
    checkpoint.save(growing, found.arrays, **{**found.meta, "heads": 2})
    assert main([f"--teacher={growing}" if word.startswith("--teacher") else word for word in words]) == 1
    assert "take a checkpoint of fine-tuning" in capsys.readouterr().err
    assert not out.exists()
