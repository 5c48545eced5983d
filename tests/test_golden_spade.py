"""SPADE's networks and losses against outputs of the reference implementation under rule-made weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import golden_rule
import numpy as np
import pytest
from golden_files import GoldenFiles, close
from golden_networks import IMAGE, Golden, close_map

from shanshui.architectures.multiscale_discriminator import MultiscaleDiscriminator
from shanshui.architectures.spade_generator import SPADEGenerator
from shanshui.architectures.spade_weights import our_key
from shanshui.architectures.style_encoder import StyleEncoder, reparameterise
from shanshui.backend.runtime import load_jittor
from shanshui.data.edges import edges
from shanshui.data.nearest import nearest_index
from shanshui.data.patches import find_patches
from shanshui.errors import ShanshuiError
from shanshui.nn.losses import discriminator_losses, generator_losses, kl_divergence
from shanshui.nn.patch_spade import PatchPyramid, to_device
from shanshui.nn.resize import nearest
from shanshui.nn.spade_block import BlockKind
from shanshui.nn.spectral_norm import PairedSpectralConv
from shanshui.storage.size import Size

jt = load_jittor()

CLASSES = 29


@pytest.fixture(scope="module")
def golden(golden_files: GoldenFiles) -> Golden:
    return Golden(golden_files, CLASSES)


@pytest.fixture(scope="module")
def generator(golden: Golden) -> Callable[[str], Any]:
    """A variant's generator in evaluation mode."""

    def build(variant: str) -> Any:
        norm, start = variant.split("_")
        upsampling = norm if norm in ("more", "most") else "normal"
        kind = BlockKind(CLASSES, norm="instance" if norm == "instance" else "batch")
        from_z = {"z_dim": 256, "size": Size(96, 128)} if start == "z" else {}
        network = SPADEGenerator(kind, 8, upsampling, **from_z)
        golden.fill(network, golden("spade_generator")[0]["keys"][variant], our_key, power=1)
        network.eval()
        return network

    return build


