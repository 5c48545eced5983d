"""Parameters and MACs of full-size networks, against published and hand-counted numbers."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from shanshui.architectures.ccfpse_generator import ConditionalGenerator
from shanshui.architectures.fpse_discriminator import FPSEDiscriminator
from shanshui.architectures.multiscale_discriminator import MultiscaleDiscriminator
from shanshui.architectures.oasis_networks import OasisDiscriminator, OasisGenerator
from shanshui.architectures.pix2pixhd_generator import GlobalGenerator
from shanshui.architectures.spade_generator import SPADEGenerator
from shanshui.architectures.style_encoder import StyleEncoder
from shanshui.backend.runtime import load_jittor
from shanshui.nn.cost import Cost, cost
from shanshui.nn.spade_block import BlockKind
from shanshui.storage.size import Size

jt = load_jittor()

L = 29


def segmap(width: int, height: int, classes: int = L) -> Any:
    return jt.zeros((1, classes, height, width))


def photo(width: int, height: int) -> Any:
    return jt.zeros((1, 3, height, width))


def spade(width: int, height: int, upsampling: Any = "normal", z: bool = False, nf: int = 64, classes: int = L,
          modulation: Any = "spade") -> Cost:  # fmt: skip
    G = SPADEGenerator(
        BlockKind(classes, modulation=modulation), nf, upsampling,
        z_dim=256 if z else None, size=Size(height, width) if z else None,
    )  # fmt: skip
    style = jt.zeros((1, 256)) if z else None
    places = jt.zeros((1, 2, height, width)) if modulation == "clade_icpe" else None
    return cost(G, lambda: G(segmap(width, height, classes), style, places))


@pytest.mark.parametrize(
    ("arguments", "parameters", "gmacs"),
    [
        ({"width": 512, "height": 384}, 92_838_339, 432.65),
        ({"width": 512, "height": 384, "upsampling": "more"}, 92_838_339, 415.58),
        ({"width": 512, "height": 384, "upsampling": "most"}, 93_336_803, 202.00),
        ({"width": 512, "height": 384, "z": True}, 143_098_307, 432.65),
        ({"width": 512, "height": 384, "upsampling": "most", "z": True}, 96_226_531, 202.00),
        ({"width": 256, "height": 192}, 92_838_339, 108.16),
        ({"width": 256, "height": 192, "z": True}, 105_202_115, 108.16),
        ({"width": 512, "height": 384, "nf": 48}, 57_269_715, 307.4),
        ({"width": 512, "height": 384, "nf": 32}, 30_041_059, 198.0),
        ({"width": 512, "height": 384, "nf": 24}, 19_554_219, 149.1),
        ({"width": 512, "height": 384, "nf": 16}, 11_152_371, 104.2),
        ({"width": 512, "height": 384, "modulation": "clade"}, 67_632_579, 126.42),
        ({"width": 512, "height": 384, "modulation": "clade_icpe"}, 67_632_687, 126.42),
        ({"width": 512, "height": 384, "modulation": "clade", "nf": 32}, 17_136_355, 31.7),
        ({"width": 256, "height": 256, "classes": 151}, None, 181.15),  # ADE20K, as published
    ],
)  # fmt: skip
def test_spade(arguments: dict[str, Any], parameters: int | None, gmacs: float) -> None:
    counted = spade(**arguments)
    assert parameters in (None, counted.parameters)
    assert counted.macs / 1e9 == pytest.approx(
        gmacs, abs=0.06 if gmacs in (307.4, 198.0, 149.1, 104.2, 31.7) else 0.006
    )


def test_network_is_left_as_it_was() -> None:
    D = MultiscaleDiscriminator(3, 4, 1)
    inner = next(module for module in D.modules() if module is not D)
    S, P = segmap(32, 32, 3), photo(32, 32)
    for training in (True, False):
        D.train() if training else D.eval()
        inner.is_train = not training  # frozen, say
        grads = [p.is_stop_grad() for p in D.parameters()]
        cost(D, lambda: D(S, P))
        assert (D.is_training(), inner.is_training()) == (training, not training)
        assert [p.is_stop_grad() for p in D.parameters()] == grads
        with pytest.raises(ZeroDivisionError):
            cost(D, lambda: 1 / 0)
        assert D.is_training() == training


def test_other_threads_do_not_count() -> None:
    layer = jt.nn.Conv(3, 4, 3)
    other = threading.Thread(target=lambda: layer(photo(64, 64)))

    def forward() -> None:
        layer(photo(32, 32))
        other.start()
        other.join()

    assert cost(layer, forward).macs == 30 * 30 * 4 * 27


def test_other_networks() -> None:
    S, P = segmap(512, 384), photo(512, 384)
    D2, D4 = (MultiscaleDiscriminator(L, 64, count) for count in (2, 4))
    E, F, discriminator = StyleEncoder(64, 256), FPSEDiscriminator(L, 64), OasisDiscriminator(L, 64)
    G, plain, C = OasisGenerator(L, 64), OasisGenerator(L, 64, noise_channels=0), ConditionalGenerator(L, 64)
    quarter = 512 * 384 // 16
    places = quarter + quarter // 4 + quarter // 16  # where the FPSE discriminator scores
    # The published 9.47 embeds the label map before it is pooled, and leaves out the layer `seg`.
    fpse = 9.47e9 - 512 * 384 * L * 128 + places * (L + 128) * 128
    # The published 145.1 applies OASIS's shortcuts (in channels * out channels / reduction) at the larger size.
    shortcuts = 3 * 128 + 128 * 256 // 16 + 256 * 512 // 256 + 1024 * 256 // 256 + 512 * 256 // 64
    shortcuts += 512 * 128 // 16 + 256 * 128 // 4 + 256 * 64
    oasis = 145.1e9 - 0.75 * 512 * 384 * shortcuts
    # The published 1115.5 holds the products with the predicted kernels: nine for every channel before and after.
    sizes = {192: 2048, 768: 2 * 2048, 3072: 1536, 12288: 768, 49152: 384, 196608: 192}
    ccfpse = 1115.5e9 - 9 * sum(pixels * channels for pixels, channels in sizes.items())
    found = {
        "D of 2": (cost(D2, lambda: D2(S, P)), 5_587_074, 15.01),
        "D of 4": (cost(D4, lambda: D4(S, P)), 11_174_148, 16.12),
        "E": (cost(E, lambda: E(photo(256, 256))), 10_463_424, 1.12),
        "FPSE D": (cost(F, lambda: F(S, P)), 5_174_977, fpse / 1e9),
        "OASIS D": (cost(discriminator, lambda: discriminator(P)), 22_250_974, oasis / 1e9),
        "OASIS G": (cost(G, lambda: G(S, jt.zeros((1, 64, 384, 512)))), 70_941_635, 472.5),
        "OASIS G without noise": (cost(plain, lambda: plain(S)), 69_172_163, 414.5),
        "CC-FPSE G": (cost(C, lambda: C(S)), 119_536_067, ccfpse / 1e9),
    }
    for name, (counted, parameters, gmacs) in found.items():
        assert counted.parameters == parameters, name
        assert counted.macs / 1e9 == pytest.approx(gmacs, rel=1e-4 if gmacs > 1000 else 4e-4, abs=0.008), name


def test_outputs_of_layers_that_training_keeps() -> None:
    """MiB at 512x384, four bytes a number."""
    clade = spade(512, 384, modulation="clade").outputs
    assert spade(512, 384).outputs * 4 / 2**20 == pytest.approx(1598, abs=1)
    assert spade(512, 384, "most").outputs * 4 / 2**20 == pytest.approx(997, abs=1)
    assert clade * 4 / 2**20 == pytest.approx(287, abs=1)


def test_transposed_convolutions_count_by_their_input() -> None:
    G = GlobalGenerator(L, 8, halvings=1, blocks=0)
    wide, narrow, half = 7 * 7, 3 * 3, (64 * 32) // 4
    by_hand = 64 * 32 * wide * L * 8 + half * narrow * 8 * 16 + half * narrow * 16 * 8 + 64 * 32 * wide * 8 * 3
    assert cost(G, lambda: G(segmap(64, 32))).macs == by_hand


def test_patches_spare_what_they_cover() -> None:
    counted = spade(512, 384)
    assert counted.on_patches({}) == counted.macs
    everything = counted.macs - sum(counted.modulation.values())
    assert counted.on_patches(dict.fromkeys(counted.modulation, 0.0)) == everything
    assert everything / 1e9 == pytest.approx(126.42, abs=0.006)  # CLADE's, which has tables instead
    one = (384, 512)
    assert counted.on_patches({one: 0.25}) == counted.macs - round(0.75 * counted.modulation[one])
