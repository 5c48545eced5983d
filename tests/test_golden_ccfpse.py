"""CC-FPSE's networks against outputs of the reference implementation under rule-made weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from golden_files import GoldenFiles, close
from golden_networks import IMAGE, Golden, close_map

from shanshui.architectures.ccfpse_generator import ConditionalGenerator
from shanshui.architectures.ccfpse_weights import our_key
from shanshui.architectures.fpse_discriminator import FPSEDiscriminator
from shanshui.backend.runtime import load_jittor
from shanshui.nn.losses import discriminator_losses, feature_matching, generator_losses, l1
from shanshui.storage.size import Size

jt = load_jittor()

CASES: dict[str, dict[str, Any]] = {
    "64x64": {},
    "96x128": {},
    "more_128x128": {"upsampling": "more"},
    "z_64x64": {"z_dim": 256, "size": Size(64, 64)},
}
PIXELS = 4  # of head_0's features in the 64x64 case


@pytest.fixture(scope="module")
def golden(golden_files: GoldenFiles) -> Golden:
    return Golden(golden_files, 29)


@pytest.mark.parametrize("case", CASES)
def test_generator(golden: Golden, case: str) -> None:
    settings, arrays = golden("ccfpse_generator")
    network = golden.fill(ConditionalGenerator(29, 2, **CASES[case]), settings["keys"][case], our_key, power=1)
    network.eval()
    segmap = golden.segmap(arrays[f"{case}:label"])
    z = jt.array(arrays["z_64x64:z"]) if "z_dim" in CASES[case] else None
    compared = 0
    for name, found in network.trace(segmap, z):
        if f"{case}:{name}" in arrays:
            close_map(found.reshape(arrays[f"{case}:{name}"].shape), arrays[f"{case}:{name}"])
            compared += 1
    stored = {key.removeprefix(f"{case}:") for key in arrays if key.startswith(f"{case}:") and "train" not in key}
    assert compared == len(stored - {"label", "z", "image"})
    close(network(segmap, z), arrays[f"{case}:image"], IMAGE)


def test_generator_in_training_mode(golden: Golden) -> None:
    """Batch statistics and one power iteration; afterwards the running statistics and the vectors."""
    settings, arrays = golden("ccfpse_generator")
    network = golden.fill(ConditionalGenerator(29, 2), settings["keys"]["64x64"], our_key, power=1)
    start = network.state_dict()["head_0.norm_1.running_var"].numpy().copy()
    close(network(golden.segmap(arrays["64x64:label"])), arrays["64x64:train_image"], IMAGE)
    jt.sync_all()
    state = {name: var.numpy() for name, var in network.state_dict().items()}
    after = {k.removeprefix("64x64:train_after:"): v for k, v in arrays.items() if "train_after" in k}
    kept = (
        "head_0.norm_1.running_mean",
        "labelenc1.0.1.running_mean",
        "labelenc1.0.0.weight_u",
        "up_0.conv_s.weight_u",
    )
    for name in kept:
        np.testing.assert_allclose(state[name], after[name], atol=1e-5)
    biased = (state["head_0.norm_1.running_var"] - 0.9 * start) / 0.1
    torchs = (after["head_0.norm_1.running_var"] - 0.9 * start) / 0.1  # it divides by the pixels less one
    np.testing.assert_allclose(biased * PIXELS / (PIXELS - 1), torchs, atol=1e-5)


@pytest.mark.parametrize("case", ["64x64", "96x128"])
def test_discriminator(golden: Golden, case: str) -> None:
    settings, arrays = golden("fpse_discriminator")
    wanted = {name.removeprefix(f"{case}:"): a for name, a in arrays.items() if name.startswith(f"{case}:")}
    network = golden.fill(FPSEDiscriminator(29, 4), settings["keys"][case], our_key, power=1)
    network.eval()
    segmap, fake, real = golden.segmap(wanted["label"]), jt.array(wanted["fake"]), jt.array(wanted["real"])
    of_fake, of_real = network(segmap, fake, real)
    assert [len(maps) for maps in of_fake] == [2, 2, 3]
    features = [[of[0][0], of[1][0], of[2][0], of[2][1]] for of in (of_fake, of_real)]
    for i in range(4):
        close_map(jt.concat([features[0][i], features[1][i]], 0), wanted[f"feat{i}"])
        assert l1(features[0][i], features[1][i]).item() == pytest.approx(float(wanted["l1_per_feat"][i]), rel=1e-3)
    for i in range(3):
        close_map(jt.concat([of_fake[i][-1], of_real[i][-1]], 0), wanted[f"pred{i}"])
    terms = discriminator_losses(of_fake, of_real) | generator_losses(fake, real, of_fake, of_real, {})
    for ours, theirs in {"G/adv": "loss_g", "D/fake": "loss_d_fake", "D/real": "loss_d_real"}.items():
        close(terms[ours], wanted[theirs], IMAGE)
    matching = network.feat_factor * feature_matching(of_fake, of_real)
    assert matching.item() == pytest.approx(float(wanted["l1_per_feat"].mean()), rel=1e-3)
