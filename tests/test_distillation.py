"""Losses between student and teacher, against outputs of CAT's and OMGD's code, and what they must not do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import golden_rule
import numpy as np
import pytest
from golden_files import GoldenFiles

from shanshui.backend.runtime import load_jittor
from shanshui.errors import UsageError
from shanshui.nn import distillation
from shanshui.nn.distillation import (
    ChannelConnector,
    alignment_loss,
    channel_distillation,
    kernel_alignment,
    similarity_loss,
    structural_similarity,
    style_loss,
    total_variation,
)
from shanshui.nn.lpips import LPIPS

jt = load_jittor()

CASES = ("head_0", "G_middle_1", "up_1", "pair_of_two", "other_size", "large", "tiny")


@pytest.fixture(scope="module")
def pairs(golden_files: GoldenFiles) -> Callable[[str], tuple[Any, Any, dict[str, Any]]]:
    settings, arrays = golden_files("compression_ka")
    return lambda name: (
        jt.array(arrays[f"{name}:student"]), jt.array(arrays[f"{name}:teacher"]), settings["cases"][name]
    )  # fmt: skip


# --- kernel alignment -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_alignment_by_image(pairs: Any, name: str) -> None:
    student, teacher, wanted = pairs(name)
    found = float(kernel_alignment(student, teacher, "image").item())
    assert found == pytest.approx(wanted["ka_float64"], rel=1e-6)


@pytest.mark.parametrize("name", [name for name in CASES if name != "other_size"] + ["single"])
def test_alignment_by_position(pairs: Any, name: str) -> None:
    student, teacher, wanted = pairs(name)
    found = float(kernel_alignment(student, teacher).item())
    assert found == pytest.approx(wanted["by_position_centred"], rel=1e-5)


@pytest.mark.parametrize("name", ["head_0", "G_middle_1", "up_1", "pair_of_two", "other_size", "tiny"])
def test_gradient_by_image(pairs: Any, golden_files: GoldenFiles, name: str) -> None:
    student, teacher, wanted = pairs(name)
    (gradient,) = jt.grad(-kernel_alignment(student, teacher, "image"), [student])
    reference = golden_files("compression_ka")[1][f"{name}:gradient_of_minus_ka"]
    np.testing.assert_allclose(gradient.numpy(), reference, atol=1e-3 * wanted["largest_gradient"], rtol=0)


def test_gradient_by_position_and_none_to_the_teacher(pairs: Any) -> None:
    student, teacher, _ = pairs("pair_of_two")
    loss = -kernel_alignment(student, teacher)
    ours, theirs = (gradient.numpy() for gradient in jt.grad(loss, [student, teacher]))
    assert not theirs.any()
    rng = np.random.default_rng(0)
    way = rng.normal(size=student.shape).astype(np.float32)
    values = [float(kernel_alignment(student + step * jt.array(way), teacher).item()) for step in (1e-2, -1e-2)]
    assert (ours * way).sum() == pytest.approx(-(values[0] - values[1]) / 2e-2, rel=2e-2)


def test_loss_of_three_layers(pairs: Any, golden_files: GoldenFiles) -> None:
    wanted = golden_files("compression_ka")[0]["loss"]
    students, teachers, _ = zip(*(pairs(name) for name in wanted["layers"]), strict=True)
    found = wanted["weight"] * float(alignment_loss(students, teachers, "image").item())
    assert found == pytest.approx(wanted["value"], rel=1e-6)


@pytest.mark.parametrize("by", ["position", "image"])
def test_identities(by: Any) -> None:
    x = jt.array(np.random.default_rng(0).normal(1, 1, (3, 5, 4, 6)).astype(np.float32))
    for other in (x, 3 * x, -x, 1e-9 * x, 1e12 * x, x[:, [4, 2, 0, 1, 3]]):
        assert float(kernel_alignment(x, other, by).item()) == pytest.approx(1, abs=1e-5)
    zero = jt.zeros(x.shape)
    for student, teacher in ((x, zero), (zero, x), (zero, zero)):
        value = kernel_alignment(student, teacher, by)
        (gradient,) = jt.grad(value, [student])
        assert float(value.item()) == 0
        assert not gradient.numpy().any()


def test_one_image_alone_has_no_alignment_by_image(pairs: Any) -> None:
    student, teacher, _ = pairs("single")
    with pytest.raises(UsageError, match="batch of 1"):
        kernel_alignment(student, teacher, "image")


# --- images and channels ----------------------------------------------------------------------------------


def test_similarity(golden_files: GoldenFiles) -> None:
    """On signed images as OMGD's code, to check the formula; the loss is taken on [0, 1]."""
    settings, arrays = golden_files("compression_omgd")
    student = jt.array(arrays["student"])
    for name in ("teacher_wide", "teacher_deep"):
        found = structural_similarity(student, jt.array(arrays[name]))
        assert float(found.item()) == pytest.approx(settings["by_teacher"][name]["ssim"], abs=1e-5)
    teacher, wanted = jt.array(arrays["teacher_wide"]), settings["ssim_identities"]
    in_unit = wanted["ssim of the same pictures mapped to [0,1]"]
    assert float(similarity_loss(student, teacher).item()) == pytest.approx(1 - in_unit, abs=1e-5)
    assert float(similarity_loss(teacher, teacher).item()) == pytest.approx(0, abs=1e-6)
    assert float(similarity_loss(teacher, -teacher).item()) > 1.4, "a negative is not similar"


