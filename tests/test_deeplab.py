"""The built-in segmenter: against stored outputs, its layers against numpy, classes by name, and what is not judged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from golden_files import GoldenFiles
from PIL import Image
from test_score_stage import refused, score

from shanshui.__main__ import main
from shanshui.architectures.deeplab import build, enlarge
from shanshui.architectures.segmenters import builtin_segmenter, describe_segmenter, load_segmenter
from shanshui.backend.modules import restore
from shanshui.backend.runtime import load_jittor
from shanshui.config.settings import stage_settings, validate
from shanshui.data.class_tables import class_names
from shanshui.data.labels import NO_CLASS
from shanshui.data.landscape_classes import CLASSES
from shanshui.errors import UsageError
from shanshui.metrics.segmentation import count_classes, mask_accuracy, miou, per_class, unjudged_share
from shanshui.nn.inverted_residuals import SameConv
from shanshui.pipeline.inputs_there import check_inputs
from shanshui.pipeline.run_paths import RunPaths
from shanshui.storage.files import write_json
from shanshui.storage.size import Size
from shanshui.weights import deeplab

jt = load_jittor()


@pytest.fixture(scope="module")
def expected(references: Path | None, golden_files: GoldenFiles) -> dict[str, np.ndarray]:
    """Pictures, classes (255 where two are nearly equal) and logits: of photographs, or of drawn landscapes."""
    if references:
        with np.load(references / "data" / "deeplab_ade20k32" / "expected.npz") as file:
            return dict(file)
    return {"image": golden_files("features")[1]["image224"], **golden_files("segmenter")[1]}


def test_outputs_are_those_stored(expected: dict[str, np.ndarray]) -> None:
    network = build({})
    restore(network, deeplab.read_weights(), "the file")
    photos = (expected["image"] / np.float32(127.5) - 1).astype(np.float32).transpose(0, 3, 1, 2)
    with jt.no_grad():
        logits, features = network.segment(jt.array(np.ascontiguousarray(photos)))
    logits = logits.numpy()
    np.testing.assert_allclose(logits[:, :, ::16, ::16].transpose(0, 2, 3, 1), expected["logits_every_16"], atol=1e-3)
    clear = expected["classes"] != NO_CLASS
    assert clear.mean() > 0.99
    np.testing.assert_array_equal(logits.argmax(1)[clear], expected["classes"][clear])
    assert features.shape == [2, 320]
    height, width = expected["classes"].shape[1:]
    seen, _ = builtin_segmenter(CLASSES, Size(height, width)).segment(expected["image"])
    translated = np.array(deeplab.translation(CLASSES), np.uint8)[expected["classes"][clear]]
    np.testing.assert_array_equal(seen[clear], translated)
    assert len(deeplab.NAMES) == 32


def loops(x: np.ndarray, layer: SameConv, groups: int) -> np.ndarray:
    """The convolution of one picture (C, h, w) written out, padded as TensorFlow's documentation says."""
    weight, bias = layer.weight.numpy().astype(float), layer.bias.numpy()
    k, s, d = layer.kernel, layer.stride, layer.dilation
    height, width = (-(-side // s) for side in x.shape[1:])
    total = [max((n - 1) * s + (k - 1) * d + 1 - side, 0) for n, side in zip((height, width), x.shape[1:], strict=True)]
    wide = np.pad(x.astype(float), [(0, 0), *((t // 2, t - t // 2) for t in total)])
    out = np.zeros((len(weight), height, width))
    for o, row, column in np.ndindex(*out.shape):
        channels = slice(o, o + 1) if groups > 1 else slice(None)
        window = wide[channels, row * s : row * s + (k - 1) * d + 1 : d, column * s : column * s + (k - 1) * d + 1 : d]
        out[o, row, column] = (window * weight[o]).sum() + bias[o]
    return out


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "depthwise", "size"),
    [(3, 2, 1, False, (8, 9)), (5, 2, 1, True, (9, 8)), (3, 1, 2, True, (7, 6)), (1, 1, 1, False, (3, 4))],
)
def test_convolutions_pad_as_tensorflow_does(
    kernel: int, stride: int, dilation: int, depthwise: bool, size: tuple[int, int]
) -> None:
    rng = np.random.default_rng(0)
    layer = SameConv(4, 4 if depthwise else 3, kernel, stride, dilation, depthwise, limit=None)
    for name, var in layer.state_dict().items():
        var.assign(jt.array(rng.standard_normal(var.shape).astype(np.float32)))
        assert name in ("weight", "bias")
    x = 9 * rng.standard_normal((2, 4, *size)).astype(np.float32)
    expected = np.stack([loops(one, layer, 4 if depthwise else 1) for one in x])
    np.testing.assert_allclose(layer(jt.array(x)).numpy(), expected, rtol=1e-4, atol=1e-4)
    for limit, highest in ((6, 6), (0, np.inf)):
        layer.limit = limit
        found = layer(jt.array(x)).numpy()
        np.testing.assert_allclose(found, np.clip(expected, 0, highest), rtol=1e-4, atol=1e-4)


def test_maps_are_enlarged_from_the_corner_on() -> None:
    x = np.random.default_rng(0).standard_normal((1, 2, 3, 4)).astype(np.float32)
    found = enlarge(jt.array(x), 4).numpy()
    assert found.shape == (1, 2, 12, 16)
    np.testing.assert_array_equal(found[:, :, ::4, ::4], x)
    np.testing.assert_allclose(found[..., 4, 6], (x[..., 1, 1] + x[..., 1, 2]) / 2, rtol=1e-6)
    np.testing.assert_allclose(found[..., 9, 0], 0.75 * x[..., 2, 0] + 0.25 * x[..., 2, 0], rtol=1e-6)
    np.testing.assert_allclose(found[..., 5, 0], 0.75 * x[..., 1, 0] + 0.25 * x[..., 2, 0], rtol=1e-6)


def test_classes_go_by_name() -> None:
    names = class_names("ade20k.csv")
    ade = deeplab.translation(names)
    assert (ade[0], ade[3], ade[12]) == (255, names.index("sky"), names.index("sidewalk"))
    contest = deeplab.translation(CLASSES)
    assert [CLASSES[i] for i in contest[:4]] == ["other", "wall", "building", "sky"]
    assert (CLASSES[contest[12]], CLASSES[contest[4]], CLASSES[contest[27]]) == ("path", "other", "sea")
    assert set(deeplab.unjudged(CLASSES)) == {
        "rock", "hill", "river", "sand", "land", "boat", "waterfall", "pier", "lake", "bridge", "railing", "fence",
        "ship", "other",
    }  # fmt: skip
    few = ["Water", "sky-other", "building"]
    assert [deeplab.translation(few)[i] for i in (3, 22, 27, 26, 5)] == [1, 0, 0, 2, 255]
    assert deeplab.unjudged(few) == []
    with pytest.raises(UsageError, match="knows none of the classes ship, other"):
        load_segmenter("builtin", ["ship", "other"])
    with pytest.raises(UsageError, match="multiples of 32"):
        load_segmenter("builtin", None, Size(64, 100))


def test_what_cannot_be_judged_is_left_out_and_its_share_said() -> None:
    given = np.array([[[0, 0, 1, 1], [2, 2, 2, 255]]], np.uint8)
    said = np.array([[[0, 255, 1, 2], [0, 1, 2, 0]]], np.uint8)
    counts = count_classes(said, given, 3, np.array([True, True, False]))
    assert counts.tolist() == [[[2, 1, 1, 0], [2, 1, 1, 0], [0, 0, 1, 3]]]
    assert (mask_accuracy(counts).value, miou(counts).value) == (0.5, 0.5)
    assert unjudged_share(counts) == pytest.approx(3 / 7)
    assert per_class(counts, ["a", "b", "c"])["c"] == {"pixels": pytest.approx(3 / 7), "accuracy": None, "iou": None}
    assert unjudged_share(count_classes(np.minimum(said, 2), given, 3)) is None


def picture(folder: Path, name: str, shift: int = 0) -> None:
    """Sky over water, as far as a few colours can say so, with a label map that calls a tenth of it rock."""
    rows = np.arange(96)[:, None]
    noise = np.random.default_rng(shift).integers(0, 12, (96, 128, 1))
    blue = np.where(rows < 48, 235 - rows, 90)[..., None] + noise
    photo = np.concatenate([blue * 0.75, blue * 0.9, np.minimum(blue + 20, 255)], 2)
    ids = np.where(rows < 48, 1, 2).repeat(128, 1).astype(np.uint8)
    ids[60:80, 20:80] = CLASSES.index("rock")
    for part, image in (("imgs", photo.astype(np.uint8)), ("labels", ids)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / part / f"{name}.png")


def test_pictures_are_scored_by_the_word_builtin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i in range(5):
        picture(tmp_path, f"p{i}", i)
    seeing = ("--segmenter", "builtin", "--labels", tmp_path / "labels")
    call = (tmp_path / "imgs", tmp_path / "imgs", "--metrics", "mask_accuracy,miou,seg_frechet", *seeing)
    result = score(capsys, *call)
    found = result["sets"]["pictures"]
    assert found["metrics"]["mask_accuracy"] > 0.4
    assert found["unjudged"] == pytest.approx(20 * 60 / (96 * 128), abs=0.01)
    assert found["per_class"]["rock"]["accuracy"] is None
    assert "(not scored: rock, hill" in result["features"]["mask_accuracy"]
    assert main(["score", *map(str, call)]) == 0
    assert f"left out of mask accuracy and mIoU: {found['unjudged']:.1%} of the labelled" in capsys.readouterr().out
    settings = {"metrics": ["miou"], "size": [128, 96], "seed": 0, "classes": list(CLASSES)}
    labels = {"label_offset": 0, "ignore_label": None}
    write_json(tmp_path / "s.json", {**settings, **labels, "segmenter_size": [128, 96]})
    smaller = score(capsys, *call[:2], *call[4:], "--settings", tmp_path / "s.json")
    assert smaller["settings"]["segmenter"] != result["settings"]["segmenter"]
    for path in (tmp_path / "labels").iterdir():
        Image.fromarray(np.full((96, 128), CLASSES.index("rock"), np.uint8)).save(path)
    refused(capsys, "a class that the segmenter knows", *call)


def test_label_needs_no_segmenter_of_yours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture(tmp_path, "a")
    call = ["label", f"--photographs={tmp_path / 'imgs'}"]
    assert main([*call, f"--out={tmp_path / 'maps'}"]) == 0
    said = capsys.readouterr().out
    assert "does not know them: rock, hill" in said
    never = next(line for line in said.splitlines() if line.startswith("never"))
    assert never.endswith(", ship"), "other may be there: it is what is none of the classes"
    seen = np.asarray(Image.open(tmp_path / "maps" / "a.png"))
    assert (seen.shape, CLASSES[np.bincount(seen[:20].ravel()).argmax()]) == ((96, 128), "sky")
    assert json.loads((tmp_path / "maps" / "label.json").read_text())["classes"] == list(CLASSES)
    assert main([*call, f"--out={tmp_path / 'few'}", "--classes", "tree,sky"]) == 0
    few = np.asarray(Image.open(tmp_path / "few" / "a.png"))
    assert set(np.unique(few)) <= {0, 1, 255}
    np.testing.assert_array_equal(few == 1, seen == CLASSES.index("sky"))
    assert main([*call, f"--out={tmp_path / 'none'}", "--classes", "ship"]) == 2
    assert not (tmp_path / "none").exists()


def test_a_run_asks_for_it_by_name(tmp_path: Path) -> None:
    metrics = {"metrics": ["miou", "dct_frechet"], "rank_by": "miou"}
    drawn = {"train": 4, "test": 2, "width": 64, "height": 64}
    config = validate({"score": metrics, "segmenter": {"weights": "builtin"}, "landscapes": drawn})
    run_paths = RunPaths(config)
    assert run_paths.segmenter("r") == []

    class Nothing:
        weights: tuple[str, ...] = ()
        segmenter: tuple[str, ...] = ()

    assert run_paths.scorers(Nothing) == ["--segmenter", "builtin"]
    assert stage_settings(config, "score")["segmenter_size"] == [256, 192]
    assert "segmenter_size" not in stage_settings(validate({"score": metrics}), "score")
    plain = validate({"score": {"metrics": ["dct_kid"], "rank_by": "dct_kid"}, "segmenter": {"weights": "builtin"}})
    assert RunPaths(plain).scorers(Nothing) == []
    with pytest.raises(UsageError, match=r"multiples of 32, not 240x192"):
        validate({"segmenter": {"weights": "builtin", "width": 240}})
    without = validate({
        "score": metrics, "segmenter": {"weights": "builtin"}, "landscapes": drawn,
        "pretrain": {"perceptual": {"net": "none"}}, "finetune": {"perceptual": {"net": "none"}},
    })  # fmt: skip
    check_inputs(without)
    facts = builtin_segmenter(CLASSES)
    assert "the built-in DeepLabV3+" in describe_segmenter(facts.identity, facts.facts)
