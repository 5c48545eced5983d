"""`shanshui model`: what a configuration's networks cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shanshui.__main__ import main
from shanshui.errors import EXIT_USAGE


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """Sky above sea, and a map in which every pixel differs from its neighbours."""
    ids = np.zeros((32, 64), np.uint8)
    ids[16:] = 2
    Image.fromarray(ids).save(tmp_path / "flat.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 3, (32, 64), dtype=np.uint8)).save(tmp_path / "noise.png")
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], root: Path, *arguments: object) -> dict[str, Any]:
    config = root / "tests" / "config" / "tiny.yaml"
    assert main(["model", "--config", str(config), "--json", *map(str, arguments)]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    return dict(found)


def test_networks_of_a_configuration(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = said(capsys, root)
    assert (found["size"], found["classes"]) == ([64, 32], 29)
    assert set(found["networks"]) == {"G", "E", "D"}
    mask_encoder = sum(fin * fout * 9 for fin, fout in ((29, 4), (4, 8), (8, 16), (16, 32), (32, 64)))
    assert found["networks"]["E"]["parameters"] == mask_encoder
    first = 32 * 16 * 29 * 4 * 9  # its first layer halves the size
    assert found["networks"]["E"]["macs"] > first
    assert found["networks"]["E"]["outputs"] == sum(
        channels * (32 >> i) * (64 >> i) for i, channels in enumerate((4, 8, 16, 32, 64), start=1)
    )


def test_label_maps_say_what_is_left(labels: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Half of what the flat one alone leaves, and half of everything: in the noise hardly a patch comes twice."""
    found = said(capsys, root, "--labels", labels, "--time")
    (labels / "noise.png").unlink()
    flat = said(capsys, root, "--labels", labels)
    whole = flat["networks"]["G"]["macs"]
    assert flat["on_patches"] < 0.8 * whole
    assert found["on_patches"] == pytest.approx((flat["on_patches"] + whole) / 2, rel=1e-6)
    assert 0 < found["seconds"] < 60


def test_the_table(root: Path, labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "--config", str(root / "tests" / "config" / "tiny.yaml"), "--labels", str(labels)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "one image of 64x32, 29 classes"
    assert [line.split()[0] for line in lines[3:6]] == ["G", "E", "D"]
    assert "GMACs" in lines[-1]


def test_several_sizes(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["model", "--config", str(root / "tests" / "config" / "tiny.yaml"), "--json", "--size"]
    assert main([*command, "64x32", "128x64"]) == 0
    small, large = json.loads(capsys.readouterr().out)
    assert (small["size"], large["size"]) == ([64, 32], [128, 64])
    for name in "GE":
        assert large["networks"][name]["parameters"] == small["networks"][name]["parameters"]
        assert large["networks"][name]["macs"] == 4 * small["networks"][name]["macs"]
    assert main([*command, "60x32"]) == EXIT_USAGE
    assert "60" in capsys.readouterr().err


def test_time_wants_label_maps(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "--config", str(root / "tests" / "config" / "tiny.yaml"), "--time"]) == EXIT_USAGE
    assert "--labels" in capsys.readouterr().err
