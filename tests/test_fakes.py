"""Fakes of a batch and what making them costs; discriminators in use, against their losses taken one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shanshui.architectures.base import DiscriminatorBatch, Generator, LossConfig
from shanshui.architectures.ccfpse import Fpse
from shanshui.architectures.context import Context
from shanshui.architectures.generator_networks import FULL, BuiltGenerator, Conditioning
from shanshui.architectures.oasis import PixelClassifier
from shanshui.backend import ranks
from shanshui.backend.runtime import load_jittor, seed_everything
from shanshui.nn.losses import kl_divergence
from shanshui.nn.oasis_losses import draw_classes, mix, mix_mask, oasis_discriminator_losses
from shanshui.training import fakes

jt = load_jittor()

Z = 5
WEIGHTS = {"feat": 10.0, "rec": 0.0, "perceptual": 0.0}


def normal(*shape: int) -> Any:
    return jt.array(np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32))


class OfVectors(Generator):
    """Its pictures are the vectors it is given."""

    name: str = "of vectors"

    @property
    def vector(self) -> int:
        return Z

    @property
    def takes_style(self) -> bool:
        return True

    def generate(self, G: Any, E: Any, conditioning: Conditioning, noise_source: Any, step: Any) -> Any:
        return self.random_vector(conditioning, noise_source)


def styled(log_variance: float) -> BuiltGenerator:
    """Its encoder finds a photo's first pixels, with almost no variance."""
    declared = OfVectors().within(Context(2))
    return BuiltGenerator(declared, None, lambda photo: (photo[:, 0, 0, :Z], log_variance + photo[:, 1, 0, :Z] * 0))


def test_fakes_take_the_style_of_their_photographs() -> None:
    photo = normal(2, 3, 4, 8)
    fake, terms = fakes.sample_fakes(
        styled(-60.0), Conditioning(normal(2, 2, 4, 8)), photo, FULL, fakes.StyleLoss(0.1, "mean")
    )
    assert np.allclose(fake.numpy(), photo.numpy()[:, 0, 0, :Z], atol=1e-6)
    expected = 0.1 * kl_divergence(photo[:, 0, 0, :Z], jt.full((2, Z), -60.0), "mean")
    assert float(terms["G/kl"].item()) == pytest.approx(float(expected.item()))


def test_without_an_encoder_vectors_are_drawn() -> None:
    generator = styled(0.0)
    generator.E = None
    drawn = [
        fakes.sample_fakes(generator, Conditioning(normal(40, 2, 4, 8)), None, FULL, fakes.StyleLoss())
        for _ in range(2)
    ]
    (one, terms), (other, _) = drawn
    assert terms == {}
    assert np.abs(one.numpy() - other.numpy()).max() > 0.1
    assert abs(float(one.numpy().std()) - 1) < 0.2


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_two_ranks_draw_as_one_process(monkeypatch: pytest.MonkeyPatch, reduction: Any) -> None:
    """Each uses its rows of what all draw; the mean of their terms, which the optimiser takes, is the batch's."""
    generator, photo, style = styled(0.5), normal(4, 3, 4, 8), fakes.StyleLoss(1.0, reduction)

    def draw(rows: slice) -> tuple[np.ndarray, float]:
        seed_everything(3)
        fake, terms = fakes.sample_fakes(generator, Conditioning(normal(4, 2, 4, 8)[rows]), photo[rows], FULL, style)
        return fake.numpy(), float(terms["G/kl"].item())

    whole, term = draw(slice(4))
    monkeypatch.setattr(ranks, "world_size", lambda: 2)
    halves = []
    for rank in range(2):
        monkeypatch.setattr(ranks, "rank", lambda rank=rank: rank)
        halves.append(draw(slice(2 * rank, 2 * rank + 2)))
    assert np.allclose(np.concatenate([fake for fake, _ in halves]), whole, atol=1e-6)
    assert np.mean([value for _, value in halves]) == pytest.approx(term, rel=1e-5)


def test_pixels_are_classified_in_one_pass_as_in_three() -> None:
    classes, n = 3, 2
    weight = normal(classes + 1, 3, 1, 1)

    def D(image: Any) -> Any:
        return jt.nn.conv2d(image, weight)

    declared = PixelClassifier(base_channels=1).within(Context(classes))
    ids = np.random.default_rng(0).integers(0, classes, (n, 1, 8, 8))
    one_hot = jt.array((ids == np.arange(classes).reshape(1, -1, 1, 1)).astype(np.float32))
    seen = DiscriminatorBatch(
        normal(n, 3, 8, 8), normal(n, 3, 8, 8) * 2, jt.concat([one_hot, jt.ones((n, 1, 8, 8))], 1)
    )
    found = declared.discriminator_loss(
        D, seen, FULL, LossConfig(WEIGHTS, None, label_mix=7.0), np.random.default_rng(1)
    )
    mask = mix_mask(one_hot, draw_classes(np.random.default_rng(1), n, classes))
    mixed = D(mix(seen.photo, seen.fake, mask))
    expected = oasis_discriminator_losses(D(seen.fake), D(seen.photo), one_hot, mixed, mask, 7.0)
    assert found.keys() == expected.keys()
    for name, term in expected.items():
        assert float(found[name].item()) == pytest.approx(float(term.item()), rel=1e-5), name
    unmixed = declared.discriminator_loss(D, seen, FULL, LossConfig(WEIGHTS, None), np.random.default_rng(1))
    assert "D/mix" not in unmixed


def test_fpse_features_weigh_as_in_the_paper() -> None:
    declared = Fpse(base_channels=2).within(Context(2))
    D = declared.build()
    D.eval()
    photo = normal(1, 3, 32, 32)  # and as fake another, not a multiple: instance norm would not tell
    seen = DiscriminatorBatch(photo, photo.sqr(), jt.ones((1, 2, 32, 32)))
    terms = declared.generator_loss(D, seen.fake, seen.photo, seen, FULL, LossConfig(WEIGHTS, None))
    fake, real = D(seen.labels, seen.fake, seen.photo)
    four = [float((f - r).abs().mean().item()) for fs, rs in zip(fake, real, strict=True)
            for f, r in zip(fs[:-1], rs[:-1], strict=True)]  # fmt: skip
    assert len(four) == 4
    assert float(terms["G/feat"].item()) == pytest.approx(10 * sum(four) / 4, rel=1e-4)
