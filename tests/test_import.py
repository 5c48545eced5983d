"""The winner's checkpoints come in, give the winner's pictures, and nothing else comes in."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from golden_files import GoldenFiles, close
from PIL import Image

from shanshui.__main__ import main
from shanshui.architectures.registry import discriminator_of
from shanshui.backend.modules import restore
from shanshui.storage import checkpoint


def bring_in(generator: Path, encoder: Path, out: Path) -> int:
    return main(["import", "apf", "--generator", str(generator), "--encoder", str(encoder), "--out", str(out)])


@pytest.mark.parametrize("form", ["apf", "apf_numpy"])
def test_imported_weights_give_the_references_picture(golden_files: GoldenFiles, tmp_path: Path, form: str) -> None:
    expected = golden_files("checkpoints/apf_expected")[1]
    G, E = (golden_files.checkpoint(file) for file in ("apf/180_net_G.pkl", f"{form}/180_net_E.pkl"))
    weights = tmp_path / "W.safetensors"
    assert bring_in(G, E, weights) == 0
    (tmp_path / "labels").mkdir()
    Image.fromarray(expected["label"][0]).save(tmp_path / "labels" / "x.png")
    arguments = ["--labels", str(tmp_path / "labels"), "--out", str(tmp_path / "out"), "--format", "npy"]
    assert main(["generate", "--weights", str(weights), *arguments, "--noise", "off"]) == 0
    close(np.load(tmp_path / "out" / "x.npy")[None], expected["apf/180:image"], 1e-4)


def test_averaged_pickles_without_tail_come_in(golden_files: GoldenFiles, tmp_path: Path) -> None:
    for form in ("apf", "apf_numpy"):
        encoder = golden_files.checkpoint(f"{form}/avg_180_200_net_E.pkl")
        assert bring_in(golden_files.checkpoint("apf/180_net_G.pkl"), encoder, tmp_path / f"{form}.safetensors") == 0


def test_discriminators_come_in_for_further_training(
    golden_files: GoldenFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(1)
    keys = golden_files("apf_discriminator")[0]["D_keys"]
    state = {name: rng.normal(size=shape).astype(np.float32) for name, shape in keys}
    G, E = (str(golden_files.checkpoint(f"apf/180_net_{part}.pkl")) for part in "GE")
    out, net_d = tmp_path / "W.safetensors", tmp_path / "180_net_D.pkl"
    command = ["import", "apf", "--generator", G, "--encoder", E, "--discriminator", str(net_d), "--out", str(out)]
    net_d.write_bytes(pickle.dumps(state))
    assert main(command) == 2
    assert f"{net_d} sees 29 channels" in capsys.readouterr().err
    fewer = {
        name: a[:, 25:] if a.ndim == 4 and a.shape[1] == 32 and "toRGB" in name else a for name, a in state.items()
    }
    net_d.write_bytes(pickle.dumps(fewer))
    assert main(command) == 0
    found = checkpoint.load(out)
    assert found.meta["model"]["discriminator"] == {"name": "progressive", "base_channels": 8, "count": 4}
    network = discriminator_of(found.meta).build()
    restore(network, found.part("D"), "W")
    np.testing.assert_array_equal(
        network.discriminators[1].extra_1.weight.numpy(),
        state["multiscale_discriminator_1.extra1.0.0.weight_orig"],
    )
    net_d.write_bytes(pickle.dumps({name: a for name, a in fewer.items() if not name.endswith("_0.model4.0.bias")}))
    assert main([*command, "--force"]) == 1
    assert str(net_d) in capsys.readouterr().err


class Malice:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


def test_what_is_no_such_checkpoint_is_refused(
    golden_files: GoldenFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    G, E = (golden_files.checkpoint(f"apf/180_net_{part}.pkl") for part in "GE")
    cut = tmp_path / "cut.pkl"
    cut.write_bytes(E.read_bytes()[:-4000])
    evil = tmp_path / "evil.pkl"
    evil.write_bytes(pickle.dumps({"a": Malice(tmp_path / "harm")}))
    shapes = tmp_path / "shapes.pkl"
    shapes.write_bytes(
        pickle.dumps({f"layer{i}.0.weight_orig": np.zeros((3, 3, 3, 3), np.float32) for i in range(1, 7)})
    )
    foreign = tmp_path / "foreign.pkl"
    foreign.write_bytes(pickle.dumps({"layer1.0.weight_orig": np.zeros((2, 4, 3, 3), np.float32), "x": np.zeros(1)}))
    for encoder in (cut, evil, shapes, foreign):
        assert bring_in(G, encoder, tmp_path / "W.safetensors") == 1, encoder.name
        assert encoder.name in capsys.readouterr().err
    assert bring_in(E, E, tmp_path / "W.safetensors") == 1
    assert "net_G" in capsys.readouterr().err
    assert not (tmp_path / "harm").exists()
    assert not (tmp_path / "W.safetensors").exists()
