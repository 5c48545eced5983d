"""SPADE's networks: sizes, numbers of parameters, variants; without reference outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shanshui.architectures.multiscale_discriminator import MultiscaleDiscriminator
from shanshui.architectures.spade_generator import SPADEGenerator, start_size
from shanshui.architectures.style_encoder import StyleEncoder
from shanshui.backend.modules import gather, restore
from shanshui.backend.runtime import load_jittor, seed_everything
from shanshui.data.labels import one_hot
from shanshui.data.patches import patch_pyramid
from shanshui.errors import ShanshuiError
from shanshui.nn.init import init_weights
from shanshui.nn.norms import NormKind
from shanshui.nn.patch_spade import to_device
from shanshui.nn.simam import simam
from shanshui.nn.spade_block import BlockKind
from shanshui.storage.size import Size
from shanshui.training.optim import trainable

jt = load_jittor()

CLASSES = 4
LABELS = np.random.default_rng(0).integers(0, CLASSES, (1, 4, 8)).repeat(16, 1).repeat(16, 2).astype(np.uint8)
PICTURES = (384, 512)


def count(network: Any) -> int:
    """Numbers to train; nothing is computed, not even the first values."""
    return sum(int(np.prod(parameter.shape)) for parameter in trainable([network]))


def generator(modulation: Any, channels: int, upsampling: Any = "normal", size: tuple[int, int] | None = None) -> Any:
    z_dim = 256 if size else None
    return SPADEGenerator(BlockKind(29, modulation), channels, upsampling, z_dim=z_dim, size=size and Size(*size))


@pytest.mark.parametrize(
    ("build", "parameters"),
    [
        (lambda: generator("spade", 64), 92_838_339),
        (lambda: generator("spade", 64, "more"), 92_838_339),
        (lambda: generator("spade", 64, "most"), 93_336_803),
        (lambda: generator("spade", 64, "normal", PICTURES), 143_098_307),
        (lambda: generator("spade", 64, "most", PICTURES), 96_226_531),
        (lambda: generator("spade", 64, "normal", (192, 256)), 105_202_115),
        (lambda: generator("spade", 48), 57_269_715),
        (lambda: generator("spade", 32), 30_041_059),
        (lambda: generator("spade", 24), 19_554_219),
        (lambda: generator("spade", 16), 11_152_371),
        (lambda: generator("clade", 64), 67_632_579),
        (lambda: generator("clade_icpe", 64), 67_632_687),
        (lambda: generator("clade", 48), 38_214_483),
        (lambda: generator("clade", 32), 17_136_355),
        (lambda: generator("clade", 24), 9_724_779),
        (lambda: generator("clade", 16), 4_398_195),
        (lambda: MultiscaleDiscriminator(29), 5_587_074),
        (lambda: MultiscaleDiscriminator(29, count=4), 11_174_148),
        (lambda: StyleEncoder(), 10_463_424),
    ],
)
def test_parameters_of_the_published_sizes(build: Any, parameters: int) -> None:
    assert count(build()) == parameters


def test_sizes_of_the_discriminators_answers() -> None:
    segmap, image = jt.zeros((1, 29, *PICTURES)), jt.zeros((1, 3, *PICTURES))
    (maps,) = MultiscaleDiscriminator(29, 8, count=4)(segmap, image)
    assert [tuple(features[-1].shape) for features in maps] == [
        (1, 1, 51, 67), (1, 1, 27, 35), (1, 1, 15, 19), (1, 1, 9, 11),
    ]  # fmt: skip


def test_batch_norm_lets_the_style_encoder_see_how_bright_a_photo_is() -> None:
    """A photo twice, half as bright the second time: by instance norm the last features hardly differ."""
    photo = np.random.default_rng(0).uniform(-1, 1, (1, 3, 256, 256)).astype(np.float32)
    pair = jt.array(np.concatenate([photo, photo / 2]))
    kinds: tuple[tuple[NormKind, float, float], ...] = (("instance", 0.0, 0.05), ("batch", 0.3, 2.0))
    for norm, least, most in kinds:
        E = StyleEncoder(2, 4, norm)
        assert ("norm6.running_mean" in gather(E)) == (norm == "batch")
        whole, half = [level.numpy() for _, level in E.trace(pair)][-1]
        assert least <= np.linalg.norm(half - whole) / np.linalg.norm(whole) <= most


def test_starts_that_are_no_whole_numbers_are_refused() -> None:
    assert start_size(Size(384, 512), "most") == (3, 4)
    with pytest.raises(ShanshuiError, match=r"256x192[\s\S]*multiples of 128"):
        SPADEGenerator(BlockKind(CLASSES), 4, "most", z_dim=8, size=Size(192, 256))
    with pytest.raises(ShanshuiError, match="even"):
        SPADEGenerator(BlockKind(CLASSES), 3, "most")
    G = SPADEGenerator(BlockKind(CLASSES, hidden=2), 2, z_dim=8, size=Size(64, 128))
    with pytest.raises(ShanshuiError, match="128x64"):
        G(jt.zeros((1, CLASSES, 64, 64)), jt.zeros((1, 8)))
    with pytest.raises(ValueError, match="z and positions"):
        G(jt.zeros((1, CLASSES, 64, 128)))


def filled(network: Any) -> Any:
    """Evaluation mode, with weights that keep the features' scale."""
    rng = np.random.default_rng(0)
    arrays = {
        name: (rng.normal(size=array.shape) / np.sqrt(array[0].size * 3)).astype(np.float32)
        for name, array in gather(network).items()
    }
    restore(network, {n: abs(a) + 1 if "running_var" in n else a for n, a in arrays.items()}, "test")
    network.eval()
    return network


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_patches_give_the_same_picture(norm: Any) -> None:
    G = filled(SPADEGenerator(BlockKind(CLASSES, norm=norm, hidden=8, spectral_norm=False), 4))
    labels = np.concatenate([LABELS, LABELS[:, :, ::-1]])
    segmap = jt.array(one_hot(labels, CLASSES))
    patches = to_device(patch_pyramid(labels, G.patch_sizes(Size(64, 128))), CLASSES)
    assert len(patches) > 1
    np.testing.assert_allclose(G(segmap, patches=patches).numpy(), G(segmap).numpy(), atol=2e-5)


