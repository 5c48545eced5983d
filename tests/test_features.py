"""VGG16, AlexNet, LPIPS and EfficientNet-Lite0 with their real weights: stored outputs, losses, metrics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_files import GoldenFiles
from PIL import Image
from test_score_stage import refused, score

from shanshui.__main__ import main
from shanshui.backend.runtime import load_jittor
from shanshui.config.settings import needed_weights, validate
from shanshui.errors import ShanshuiError, UsageError
from shanshui.metrics.estimate import mean_distance
from shanshui.nn.efficientnet import EfficientNetLite0
from shanshui.nn.lpips import LPIPS, unit_length
from shanshui.pipeline.inputs_there import check_inputs
from shanshui.pipeline.run_paths import RunPaths
from shanshui.storage.files import write_csv, write_json
from shanshui.training.perceptual import perceptual_loss
from shanshui.weights import catalogue
from shanshui.weights.catalogue import fill_network

jt = load_jittor()

PARITY: dict[str, Any] = {"perceptual_input": "imagenet", "inception_norm": "running"}
NETS = {"alex": "alexnet", "vgg": "vgg16"}
LAYERS = {"alex": [f"relu{i}" for i in range(1, 6)], "vgg": ["relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"]}


@pytest.fixture(scope="module")
def golden(golden_files: GoldenFiles) -> dict[str, np.ndarray]:
    return golden_files("features")[1]


def file_of(name: str) -> Path:
    """A published weight file; the test is skipped where it was not fetched."""
    root = Path(__file__).resolve().parent.parent
    for path in (catalogue.place(name), root / catalogue.FOLDER / catalogue.entry(name).file):
        if path.is_file():
            return path.absolute()
    pytest.skip(f"not fetched: {catalogue.entry(name).command}")


def pictures(images: np.ndarray) -> jt.Var:
    """uint8 (N, h, w, 3) -> (N, 3, h, w) in [-1, 1]."""
    return jt.array(np.ascontiguousarray(images.transpose(0, 3, 1, 2)).astype(np.float32) / np.float32(127.5) - 1)


def lpips(short: str) -> LPIPS:
    network = LPIPS(NETS[short])
    fill_network(network, NETS[short], file_of(NETS[short]))
    return network


@pytest.mark.parametrize("short", NETS)
def test_layers_and_distances_are_those_of_lpips(short: str, golden: dict[str, np.ndarray]) -> None:
    network = lpips(short)
    with jt.no_grad():
        maps = network.features(network.scaled(pictures(golden["image"])))
    for name, found in zip(LAYERS[short], maps, strict=True):
        exact = found.numpy().astype(float)
        for kind, value in (("mean", exact.mean((2, 3))), ("rms", np.sqrt((exact**2).mean((2, 3))))):
            stored = golden[f"{short}_{name}_{kind}"]
            np.testing.assert_allclose(value, stored, rtol=1e-4, atol=1e-4 * stored.max(), err_msg=f"{name} {kind}")
    for pair in ("blur", "noise", "other", "shift2"):
        with jt.no_grad():
            terms = network.between(maps, network.features(network.scaled(pictures(golden[f"pair_{pair}"]))))
            total = sum(terms).numpy()
        stored = golden[f"lpips_{short}_{pair}_layers"]
        np.testing.assert_allclose(np.stack([t.numpy() for t in terms], 1), stored, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(total, golden[f"lpips_{short}_{pair}"], rtol=1e-4, atol=1e-6)
    one = [pictures(golden[name][:1]) for name in ("image", "pair_noise")]
    with jt.no_grad():
        assert network(*one).item() == pytest.approx(golden[f"lpips_{short}_noise"][0], rel=1e-4)
        assert network(one[0], one[0]).item() == 0


@pytest.mark.parametrize("short", NETS)
def test_gradients_are_those_of_lpips(short: str, golden: dict[str, np.ndarray]) -> None:
    """The loss of training is the mean over the pictures; that of the first VGG picture has a tie in a pooling."""
    loss = perceptual_loss(f"lpips_{short}", file_of(NETS[short]), **PARITY)
    assert loss
    fake, real = pictures(golden["image"][:2]), pictures(golden["pair_noise"][:2])
    value = loss(fake, real)
    found = 2 * jt.grad(value, fake).numpy()
    assert value.item() == pytest.approx(golden[f"lpips_{short}_noise"][:2].mean(), rel=1e-4)
    stored = golden[f"lpips_{short}_grad_noise"]
    step = found.shape[2] // stored.shape[2]
    found = found[:, :, ::step, ::step]
    off = np.abs(found - stored) > 1e-3 * np.abs(stored).max()
    assert not off[1].any()
    assert off[0].any(0).mean() < 0.01
    assert short == "vgg" or not off[0].any()
    assert np.linalg.norm(found - stored) < 3e-3 * np.linalg.norm(stored)


def test_efficientnet_is_the_published_one(golden: dict[str, np.ndarray]) -> None:
    network = EfficientNetLite0()
    fill_network(network, "efficientnet_lite0", file_of("efficientnet_lite0"))
    with jt.no_grad():
        features = network(pictures(golden["image224"]))
        logits = network.classify(features).numpy()
    np.testing.assert_allclose(features.numpy(), golden["efficientnet_features"], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(logits, golden["efficientnet_logits"], rtol=1e-4, atol=1e-4)


def test_lengths_of_nothing_have_gradients() -> None:
    x = jt.array(np.array([[[[0.0, 3.0]], [[0.0, 4.0]]]], np.float32))
    np.testing.assert_allclose(unit_length(x).numpy(), [[[[0, 0.6]], [[0, 0.8]]]], rtol=1e-6)
    assert np.isfinite(jt.grad(unit_length(x).sum(), x).numpy()).all()


@pytest.mark.parametrize("net", ["vgg16", "lpips_vgg", "lpips_alex", "efficientnet_lite0"])
def test_losses_are_nothing_for_equal_pictures_and_pull_towards_the_photograph(net: str) -> None:
    name = {"lpips_vgg": "vgg16", "lpips_alex": "alexnet"}.get(net, net)
    loss = perceptual_loss(net, file_of(name), **PARITY)
    assert loss
    rng = np.random.default_rng(0)
    for height, width in ((12, 16), (48, 64)):  # the smaller one is below what the poolings take
        blocks = rng.uniform(-1, 1, (2, 3, height // 4, width // 4)).repeat(4, 2).repeat(4, 3).astype(np.float32)
        real = jt.array(blocks)
        fake = jt.array(np.clip(blocks + rng.normal(0, 0.3, blocks.shape), -1, 1).astype(np.float32))
        assert loss(real, real).item() == pytest.approx(0, abs=1e-6)
        before = loss(fake, real)
        gradient = jt.grad(before, fake).numpy()
        assert before.item() > 0.01
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() > 0
        step = 0.02 * gradient / np.abs(gradient).max()
        assert loss(jt.array(fake.numpy() - step), real).item() < before.item()
        assert (jt.grad(loss(fake, real), real).numpy() == 0).all()


def test_vgg16_obeys_the_scaling_of_the_winner() -> None:
    fake, real = (jt.array(np.full((1, 3, 32, 32), value, np.float32)) for value in (0.5, -0.5))
    values = []
    for scaling in ("imagenet", "raw"):
        loss = perceptual_loss("vgg16", file_of("vgg16"), **{**PARITY, "perceptual_input": scaling})
        assert loss
        values.append(loss(fake, real).item())
    assert values[0] != pytest.approx(values[1], rel=0.01)


def draw(folder: Path, count: int, noise: float, seed: int = 1) -> Path:
    """Pictures of `folder`: coarse blocks, the same for every seed of noise."""
    folder.mkdir()
    for i in range(count):
        blocks = np.random.default_rng(i).integers(0, 256, (4, 4, 3)).repeat(16, 0).repeat(16, 1)
        noisy = blocks + noise * np.random.default_rng([seed, i]).standard_normal(blocks.shape)
        Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(folder / f"{i}.png")
    return folder


EFFICIENT = "fd_efficientnet,kd_efficientnet,efficientnet_precision,efficientnet_recall"


def test_pictures_are_scored_on_efficientnet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file_of("efficientnet_lite0")
    real, near, far = (draw(tmp_path / name, 12, noise) for name, noise in (("real", 0), ("near", 1), ("far", 90)))
    found = {name: score(capsys, real, f"x={folder}", "--metrics", EFFICIENT) for name, folder in
             (("real", real), ("near", near), ("far", far))}  # fmt: skip
    values = {name: one["sets"]["x"]["metrics"] for name, one in found.items()}
    assert abs(values["real"]["fd_efficientnet"]) < 1e-3 < values["near"]["fd_efficientnet"]
    for metric in ("fd_efficientnet", "kd_efficientnet"):
        assert values["near"][metric] < 0.9 * values["far"][metric]
    for metric in ("efficientnet_precision", "efficientnet_recall"):
        assert values["far"][metric] <= values["near"][metric] <= values["real"][metric] == 1
    result = found["far"]
    assert result["settings"]["efficientnet"] == catalogue.entry("efficientnet_lite0").sha256
    assert "not FID" in result["features"]["fd_efficientnet"]
    assert "not_measured" in json.dumps(result["sets"]["x"]["contest"])
    assert "fid" in result["sets"]["x"]["contest"]["not_measured"]


def test_lpips_is_to_the_photograph_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = file_of("alexnet")
    real, near = draw(tmp_path / "real", 6, 0), draw(tmp_path / "near", 6, 30)
    monkeypatch.chdir(tmp_path)
    refused(capsys, "python -m shanshui weights alexnet", real, near, "--metrics", "lpips")
    catalogue.FOLDER.mkdir(parents=True)
    (catalogue.FOLDER / "alexnet.ckpt").symlink_to(weights)
    same = score(capsys, real, real, "--metrics", "lpips")["sets"]["pictures"]["metrics"]["lpips"]
    found = score(capsys, real, near, "--metrics", "lpips", "--features-out", "kept.npz")["sets"]["pictures"]
    network = lpips("alex")
    values = []
    for i in range(6):
        read = [np.asarray(Image.open(folder / f"{i}.png"))[None] for folder in (near, real)]
        values.append(network(*map(pictures, read)).item())
    assert same == pytest.approx(0, abs=1e-6)
    assert found["metrics"]["lpips"] == pytest.approx(np.mean(values), rel=1e-4)
    assert found["standard_errors"]["lpips"] == pytest.approx(np.std(values, ddof=1) / np.sqrt(6), rel=1e-3)
    again = score(capsys, real, "pictures=kept.npz", "--metrics", "lpips")["sets"]["pictures"]
    assert again["metrics"] == found["metrics"]
    (real / "3.png").rename(real / "x.png")
    refused(capsys, "no photographs of the images' label maps", real, near, "--metrics", "lpips", code=2)
    rows = [f"{i},{real / ('x' if i == 3 else str(i))}.png" for i in range(6)]
    (tmp_path / "list.csv").write_text("\n".join(["name,image", *rows]) + "\n")
    listed = score(capsys, real, near, "--metrics", "lpips", "--labels", "list.csv")["sets"]["pictures"]
    assert listed["metrics"]["lpips"] == pytest.approx(found["metrics"]["lpips"], rel=1e-6)


def test_mean_distance_by_hand() -> None:
    assert mean_distance(np.array([1.0, 2.0, 3.0])) == (2.0, None, None)
    assert mean_distance(np.array([1.0, 2.0, 3.0, 6.0])).standard_error == pytest.approx(np.sqrt(14 / 3 / 4))


def test_runs_ask_for_the_files_they_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = {"train": 4, "test": 2, "width": 64, "height": 64}
    config = validate({
        "score": {"metrics": ["fd_efficientnet", "lpips"], "rank_by": "fd_efficientnet"}, "landscapes": drawn,
        "pretrain": {"perceptual": {"net": "lpips_vgg"}}, "finetune": {"perceptual": {"net": "efficientnet_lite0"}},
    })  # fmt: skip
    assert needed_weights(config) == ["alexnet", "efficientnet_lite0", "vgg16"]
    run_paths = RunPaths(config)
    assert run_paths.perceptual_weights("pretrain") == [str(catalogue.FOLDER / "vgg16.ckpt")]
    assert run_paths.perceptual_weights("finetune") == [], "what set-up brings is not an input of rules"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ShanshuiError, match=r"python -m shanshui weights alexnet .*vgg16"):
        check_inputs(config)
    for wrong in ({"select": {"on": "test"}}, {"data": {"holdout": 0}, "select": {"on": "test"}}):
        with pytest.raises(UsageError, match="lpips compares with the photograph"):
            validate({"score": {"metrics": ["fid", "lpips"]}, **wrong})


def test_diversity_is_lpips_between_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = file_of("alexnet")
    monkeypatch.chdir(tmp_path)
    catalogue.FOLDER.mkdir(parents=True)
    (catalogue.FOLDER / "alexnet.ckpt").symlink_to(weights)
    folders = [draw(tmp_path / name, 4, noise, seed) for name, noise, seed in (("a", 0, 1), ("b", 20, 1), ("c", 60, 2))]
    call = ["diversity", *map(str, folders)]
    assert main([*call, "--out", "d.json"]) == 0
    found = json.loads((tmp_path / "d.json").read_text())
    network, values = lpips("alex"), []
    for i in range(4):
        read = [pictures(np.asarray(Image.open(folder / f"{i}.png"))[None]) for folder in folders]
        values.append(np.mean([network(read[a], read[b]).item() for a, b in ((0, 1), (0, 2), (1, 2))]))
    assert found["lpips"] == pytest.approx(np.mean(values), rel=1e-4)
    assert found["standard_error"] == pytest.approx(np.std(values, ddof=1) / 2, rel=1e-3)
    capsys.readouterr()
    assert main(["diversity", str(folders[0]), str(folders[0])]) == 0
    assert "0.0000 +- 0, 4 label maps in 2 folders" in capsys.readouterr().out
    assert main(["diversity", str(folders[0])]) == 2
    (folders[2] / "3.png").unlink()
    assert main(call) != 0
    assert "3" in capsys.readouterr().err


def test_a_run_scores_by_lpips_where_there_are_photographs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The hold-out's manifest names photographs, that of the test label maps does not."""
    weights = file_of("alexnet")
    real, near = draw(tmp_path / "real", 5, 0), draw(tmp_path / "near", 5, 30)
    monkeypatch.chdir(tmp_path)
    catalogue.FOLDER.mkdir(parents=True)
    (catalogue.FOLDER / "alexnet.ckpt").symlink_to(weights)
    Image.new("L", (64, 64)).save("label.png")
    rows = [{"name": f"{i}", "image": str(real / f"{i}.png"), "label": "label.png"} for i in range(5)]
    write_csv("holdout.csv", rows, ["name", "image", "label"])
    write_csv("test.csv", [{**row, "image": ""} for row in rows], ["name", "image", "label"])
    settings = {"metrics": ["lpips", "sharpness"], "size": [64, 32], "seed": 0, "classes": ["a", "b"]}
    write_json("s.json", {**settings, "label_offset": 0, "ignore_label": None})
    files = ["--train", "holdout.csv", "--statistics", "s.npz", "--pure", "p.json"]
    assert main(["reference", "--settings", "s.json", *files]) == 0
    sets = ("--labels", "holdout=holdout.csv", "test=test.csv", "--settings", "s.json")
    found = score(capsys, "s.npz", f"holdout={near}", f"test={near}", *sets)["sets"]
    assert set(found["holdout"]["metrics"]) == {"lpips", "sharpness"}
    assert set(found["test"]["metrics"]) == {"sharpness"}
    beside = score(capsys, real, near, "--metrics", "lpips")["sets"]["pictures"]["metrics"]
    assert 0.3 < found["holdout"]["metrics"]["lpips"] / beside["lpips"] < 3, "at half the height, too low for AlexNet"
    alone = score(capsys, "s.npz", f"test={near}", "--labels", "test=test.csv", "--settings", "s.json")
    assert set(alone["sets"]["test"]["metrics"]) == {"sharpness"}, "as the submission is scored"