def every_patch(label_map: np.ndarray, halvings: int) -> PatchPyramid:
    """The distinct patches at all sizes that have any."""
    found = {}
    for divisor in (2**i for i in range(halvings + 1)):
        height, width = (side // divisor for side in label_map.shape[1:])
        if min(height, width) > 1:
            index = nearest_index(label_map.shape[1], height), nearest_index(label_map.shape[2], width)
            found[height, width] = find_patches(label_map[:, index[0]][:, :, index[1]])
    return to_device(found, CLASSES)


# --- generator --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["dense", "patches"])
@pytest.mark.parametrize("variant", ["batch_label", "batch_z", "instance_label", "instance_z"])
def test_generator(golden: Golden, generator: Callable[[str], Any], variant: str, way: str) -> None:
    arrays, network = golden("spade_generator")[1], generator(variant)
    segmap = golden.segmap(arrays["label"])
    z = jt.array(arrays["z"]) if variant.endswith("_z") else None
    patches = every_patch(arrays["label"], 5) if way == "patches" else None
    found = dict(network.trace(segmap, z, patches=patches))
    for key, wanted in arrays.items():
        name = key.removeprefix(f"{variant}:")
        if name in found:
            close_map(found[name].reshape(wanted.shape), wanted)
    close(network(segmap, z, patches=patches), arrays[f"{variant}:image"], IMAGE)


@pytest.mark.parametrize("variant", ["more_label", "most_label"])
def test_more_doublings(golden: Golden, generator: Callable[[str], Any], variant: str) -> None:
    arrays = golden("spade_generator")[1]
    close(generator(variant)(golden.segmap(arrays[f"{variant}:label"])), arrays[f"{variant}:image"], IMAGE)


def test_label_map_whose_start_the_reference_rounds(golden: Golden, generator: Callable[[str], Any]) -> None:
    """The reference makes a larger image of it; we refuse, and agree on the enlarged label map."""
    arrays, network = golden("spade_generator")[1], generator("batch_label")
    segmap = golden.segmap(arrays["quirk_48x64:label"])
    with pytest.raises(ShanshuiError, match="64x48"):
        network(segmap)
    close(network(nearest(segmap, Size(64, 64))), arrays["quirk_48x64:image"], IMAGE)


def test_generator_in_training_mode(golden: Golden, generator: Callable[[str], Any]) -> None:
    """Batch statistics, one power iteration, and what both leave behind."""
    arrays, network = golden("spade_generator")[1], generator("batch_label")
    before = {name: var.numpy() for name, var in network.state_dict().items() if name.endswith("running_var")}
    network.train()
    close(network(golden.segmap(arrays["label"])), arrays["batch_label:train_image"], IMAGE)
    state = network.state_dict()
    for key, wanted in arrays.items():
        start, _, name = key.partition("train_after:")
        if start != "batch_label:" or name.endswith("num_batches_tracked"):
            continue
        if name.endswith("running_var"):  # the reference follows the unbiased variance, we the biased one
            pixels = 3 * 4 if name.startswith("head_0") else 96 * 128
            wanted = 0.9 * before[name] + (wanted - 0.9 * before[name]) * (pixels - 1) / pixels
        close(state[name], wanted, 1e-5)


# --- encoder ----------------------------------------------------------------------------------------------


def test_style_encoder(golden: Golden) -> None:
    settings, arrays = golden("spade_encoder")
    network = golden.fill(StyleEncoder(8), settings["keys"], our_key, power=1)
    network.eval()
    layers = dict(network.trace(jt.array(arrays["image"])))
    for name in ("layer3", "layer4", "layer5", "layer6"):
        close_map(layers[name], arrays[name])
    mean, log_variance = network(jt.array(arrays["image"]))
    close_map(mean, arrays["mu"])
    close_map(log_variance, arrays["logvar"])
    exact = jt.array(arrays["mu"]), jt.array(arrays["logvar"])
    close(reparameterise(*exact, jt.array(arrays["eps"])), arrays["z"], 1e-5)
    assert kl_divergence(*exact).item() == pytest.approx(float(arrays["kld"]), rel=1e-5)
    mean, log_variance = network(jt.array(golden_rule.smooth(256, 256, seed=22, n=1)))
    close_map(mean, arrays["image256_mu"])
    close_map(log_variance, arrays["image256_logvar"])


# --- discriminator and losses -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def discriminator(golden: Golden) -> Any:
    keys = golden("spade_discriminator")[0]["keys"]
    return golden.fill(MultiscaleDiscriminator(CLASSES, 8), keys, our_key, power=1)


def outputs(golden: Golden, network: Any) -> list[Any]:
    """What it says of the fakes and of the photos."""
    arrays = golden("spade_discriminator")[1]
    return network(golden.segmap(arrays["label"]), jt.array(arrays["fake"]), jt.array(arrays["real"]))


def test_discriminator_and_losses(golden: Golden, discriminator: Any) -> None:
    arrays = golden("spade_discriminator")[1]
    discriminator.eval()
    fakes, reals = outputs(golden, discriminator)
    for d, f in np.ndindex(2, 5):
        close_map(jt.concat([fakes[d][f], reals[d][f]], 0), arrays[f"d{d}_f{f}"])
    image = jt.array(arrays["fake"])
    for ours, theirs in (("hinge", "hinge"), ("ls", "ls"), ("bce", "original"), ("w", "w")):
        losses = generator_losses(image, image, fakes, reals, {"feat": 10.0}, gan=ours)  # type: ignore[arg-type]
        losses |= discriminator_losses(fakes, reals, ours)  # type: ignore[arg-type]
        for name, key in (("G/adv", "g"), ("D/fake", "d_fake"), ("D/real", "d_real")):
            close(losses[name], arrays[f"loss_{theirs}:{key}"], IMAGE)
        assert losses["G/feat"].item() == pytest.approx(arrays["loss_feat"].item(), rel=1e-4)


def test_discriminator_in_training_mode(golden: Golden) -> None:
    settings, arrays = golden("spade_discriminator")
    network = golden.fill(MultiscaleDiscriminator(CLASSES, 8), settings["keys"], our_key, power=1)
    fakes, reals = outputs(golden, network)
    close_map(jt.concat([fakes[0][4], reals[0][4]], 0), arrays["train_d0_f4"])
    state = {name: var.numpy() for name, var in network.state_dict().items()}
    for key, wanted in arrays.items():
        start, _, name = key.partition(":")
        if start == "train_after":
            ours = our_key(name)
            assert ours is not None
            np.testing.assert_allclose(state[ours], wanted, atol=1e-5)


def test_spectral_norm_with_both_vectors(golden: Golden) -> None:
    arrays = {k.removeprefix("sn_unit:"): v for k, v in golden("spade_discriminator")[1].items() if "sn_unit" in k}
    layer = PairedSpectralConv(3, 5, 3)
    for name, key in (("weight", "weight_orig"), ("weight_u", "u_before"), ("weight_v", "v_before")):
        getattr(layer, name).assign(jt.array(arrays[key]))
    jt.sync_all()
    layer.eval()
    close(layer.weight / layer.sigma(), arrays["eval_weight"], 1e-6)
    layer.train()
    close(layer.weight / layer.sigma(), arrays["train_weight"], 1e-6)
    close(layer.weight_u, arrays["u_after"], 1e-6)
    close(layer.weight_v, arrays["v_after"], 1e-6)


def test_instance_edges(golden: Golden) -> None:
    arrays = golden("spade_discriminator")[1]
    np.testing.assert_array_equal(edges(arrays["instance"]), arrays["instance_edges"])
