"""An image of the drawing page is the one `generate` makes: with real tiny generators in the real worker."""

from __future__ import annotations

import io
import json
import shlex
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from paint_server import IDS, Running, running
from PIL import Image
from small_weights import SIZE, label_map, save_apf, save_spade

import shanshui
from shanshui.__main__ import main
from shanshui.painting.context import Options
from shanshui.painting.engine import Offer
from shanshui.painting.worker_process import COMMAND

SEED = 7
IDS_MAP = label_map("drawing")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of two tiny generators: with noise, and with styles."""
    folder = tmp_path_factory.mktemp("parity")
    save_apf(folder / "apf.safetensors")
    save_spade(folder / "spade.safetensors")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Running]:
    offer = Offer([str(folder / f"{name}.safetensors") for name in ("apf", "spade")])
    options = Options(weights=("apf", "spade"))
    with running(folder, offer=offer, options=options, command=COMMAND, ready=False) as served:
        served.wait("ready", "failed", seconds=300)
        assert served.engine.state.name == "ready", served.engine.state
        yield served


def exported(server: Running, query: str, folder: Path, ids: np.ndarray = IDS_MAP) -> dict[str, bytes]:
    """Files of an archive, unpacked into `folder`."""
    height, width = ids.shape
    reply = server.ask("POST", f"/api/export?width={width}&height={height}&{query}", ids.tobytes(), IDS)
    assert reply.status == 200, reply.body
    (folder / "paint.zip").write_bytes(reply.body)
    with zipfile.ZipFile(io.BytesIO(reply.body)) as archive:
        archive.extractall(folder)
        return {name: archive.read(name) for name in archive.namelist()}


def repeated(command: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Run the commands of paint.json in `folder`, and return the image they make."""
    monkeypatch.chdir(folder)
    copy, generate = command.split(" && ")[1:]
    _, source, target = shlex.split(copy)
    Path(target).parent.mkdir()
    Path(target).write_bytes(Path(source).read_bytes())
    words = shlex.split(generate)
    assert words[:3] == ["python", "-m", "shanshui"]
    assert main(words[3:]) == 0
    return np.asarray(Image.open("out/paint.png"))


def choose(server: Running, number: int) -> None:
    if server.engine.number != number:
        server.ask("POST", f"/api/weights?number={number}", b"", IDS)
        server.wait("ready", "failed", seconds=300)
        assert server.engine.state.name == "ready", server.engine.state


def test_exported_image_is_generated_again(
    server: Running, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(server, 0)
    files = exported(server, f"seed={SEED}", tmp_path)
    image = np.asarray(Image.open(io.BytesIO(files["paint.png"])))
    record = json.loads(files["paint.json"])
    np.testing.assert_array_equal(repeated(record["command"], tmp_path, monkeypatch), image)
    synthesizer = shanshui.load(folder / "apf.safetensors")
    np.testing.assert_array_equal(synthesizer.read_label_map(tmp_path / "paint_label.png"), IDS_MAP)
    made = synthesizer.generate(IDS_MAP, "paint", SEED)
    np.testing.assert_array_equal(np.asarray(shanshui.to_pil(made)[0]), image)
    assert np.abs(np.asarray(shanshui.to_pil(synthesizer.generate(IDS_MAP, "other", SEED))[0]) - image).max() > 0
    drawn = server.paint(IDS_MAP.tobytes(), SIZE.width_first, seed=SEED, format="png")
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(drawn.body))), image)
    model = server.get("/api/model").json
    assert (model["generator"], model["parameters"] > 0, model["gmac"]["dense"] > 0) == ("apf", True, True)
    assert 0 < model["gmac"]["patches"] < model["gmac"]["dense"]
    assert record["weights_sha256"] == model["weights_sha256"]


def test_another_size_is_generated_again(server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choose(server, 0)
    large = IDS_MAP.repeat(2, 0).repeat(2, 1)
    files = exported(server, f"seed={SEED}", tmp_path, large)
    command = json.loads(files["paint.json"])["command"]
    assert "--size 256x128" in command
    again = repeated(command, tmp_path, monkeypatch)
    np.testing.assert_array_equal(again, np.asarray(Image.open(io.BytesIO(files["paint.png"]))))


def test_styles_of_photographs_are_generated_again(
    server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of them, and no class where the weights know it."""
    choose(server, 1)
    model = server.get("/api/model").json
    assert (model["one_size"], model["takes_style"], model["no_class"]) == (True, True, 255)
    wrong = server.paint(bytes(64 * 64), (64, 64))
    assert wrong.json["error"] == "bad_size"
    names = []
    for seed in (1, 2):
        out = io.BytesIO()
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (50, 90, 3)).astype(np.uint8)).save(out, "PNG")
        names.append(server.ask("POST", "/api/style", out.getvalue(), {"Content-Type": "image/png"}).json["style"])
        (tmp_path / f"photograph-{names[-1]}").write_bytes(out.getvalue())
    ids = IDS_MAP.copy()
    ids[:8] = 255
    files = exported(server, f"style={names[0]}&style2={names[1]}&blend=0.25", tmp_path, ids)
    image = np.asarray(Image.open(io.BytesIO(files["paint.png"])))
    again = repeated(json.loads(files["paint.json"])["command"], tmp_path, monkeypatch)
    np.testing.assert_array_equal(again, image)
    opened = server.ask("POST", "/api/open", (tmp_path / "paint.zip").read_bytes(), {"Content-Type": "application/zip"})
    saved = json.loads(opened.headers["x-report"])
    assert (opened.body, saved["styles"], saved["blend"]) == (ids.tobytes(), names, 0.25)
    query = dict(zip(("style", "style2"), saved["styles"], strict=True)) | {"seed": saved["seed"], "blend": 0.25}
    drawn = server.paint(opened.body, SIZE.width_first, format="png", **query)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(drawn.body))), image)


def test_photograph_is_segmented(server: Running) -> None:
    """By the built-in segmenter: of the classes sky, water and tree."""
    choose(server, 1)
    photo = np.full((96, 128, 3), (120, 180, 240), np.uint8)
    out = io.BytesIO()
    Image.fromarray(photo).save(out, "PNG")
    reply = server.ask("POST", "/api/segment?width=128&height=64", out.getvalue(), {"Content-Type": "image/png"})
    assert reply.status in (200, 422), reply.body
    if reply.status == 200:
        report = json.loads(reply.headers["x-report"])
        assert report["how"] == "segmented"
        assert set(reply.body) <= {0, 1, 2, 255}
        assert len(reply.body) == 128 * 64
    choose(server, 0)
    unknown = server.ask("POST", "/api/segment?width=128&height=64", out.getvalue(), {"Content-Type": "image/png"})
    assert (unknown.status, unknown.json["error"]) == (409, "no_segmenter")
    assert sys.executable == COMMAND[0]
