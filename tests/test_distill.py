"""Students: trained on their teacher's images and features, resumed exactly, and used like any weights."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_weights import label_map, save_apf, save_label_maps, save_spade

import shanshui
from shanshui.__main__ import main
from shanshui.architectures import noise_source
from shanshui.architectures.base import Generator
from shanshui.architectures.generator_networks import BuiltGenerator
from shanshui.architectures.narrowing import narrow
from shanshui.architectures.networks import init_generator, restore_generator
from shanshui.architectures.noise_source import seeded_noise
from shanshui.architectures.registry import GENERATORS, generator_of
from shanshui.backend.lazy import jt
from shanshui.backend.modules import gather
from shanshui.backend.runtime import seed_everything
from shanshui.compression import distilling
from shanshui.compression.distilling import Distillation, DistillConfig, captured
from shanshui.compression.examples import named
from shanshui.storage import checkpoint
from shanshui.storage.files import sha256
from shanshui.storage.size import Size

NAMES = ["a", "b", "c", "d"]
MAPS = np.stack([label_map(name) for name in NAMES])


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_apf(tmp_path_factory.mktemp("weights") / "teacher.safetensors")


def options(**changed: Any) -> DistillConfig:
    usual = {"epochs": 1, "batch": 4, "lr": 2e-3, "seed": 0, "alignment": 0.5, "by": "position", "similarity": 10.0,
             "reconstruction": 10.0, "perceptual": 0.0}  # fmt: skip
    return DistillConfig(**{**usual, **changed})


def distillation(teacher: Path, **changed: Any) -> Distillation:
    found = checkpoint.load(teacher)
    whole = restore_generator(found.arrays, found.meta, "teacher")
    small = narrow(whole.declared, 0.6, Size.of_maps(MAPS))
    seed_everything(1)
    return Distillation(whole, init_generator(small.declared, seg_noise=True), options(**changed))


def distill(teacher: Path, maps: Path, out: Path, *more: str) -> int:
    given = ["--teacher", str(teacher), "--labels", str(maps), "--out", str(out), "--share", "0.6", "--batch", "2"]
    return main(["distill", *given, *more])


# --- the loss ---------------------------------------------------------------------------------------------


def test_a_student_comes_nearer_to_its_teacher_which_stays_as_it_was(teacher: Path) -> None:
    training = distillation(teacher)
    before = gather(training.teacher.G)
    terms = [
        {name: float(term.item()) for name, term in training.step(named(training.teacher, MAPS, NAMES)).items()}
        for _ in range(20)
    ]
    assert set(terms[0]) == {"G/alignment", "G/similarity", "G/rec"}
    assert terms[-1]["G/rec"] < 0.95 * terms[0]["G/rec"]
    assert terms[-1]["G/similarity"] < terms[0]["G/similarity"]
    for name, array in gather(training.teacher.G).items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    assert not any(name.startswith("opt") and "teacher" in name for name in training.state())


def test_alignment_alone_rises(teacher: Path) -> None:
    training = distillation(teacher, similarity=0.0, reconstruction=0.0)
    values = [-float(training.step(named(training.teacher, MAPS, NAMES))["G/alignment"].item()) for _ in range(15)]
    assert values[-1] > values[0] + 0.02


def test_teacher_and_student_draw_the_same_noise(teacher: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training, names = distillation(teacher), ["one"]
    drawn: Counter[tuple[Any, ...]] = Counter()
    draw = noise_source.image_noise

    def counted(*which: Any) -> np.ndarray:
        drawn[which] += 1
        return draw(*which)

    monkeypatch.setattr(noise_source, "image_noise", counted)
    training.losses(named(training.teacher, MAPS[:1], names))["G/rec"].item()
    assert len(drawn) == 21, "one for each SPADE layer"
    assert set(drawn.values()) == {2}


@pytest.mark.parametrize("name", GENERATORS)
def test_aligned_layers_have_equal_sizes(name: str) -> None:
    """Of every generator: the outputs of the same parts of teacher and student, while an image is made."""
    if not GENERATORS[name].__module__.startswith("shanshui."):
        pytest.skip("of a plug-in")
    data = {"classes": ["a", "b"], "width": 128, "height": 64}
    section = {"name": name, "base_channels": 8, **({"halvings": 5} if name == "apf" else {})}
    meta = {"data": data, "model": {"generator": section}, "parity": {"spectral_norm": "on"}, "heads": 0}
    whole = generator_of({**meta, "seg_noise": False})
    outputs = [features(declared) for declared in (whole, whole.narrowed(4))]
    assert list(outputs[0]) == list(whole.aligned)
    assert len(whole.aligned) == 3
    for layer, found in outputs[0].items():
        assert found.shape[2:] == outputs[1][layer].shape[2:], layer
        assert found.shape[1] == 2 * outputs[1][layer].shape[1], layer


def features(declared: Generator) -> dict[str, Any]:
    built = BuiltGenerator(declared, *declared.build())
    conditioning = built.condition(np.zeros((1, 64, 128), np.uint8))
    with captured(built.G, declared.aligned) as found:
        built.generate(conditioning, seeded_noise(0)(["one"]))  # never read: only shapes are computed
    part = distilling.part_of(built.G, declared.aligned[0])
    assert "execute" not in vars(part)
    return found


# --- the command ------------------------------------------------------------------------------------------


def test_command(teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    maps, out, digest = save_label_maps(tmp_path / "maps", NAMES[:3]), tmp_path / "small.safetensors", sha256(teacher)
    assert distill(teacher, maps, out, "--epochs", "1") == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "student: base_channels 2" in said
    assert "epoch 1: G/alignment" in said
    assert sha256(teacher) == digest
    found = checkpoint.load(out)
    assert found.meta["teacher"]["file"] == "teacher.safetensors"
    assert found.meta["model"]["generator"]["base_channels"] == 2
    assert found.meta["compression"]["macs"] <= 0.6 * found.meta["compression"]["macs_of_teacher"]
    whole, small = shanshui.load(teacher), shanshui.load(out)
    assert small.cost(MAPS[0].shape).macs < 0.65 * whole.cost(MAPS[0].shape).macs
    image = small.generate(MAPS[0], "a", seed=3)
    assert image.shape == (1, 3, *MAPS[0].shape)
    assert small.accepts == whole.accepts
    assert main(["card", str(out)]) == 0
    assert "trained for 1 epoch on the images of `teacher.safetensors`" in capsys.readouterr().out
    assert distill(teacher, maps, out, "--epochs", "1") == 0, "a student of its own is replaced"
    assert distill(teacher, maps, teacher, "--epochs", "1", "--force") == 2, "its teacher is not"


def test_a_killed_training_continues_exactly(
    teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    maps = save_label_maps(tmp_path / "maps", NAMES)
    whole, resumed, states = tmp_path / "whole.safetensors", tmp_path / "resumed.safetensors", tmp_path / "states"
    assert distill(teacher, maps, whole, "--epochs", "4") == 0
    train = Distillation.train

    def killed(self: Distillation, source: Any, first: int, after_epoch: Any) -> None:
        def after(epoch: int, means: Any) -> None:
            after_epoch(epoch, means)
            if epoch == 2:
                raise KeyboardInterrupt

        train(self, source, first, after)

    with monkeypatch.context() as patched:
        patched.setattr(Distillation, "train", killed)
        assert distill(teacher, maps, resumed, "--epochs", "4", "--resume", str(states)) == 130
    assert not resumed.exists()
    capsys.readouterr()
    assert distill(teacher, maps, resumed, "--epochs", "4", "--resume", str(states)) == 0
    assert "epoch 2:" not in capsys.readouterr().out
    ours, theirs = checkpoint.load(resumed).arrays, checkpoint.load(whole).arrays
    for name, array in theirs.items():
        np.testing.assert_array_equal(ours[name], array, err_msg=name)


def test_a_style_encoder_is_the_teachers(tmp_path: Path) -> None:
    weights = save_spade(tmp_path / "styles.safetensors", edges="none")
    found = checkpoint.load(weights)
    whole = restore_generator(found.arrays, found.meta, "teacher")
    small = init_generator(whole.declared.narrowed(2))
    training = Distillation(whole, small, options(alignment=0.0, similarity=0.0))
    training.step(named(whole, MAPS[:1], ["a"]))["G/rec"].item()
    encoders = [gather(built.E) for built in (training.student, whole) if built.E is not None]
    for name, array in encoders[1].items():
        np.testing.assert_array_equal(encoders[0][name], array, err_msg=name)
    jt.sync_all()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--share", "1"], "above 0 and below 1"),
        (["--by", "image", "--batch", "1"], "of a single image the alignment is always 1"),
        (["--by", "image", "--alignment", "0"], "it is about kernel alignment"),
        (["--perceptual-weight", "3"], "both, or neither"),
        (["--alignment", "0", "--similarity", "0", "--reconstruction", "0"], "at least one loss"),
    ],
)
def test_refusals(
    teacher: Path, tmp_path: Path, more: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    maps = save_label_maps(tmp_path / "maps", NAMES[:1])
    assert distill(teacher, maps, tmp_path / "small.safetensors", *more) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "small.safetensors").exists()


def test_a_share_below_the_floor(teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    maps = save_label_maps(tmp_path / "maps", NAMES[:1])
    assert distill(teacher, maps, tmp_path / "small.safetensors", "--share", "0.001") == 1
    assert "at least 0." in capsys.readouterr().err