def test_sizes_of_patches_are_those_of_the_features() -> None:
    for upsampling, halvings in (("normal", 5), ("more", 6), ("most", 7)):
        G = SPADEGenerator(BlockKind(CLASSES, hidden=2), 2, upsampling)  # type: ignore[arg-type]
        sizes = {tuple(x.shape[2:]) for name, x in G.trace(jt.zeros((1, CLASSES, 128, 256))) if name != "fc"}
        assert sizes == set(G.patch_sizes(Size(128, 256)))
        assert len(sizes) == halvings + 1
    for kind in (BlockKind(CLASSES, "clade"), BlockKind(CLASSES, kernel=5), BlockKind(CLASSES, edges=True)):
        assert SPADEGenerator(kind, 2).patch_sizes(Size(64, 64)) == []


@pytest.mark.parametrize(
    "kind",
    [
        BlockKind(CLASSES, hidden=4, activation="gelu", attention="simam", spectral_norm=False),
        BlockKind(CLASSES, hidden=4, kernel=5, edges=True, spectral_norm=False),
        BlockKind(CLASSES, "clade", norm="instance", attention="simam", edges=True, spectral_norm=False),
    ],
)
def test_every_option_matters_and_learns(kind: BlockKind) -> None:
    seed_everything(0)
    G = filled(SPADEGenerator(kind, 2))
    G.train()
    segmap = jt.array(np.random.default_rng(1).random((1, CLASSES + kind.edges, 32, 64), np.float32).round())
    image = G(segmap)
    assert tuple(image.shape) == (1, 3, 32, 64)
    parameters = {name: p for name, p in G.state_dict().items() if "running" not in name}
    grads = jt.grad((image * jt.randn(image.shape)).sum(), list(parameters.values()))
    dead = [name for name, grad in zip(parameters, grads, strict=True) if not grad.numpy().any()]
    assert dead == []


def test_first_values() -> None:
    G = SPADEGenerator(BlockKind(CLASSES, "clade_icpe"), 2)
    init_weights(G, gain=0.02)
    arrays = gather(G)
    scales = arrays["head_0.norm_0.class_specified_affine.weight"]
    assert scales.min() >= 0
    assert scales.max() > 0.5
    assert not arrays["head_0.norm_0.class_specified_affine.bias"].any()
    assert not arrays["head_0.norm_0.class_specified_affine.dist_conv_w.weight"].any()
    assert arrays["head_0.conv_0.weight"].std() == pytest.approx(0.02 * (2 / (2 * 32 * 9)) ** 0.5, rel=0.1)


# --- SimAM --------------------------------------------------------------------------------------------------


def test_simam_of_a_constant() -> None:
    for shape in ((1, 2, 3, 4), (2, 1, 1, 1)):
        np.testing.assert_allclose(simam(jt.full(shape, 3.0)).numpy(), 3 / (1 + np.exp(-0.5)), rtol=1e-6)


def test_simam_by_its_formula() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    d = (x - x.mean((2, 3), keepdims=True)) ** 2
    y = d / (4 * (d.sum((2, 3), keepdims=True) / 19 + 1e-4)) + 0.5
    np.testing.assert_allclose(simam(jt.array(x)).numpy(), x / (1 + np.exp(-y)), atol=1e-6)
