"""Narrower generators for shares of the cost: exact widths, parameters and multiply-accumulates at full size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shanshui.__main__ import main
from shanshui.architectures.base import Generator
from shanshui.architectures.narrowing import narrow
from shanshui.architectures.registry import GENERATORS, generator_of
from shanshui.errors import EXIT_USAGE, ShanshuiError, UsageError
from shanshui.storage.size import Size

SIZE = Size(384, 512)
TABLE = {  # of 64 base channels, 29 classes: share -> base channels, parameters, multiply-accumulates; closed form
    ("apf", 0.5): (42, 40465785, 95969704320), ("apf", 0.1): (16, 6037963, 18297953280),
    ("spade", 0.25): (30, 20624073, 101708352000), ("spade", 0.05): (12, 3401511, 19274499072),
    ("clade", 0.5): (44, 32163079, 59837927424), ("clade", 0.1): (20, 6800863, 12429864960),
    ("oasis", 0.25): (28, 14218487, 111266276352), ("oasis", 0.05): (10, 2074733, 22693516800),
    ("pix2pixhd", 0.5): (44, 86297643, 88929730560), ("pix2pixhd", 0.1): (16, 11430627, 14898167808),
    ("ccfpse", 0.25): (14, 25547717, 272510641920),
}  # fmt: skip


def declared(name: str, **options: Any) -> Generator:
    data = {"classes": [str(i) for i in range(29)], "width": SIZE.width, "height": SIZE.height}
    meta = {"data": data, "model": {"generator": {"name": name, **options}}, "seg_noise": True, "heads": 0}
    return generator_of({**meta, "parity": {"spectral_norm": "on"}})


@pytest.mark.parametrize(("name", "share"), TABLE)
def test_width_and_counts(name: str, share: float) -> None:
    width, parameters, macs = TABLE[name, share]
    found = narrow(declared(name), share, SIZE)
    section = found.declared.section()
    assert section["base_channels"] == width
    assert section.get("spade_hidden", 2 * width) == 2 * width
    assert (found.cost.parameters, found.cost.macs) == (parameters, macs)
    assert found.share <= share


def test_the_counts_are_those_of_the_reference_tables(references: Path | None) -> None:
    if references is None:
        pytest.skip("the whole reference outputs are not beside the repository")
    results = json.loads((references / "golden" / "compression_counts.json").read_text())["narrow_rule"]["results"]
    for (name, share), row in TABLE.items():
        wanted = results[name][f"{share:g}"]
        assert row == (wanted["base_channels"], wanted["parameters"], wanted["macs"])


def test_a_share_below_the_floor_names_it() -> None:
    with pytest.raises(ShanshuiError, match=r"at least 0\.068\d: .*76\.32 GMAC"):
        narrow(declared("ccfpse"), 0.05, SIZE)
    with pytest.raises(ShanshuiError, match="at least 1"):
        narrow(declared("clade", base_channels=2), 0.5, SIZE)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 2.0])
def test_shares_are_of_the_whole(share: float) -> None:
    with pytest.raises(UsageError, match="above 0 and below 1"):
        narrow(declared("clade"), share, SIZE)


@pytest.mark.parametrize("name", GENERATORS)
def test_every_generator_keeps_its_other_options(name: str) -> None:
    """Of what it has, the width and the hidden channels that follow it change, and nothing else."""
    if not GENERATORS[name].__module__.startswith("shanshui."):
        pytest.skip("of a plug-in")
    whole = declared(name, base_channels=16)
    found = narrow(whole, 0.5, Size(128, 128)).declared
    changed = {option for option, value in found.section().items() if whole.section()[option] != value}
    assert changed
    assert changed <= {"base_channels", "spade_hidden"}
    assert found.context == whole.context
    assert found.base_channels % 2 == 0


def test_command(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = str(root / "tests" / "config" / "tiny.yaml")
    assert main(["model", "--config", config, "--share", "0.6", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    (student,) = found["students"]
    assert student["asked"] == 0.6
    assert student["options"] == {"base_channels": 2, "spade_hidden": 4}
    assert student["macs"] <= 0.6 * found["networks"]["G"]["macs"]
    assert main(["model", "--config", config, "--share", "0.6"]) == 0
    assert "base_channels: 2, spade_hidden: 4" in capsys.readouterr().out
    assert main(["model", "--config", config, "--share", "1.5"]) == EXIT_USAGE
    assert main(["model", "--config", config, "--share", "0.001"]) == 1
    assert "at least" in capsys.readouterr().err