def test_similarity_draws_an_image_towards_the_teachers(golden_files: GoldenFiles) -> None:
    arrays = golden_files("compression_omgd")[1]
    student, teacher = jt.array(arrays["student"]), jt.array(arrays["teacher_wide"])
    loss = similarity_loss(student, teacher)
    ours, theirs = jt.grad(loss, [student, teacher])
    assert not theirs.numpy().any()
    step = student - ours * (0.05 / float(ours.abs().max().item()))
    assert float(similarity_loss(step, teacher).item()) < float(loss.item())


def vgg16() -> Any:
    """VGG16 with the rule's weights."""
    network = LPIPS("vgg16")
    for number, conv in zip((0, 2, 5, 7, 10, 12, 14, 17, 19, 21), network.convs, strict=False):
        for part in ("weight", "bias"):
            parameter = getattr(conv, part)
            shape = tuple(parameter.shape)
            parameter.assign(jt.array(golden_rule.value(f"features.{number}.{part}", shape, gain=2**0.5)))
    return network


def test_style_and_total_variation(golden_files: GoldenFiles) -> None:
    """VGG16 sees images in [0, 1], as in OMGD's code."""
    settings, arrays = golden_files("compression_omgd")
    network = vgg16()
    student = jt.array(arrays["student"])
    ours = network.features((student + 1) / 2)[:4]
    for name, wanted in settings["by_teacher"].items():
        theirs = network.features((jt.array(arrays[name]) + 1) / 2)[:4]
        for layer, value in enumerate(wanted["style_by_layer_unweighted"]):
            found = float(style_loss(ours[layer : layer + 1], theirs[layer : layer + 1]).item())
            assert found == pytest.approx(value, rel=1e-3)
        assert 1e4 * float(style_loss(ours, theirs).item()) == pytest.approx(wanted["weighted"]["style"], rel=1e-3)
        summed = float(total_variation(student).item()) * student.shape[0]
        assert 1e-5 * summed == pytest.approx(wanted["weighted"]["tv"], rel=1e-5)


def test_style_and_total_variation_draw_the_student_alone() -> None:
    rng = np.random.default_rng(0)
    x, y = (jt.array(rng.normal(size=(2, 3, 4, 5)).astype(np.float32)) for _ in range(2))
    ours, theirs = (gradient.numpy() for gradient in jt.grad(style_loss([x], [y]), [x, y]))
    assert not theirs.any()
    assert np.abs(ours).min() > 0
    assert float(style_loss([x], [x[:, :, [2, 0, 1, 3]]]).item()) == pytest.approx(0, abs=1e-7), (
        "positions do not count"
    )
    assert float(total_variation(jt.ones((2, 3, 4, 5))).item()) == 0
    ramp = jt.array(np.broadcast_to(np.arange(5, dtype=np.float32), (2, 3, 4, 5)).copy())
    assert float(total_variation(ramp).item()) == 3 * 4 * 4, "of one image"


@pytest.mark.parametrize("layer", range(4))
def test_channel_distillation(golden_files: GoldenFiles, layer: int) -> None:
    settings, arrays = golden_files("compression_omgd")
    student, teacher = (jt.array(arrays[f"cd_{which}_{layer}"]) for which in ("student", "teacher"))
    connector = ChannelConnector(student.shape[1], teacher.shape[1])
    salt = f"cd{layer}"
    keys = {"connector.0.weight": connector.conv.weight, "connector.1.weight": connector.norm.weight,
            "connector.1.bias": connector.norm.bias}  # fmt: skip
    for name, parameter in keys.items():
        parameter.assign(jt.array(golden_rule.value(name, tuple(parameter.shape), salt)))
    jt.sync_all()
    found = float(channel_distillation(connector(student), teacher).item())
    assert found == pytest.approx(settings["channel_distillation"]["layers"][layer], rel=1e-4)


def test_the_window_is_a_gaussian_of_eleven(golden_files: GoldenFiles) -> None:
    wanted = golden_files("compression_omgd")[1]["gaussian"]
    np.testing.assert_allclose(distillation.band(31)[15, 10:21], wanted, atol=1e-7)
