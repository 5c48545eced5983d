"""Networks, losses and augmentation against outputs of the reference implementation under rule-made weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import golden_rule
import numpy as np
import pytest
from golden_files import GoldenFiles, close
from golden_networks import IMAGE, Golden, close_map

from shanshui.architectures.apf_discriminator import Discriminator
from shanshui.architectures.apf_encoder import MaskEncoder
from shanshui.architectures.apf_generator import Generator
from shanshui.architectures.apf_weights import discriminator_key, encoder_key, generator_key
from shanshui.architectures.schedule import Schedule
from shanshui.backend.runtime import load_jittor
from shanshui.data.nearest import nearest_index
from shanshui.data.patches import find_patches
from shanshui.errors import ShanshuiError
from shanshui.nn.losses import discriminator_losses, feature_matching, generator_losses
from shanshui.nn.patch_spade import PatchPyramid, to_device
from shanshui.nn.resize import bicubic, bilinear, nearest
from shanshui.storage.size import Size
from shanshui.training.augment import Colour, Draws, Window, augment, crop

jt = load_jittor()

SCHEDULE = Schedule(epochs=180, discriminators=4)
CLASSES = 29


@pytest.fixture(scope="module")
def golden(golden_files: GoldenFiles) -> Golden:
    return Golden(golden_files, CLASSES)


@pytest.fixture(scope="module")
def encoder(golden: Golden) -> Any:
    keys = golden("apf_generator")[0]["E_keys"]
    return golden.fill(MaskEncoder(CLASSES, 8), keys, encoder_key)


@pytest.fixture(scope="module")
def generator(golden: Golden) -> Any:
    """Evaluation mode, with the heads of pretraining."""
    keys = golden("apf_generator_pretrain")[0]["G_keys_epoch_below_180"]
    network = golden.fill(Generator(CLASSES, 8, heads=3), keys, generator_key)
    network.eval()
    return network


@pytest.fixture(params=["dense", "patches"])
def pyramid(request: pytest.FixtureRequest) -> Callable[[np.ndarray], PatchPyramid | None]:
    """label_map -> its distinct patches at all sizes of the generator, or None: both give the reference's picture."""

    def find(label_map: np.ndarray) -> PatchPyramid | None:
        if request.param == "dense":
            return None
        found = {}
        for divisor in (2**i for i in range(7)):
            height, width = (side // divisor for side in label_map.shape[1:])
            if min(height, width) > 1:
                index = nearest_index(label_map.shape[1], height), nearest_index(label_map.shape[2], width)
                found[height, width] = find_patches(label_map[:, index[0]][:, :, index[1]])
        return to_device(found, CLASSES)

    return find


# --- encoder and generator --------------------------------------------------------------------------------


def test_encoder_and_generator(golden: Golden, encoder: Any, generator: Any, pyramid: Any) -> None:
    arrays = golden("apf_generator")[1]
    segmap = golden.segmap(arrays["label"])
    layers = dict(encoder.trace(segmap))
    for i in range(2, 7):
        close_map(layers[f"layer{i}"], arrays[f"E_layer{i}"])
    z = encoder(segmap)
    close_map(z, arrays["E_out"])
    patches = pyramid(arrays["label"])
    blocks = dict(generator.trace(z, segmap, patches=patches))
    for name in ("head_0", "G_middle_0", "G_middle_1", "up_0", "up_1", "up_2"):
        close_map(blocks[name], arrays[f"G_{name}"])
    close(generator(z, segmap, patches=patches), arrays["image"], IMAGE)


def test_label_map_that_is_no_multiple_of_64(golden: Golden, encoder: Any, generator: Any) -> None:
    """The reference makes a larger image of it; we refuse, and agree on the enlarged label map."""
    arrays = golden("apf_generator")[1]
    segmap = golden.segmap(arrays["odd_label"])
    z = encoder(segmap)
    with pytest.raises(ShanshuiError, match="128x96"):
        generator(z, segmap)
    close(generator(z, nearest(segmap, Size(128, 128))), arrays["odd_image"], IMAGE)


@pytest.mark.parametrize("epoch", [1, 31, 45, 59, 60, 100, 150, 179])
def test_generator_while_growing(golden: Golden, generator: Any, epoch: int, pyramid: Any) -> None:
    arrays = golden("apf_generator_pretrain")[1]
    step = SCHEDULE.at(epoch)
    z, segmap, patches = jt.array(arrays["E_out"]), golden.segmap(arrays["label"]), pyramid(arrays["label"])
    image = generator(z, segmap, step.level, step.alpha, patches=patches)
    close(image, arrays[f"epoch_{epoch}"], IMAGE)


@pytest.mark.parametrize(("epoch", "name"), [(1, "train_epoch_1"), (45, "train_epoch_45"), (180, "train_image")])
def test_generator_in_training_mode(golden: Golden, encoder: Any, epoch: int, name: str, pyramid: Any) -> None:
    """Batch statistics, and the running ones after one forward."""
    settings, arrays = golden("apf_generator_pretrain")
    network = golden.fill(Generator(CLASSES, 8, heads=3), settings["G_keys_epoch_below_180"], generator_key)
    step, segmap = SCHEDULE.at(epoch), golden.segmap(arrays["label"])
    image = network(encoder(segmap), segmap, step.level, step.alpha, patches=pyramid(arrays["label"]))
    close(image, (arrays | golden("apf_generator")[1])[name], IMAGE)
    if step.full:
        state = network.state_dict()
        after = {k.removeprefix("train_after:"): v for k, v in golden("apf_generator")[1].items() if ":" in k}
        assert len(after) == 6
        for key, wanted in after.items():
            close(state[key], wanted, 1e-5)


def test_generator_with_noise(golden: Golden, encoder: Any, generator: Any, pyramid: Any) -> None:
    settings, arrays = golden("apf_generator")
    keys = settings["G_keys_with_seg_noise"]
    network = golden.fill(Generator(CLASSES, 8, seg_noise=True), keys, generator_key)
    network.eval()
    drawn = []

    def noise(index: int, *shape: int) -> Any:
        drawn.append([shape[0], 1, *shape[1:]])
        return jt.array(np.random.RandomState(1000 + index).standard_normal(drawn[-1]).astype(np.float32))

    segmap = golden.segmap(arrays["label"])
    z = encoder(segmap)
    close(network(z, segmap, noise=noise, patches=pyramid(arrays["label"])), arrays["image_seg_noise"], IMAGE)
    assert drawn == settings["seg_noise_draws"]["shapes"]
    close(network(z, segmap), arrays["image"], IMAGE)


# --- discriminators ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fill_discriminator(golden: Golden) -> Callable[[], Any]:
    """The reference's discriminators with the rule's values, as at the start of an epoch."""
    keys = golden("apf_discriminator")[0]["D_keys"]
    network = Discriminator(CLASSES, 8, 4, pool_counts_padding=True)
    return lambda: golden.fill(network, keys, discriminator_key)


def growing(network: Any, epoch: int) -> Any:
    if SCHEDULE.starts_fade(epoch):
        network.grow(SCHEDULE.at(epoch).level)
    return network


@pytest.mark.parametrize("epoch", [1, 31, 32, 45, 60, 91, 100, 150, 151, 179, 180])
def test_discriminator(golden: Golden, fill_discriminator: Callable[[], Any], epoch: int) -> None:
    settings, arrays = golden("apf_discriminator")
    row = next(row for row in settings["table"] if row["epoch"] == epoch)
    network, step = growing(fill_discriminator(), epoch), SCHEDULE.at(epoch)
    segmap = golden.segmap(arrays[f"res{row['res']}_label"])
    (features,) = network(segmap, jt.array(arrays[f"res{row['res']}_image"]), level=step.level, alpha=step.alpha)
    assert [[list(f.shape) for f in maps] for maps in features] == row["features"]
    for d, maps in enumerate(features):
        for f, found in enumerate(maps):
            close_map(found, arrays[f"epoch_{epoch}:d{d}_f{f}"])


# --- losses and augmentation ------------------------------------------------------------------------------


def test_losses_of_given_features(golden: Golden) -> None:
    arrays = golden("apf_losses")[1]
    fake, real = ([[jt.array(arrays[f"pred_{kind}:d{d}_f{f}"]) for f in range(2)] for d in range(2)]
                  for kind in ("fake", "real"))  # fmt: skip
    g, d = (
        generator_losses(fake[0][0], real[0][0], fake, real, {"feat": 10.0}),
        discriminator_losses(fake, real),
    )
    close(g["G/adv"], arrays["hinge:g"], 1e-6)
    close(d["D/fake"], arrays["hinge:d_fake"], 1e-6)
    close(d["D/real"], arrays["hinge:d_real"], 1e-6)
    assert g["G/feat"].item() == pytest.approx(float(arrays["feat:float64"]), rel=1e-6)


@pytest.mark.parametrize("epoch", [1, 31, 60, 100, 151, 179, 180])
def test_losses_of_whole_models(golden: Golden, epoch: int) -> None:
    settings, arrays = golden("apf_losses")
    keys, step = settings["keys"], SCHEDULE.at(epoch)
    E = golden.fill(MaskEncoder(CLASSES, 4), keys["netE"], encoder_key)
    G = golden.fill(Generator(CLASSES, 4, heads=3), keys["netG"], generator_key)
    D = golden.fill(Discriminator(CLASSES, 8, 4, pool_counts_padding=True), keys["netD"], discriminator_key)
    G.eval()
    segmap, photo = golden.segmap(arrays["model:label"]), jt.array(arrays["model:image"])
    fake = G(E(segmap), segmap, step.level, step.alpha)
    size = tuple(fake.shape[2:])
    fakes, reals = growing(D, epoch)(
        bilinear(segmap, size), fake, bilinear(photo, size), level=step.level, alpha=step.alpha
    )
    found = generator_losses(fake, fake, fakes, reals, {"feat": 10.0}) | discriminator_losses(fakes, reals)
    names = {"G/adv": "GAN", "G/feat": "GAN_Feat", "D/fake": "D_Fake", "D/real": "D_real"}
    for ours, theirs in names.items():
        close(found[ours], arrays[f"model:epoch_{epoch}:{theirs}"], IMAGE)
    assert feature_matching(reals, reals).item() == 0


POLICIES = ["color#81", "crop#82", "crop#85", "translation#83", "color,crop,translation#84"]


def golden_draws(values: list[np.ndarray], operations: str) -> Draws:
    """The reference's draws, in the order it makes them, as ours."""
    numbers = iter(values)
    real = fake = window = shift = None
    if "color" in operations:
        b, b_fake, s, s_fake, c, c_fake = (next(numbers).reshape(-1) for _ in range(6))
        real, fake = Colour(b - 0.5, s * 2, c + 0.5), Colour(b_fake - 0.5, s_fake * 2, c_fake + 0.5)
    if "crop" in operations:
        window = Window((int(next(numbers)), int(next(numbers))), next(numbers).reshape(-1) < 0.5)
    if "translation" in operations:
        shift = np.stack([next(numbers).reshape(-1), next(numbers).reshape(-1)], axis=1)
    return Draws(real, fake, window, shift)


@pytest.mark.parametrize("policy", POLICIES)
def test_augmentation(golden: Golden, policy: str) -> None:
    settings, arrays = golden("apf_losses")
    count = len(settings["draws"][f"aug[{policy}]"])
    draws = golden_draws([arrays[f"aug[{policy}]:draw{k}"] for k in range(count)], policy)
    inputs = jt.array(arrays["aug:real"]), jt.array(arrays["aug:fake"]), golden.segmap(arrays["aug:label"])
    real, fake, segmap = augment(*inputs, draws)
    close(real, arrays[f"aug[{policy}]:real"], IMAGE)
    close(fake, arrays[f"aug[{policy}]:fake"], IMAGE)
    close(segmap, golden_rule.onehot(arrays[f"aug[{policy}]:label"], CLASSES), 0)


def test_augmentation_of_a_smaller_fake(golden: Golden) -> None:
    """The reference enlarges the fake to the photo's size before it crops."""
    arrays = golden("apf_losses")[1]
    window = golden_draws([arrays[f"aug[crop_smallfake#86]:draw{k}"] for k in range(3)], "crop").window
    fake = bicubic(jt.array(arrays["aug[crop_smallfake#86]:fake_in"]), Size(24, 32))
    close(crop(fake, window), arrays["aug[crop_smallfake#86]:fake"], IMAGE)
