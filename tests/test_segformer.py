"""SegFormer against a second implementation and Hugging Face's, its importer, and the map of ADE20K's classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shanshui.__main__ import main
from shanshui.architectures.segformer_weights import SIZES, source_name, structure
from shanshui.architectures.segmenters import load_segmenter
from shanshui.data.ade20k import ADE20K, grouping
from shanshui.data.landscape_classes import CLASSES
from shanshui.storage import checkpoint

Arrays = dict[str, np.ndarray]
SMALL = {
    "widths": [8, 16, 24, 32], "depths": [1, 2, 1, 1], "heads": [1, 2, 3, 4], "reductions": [4, 2, 2, 1],
    "mlp_ratios": [2, 3, 2, 4], "decoder_width": 20,
}  # fmt: skip
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def draw(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> Arrays:
    """Random weights of a trained network's spread: norms near 1, variances positive, layers keeping the spread."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for name, shape in shapes.items():
        values = rng.standard_normal(shape)
        if name.endswith("running_var"):
            values = 1 + 0.3 * np.abs(values)
        elif len(shape) == 1:
            values = 0.3 * values + (name.endswith("weight"))
        else:
            values = values * 1.5 / np.sqrt(np.prod(shape[1:]))
        arrays[name] = values.astype(np.float32)
    return arrays


def photos(height: int, width: int, n: int = 2) -> np.ndarray:
    """(n, 3, height, width) in [-1, 1]."""
    return np.random.default_rng(7).uniform(-1, 1, (n, 3, height, width)).astype(np.float32)


def meta_of(model: dict[str, Any], groups: list[int], classes: list[str]) -> dict[str, Any]:
    return {"model": model, "grouping": groups, "classes": classes}


def shapes_of(meta: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    from shanshui.architectures.segformer import build

    return {name: tuple(var.shape) for name, var in build(meta).state_dict().items()}


def see(meta: dict[str, Any], arrays: Arrays, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits and features of the network."""
    from shanshui.architectures.segformer import build, jt
    from shanshui.backend.modules import restore

    network = build(meta)
    restore(network, arrays, "test")
    with jt.no_grad():
        logits, features = network.segment(jt.array(pictures))
        jt.sync([logits, features])
    return logits.numpy(), features.numpy()


# --- a second implementation, in float64 on channel-first maps ------------------------------------------


def conv(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int, padding: int) -> np.ndarray:
    x = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], (2, 3))[:, :, ::stride, ::stride]
    if weight.shape[1] == 1 < x.shape[1]:
        return np.einsum("nchwij,cij->nchw", windows, weight[:, 0]) + bias[:, None, None]
    return np.einsum("nchwij,ocij->nohw", windows, weight) + bias[:, None, None]


def linear(x: np.ndarray, arrays: Arrays, name: str) -> np.ndarray:
    return np.einsum("nchw,oc->nohw", x, arrays[f"{name}.weight"]) + arrays[f"{name}.bias"][:, None, None]


def layer_norm(x: np.ndarray, arrays: Arrays, name: str) -> np.ndarray:
    x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    return x * arrays[f"{name}.weight"][:, None, None] + arrays[f"{name}.bias"][:, None, None]


def attention(x: np.ndarray, arrays: Arrays, name: str, heads: int, reduction: int) -> np.ndarray:
    n, c, h, w = x.shape
    source = x
    if reduction > 1:
        weight, bias = arrays[f"{name}.reduce.weight"], arrays[f"{name}.reduce.bias"]
        source = layer_norm(conv(x, weight, bias, reduction, 0), arrays, f"{name}.reduce_norm")
    q, k, v = (
        linear(of, arrays, f"{name}.{part}").reshape(n, heads, c // heads, -1)
        for of, part in ((x, "query"), (source, "key"), (source, "value"))
    )
    scores = np.exp(np.einsum("nadl,nadm->nalm", q, k) / np.sqrt(c // heads))
    mixed = np.einsum("nalm,nadm->nadl", scores / scores.sum(3, keepdims=True), v).reshape(n, c, h, w)
    return linear(mixed, arrays, f"{name}.output")


def feed(x: np.ndarray, arrays: Arrays, name: str) -> np.ndarray:
    from scipy.special import erf

    x = linear(x, arrays, f"{name}.widen")
    x = conv(x, arrays[f"{name}.depthwise.weight"], arrays[f"{name}.depthwise.bias"], 1, 1)
    return linear(x * (1 + erf(x / np.sqrt(2))) / 2, arrays, f"{name}.narrow")


def enlarge(x: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear, from the positions of the target's centres."""
    for axis, target in ((2, size[0]), (3, size[1])):
        source = x.shape[axis]
        at = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
        low = np.floor(at).astype(int)
        share = (at - low).reshape([-1 if i == axis else 1 for i in range(4)])
        x = np.take(x, low, axis) * (1 - share) + np.take(x, np.minimum(low + 1, source - 1), axis) * share
    return x


def second_opinion(model: dict[str, Any], arrays: Arrays, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits of the network's own classes, and features."""
    arrays = {name: array.astype(np.float64) for name, array in arrays.items()}
    x = ((pictures + 1) / 2 - MEAN[:, None, None]) / STD[:, None, None]
    maps = []
    for s in range(4):
        weight, bias = arrays[f"stages.{s}.embed.proj.weight"], arrays[f"stages.{s}.embed.proj.bias"]
        x = conv(x, weight, bias, 2 if s else 4, 1 if s else 3)
        x = layer_norm(x, arrays, f"stages.{s}.embed.norm")
        for b in range(model["depths"][s]):
            block = f"stages.{s}.blocks.{b}"
            normed = layer_norm(x, arrays, f"{block}.norm1")
            x = x + attention(normed, arrays, f"{block}.attention", model["heads"][s], model["reductions"][s])
            x = x + feed(layer_norm(x, arrays, f"{block}.norm2"), arrays, f"{block}.feed")
        x = layer_norm(x, arrays, f"stages.{s}.norm")
        maps.append(x)
    parts = [enlarge(linear(m, arrays, f"head.project.{s}"), maps[0].shape[2:]) for s, m in enumerate(maps)]
    fused = conv(np.concatenate(parts[::-1], 1), arrays["head.fuse.weight"], np.zeros(1), 1, 0)
    fused -= arrays["head.norm.running_mean"][:, None, None]
    fused /= np.sqrt(arrays["head.norm.running_var"] + 1e-5)[:, None, None]
    fused = fused * arrays["head.norm.weight"][:, None, None] + arrays["head.norm.bias"][:, None, None]
    fused = np.maximum(fused, 0)
    return conv(fused, arrays["head.classify.weight"], arrays["head.classify.bias"], 1, 0), maps[-1].mean((2, 3))


@pytest.mark.parametrize("size", [(64, 96), (52, 70)])
def test_small_network_equals_the_second_implementation(size: tuple[int, int]) -> None:
    meta = meta_of(SMALL, list(range(5)), list("abcde"))
    arrays = draw(shapes_of(meta))
    logits, features = see(meta, arrays, photos(*size))
    expected, pooled = second_opinion(SMALL, arrays, photos(*size))
    assert logits.shape == (2, 5, -(-size[0] // 4), -(-size[1] // 4))
    assert np.abs(expected).max() > 1
    assert np.abs(logits - expected).max() <= 1e-4
    assert np.abs(features - pooled).max() <= 1e-4


# --- Hugging Face -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def torch() -> Any:
    return pytest.importorskip("torch", reason="torch is not installed")


@pytest.fixture(scope="module")
def transformers(torch: Any) -> Any:
    return pytest.importorskip(
        "transformers.models.segformer", reason="transformers is not installed", exc_type=ImportError
    )


def theirs(torch: Any, transformers: Any, model: dict[str, Any], outputs: int) -> tuple[Any, Arrays]:
    """Their network with random weights, and the same weights under our names."""
    config = transformers.SegformerConfig(
        hidden_sizes=model["widths"], depths=model["depths"], num_attention_heads=model["heads"],
        sr_ratios=model["reductions"], mlp_ratios=model["mlp_ratios"], decoder_hidden_size=model["decoder_width"],
        num_labels=outputs,
    )  # fmt: skip
    network = transformers.SegformerForSemanticSegmentation(config).eval()
    shapes = shapes_of(meta_of(model, list(range(outputs)), ["x"] * outputs))
    arrays = draw(shapes)
    state = {source_name(name): torch.from_numpy(array) for name, array in arrays.items()}
    state["decode_head.batch_norm.num_batches_tracked"] = torch.tensor(0)
    network.load_state_dict(state, strict=True)
    return network, arrays


def their_logits(torch: Any, network: Any, pictures: np.ndarray) -> np.ndarray:
    pixels = ((pictures + 1) / 2 - MEAN[:, None, None]) / STD[:, None, None]
    with torch.no_grad():
        return network(torch.from_numpy(pixels.astype(np.float32))).logits.numpy()


@pytest.mark.parametrize("size", [(64, 96), (52, 70)])
def test_small_network_equals_transformers(torch: Any, transformers: Any, size: tuple[int, int]) -> None:
    network, arrays = theirs(torch, transformers, SMALL, 7)
    logits, _ = see(meta_of(SMALL, list(range(7)), list("abcdefg")), arrays, photos(*size))
    expected = their_logits(torch, network, photos(*size))
    assert logits.shape == expected.shape
    assert np.abs(logits - expected).max() <= 1e-4


def test_imported_b0_equals_transformers(torch: Any, transformers: Any, tmp_path: Path) -> None:
    network, _ = theirs(torch, transformers, structure("B0"), 150)
    torch.save(network.state_dict(), tmp_path / "pytorch_model.bin")
    out = tmp_path / "segmenter.safetensors"
    assert main(["import", "segformer", "--weights", str(tmp_path / "pytorch_model.bin"), "--out", str(out)]) == 0
    stored = checkpoint.load(out)
    logits, _ = see(stored.meta, stored.arrays, photos(96, 128))
    own = their_logits(torch, network, photos(96, 128))
    expected = np.stack([own[:, np.array(stored.meta["grouping"]) == c].max(1) for c in range(29)], 1)
    assert np.abs(logits - expected).max() <= 1e-4


# --- importer -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def b0() -> Arrays:
    """Random weights of a B0 for ADE20K under Hugging Face's names."""
    shapes = shapes_of(meta_of(structure("B0"), grouping(CLASSES), list(CLASSES)))
    return {source_name(name): array for name, array in draw(shapes).items()}


def bring_in(state: Arrays, folder: Path, *more: str) -> int:
    from safetensors.numpy import save_file

    save_file({name: np.ascontiguousarray(array) for name, array in state.items()}, folder / "model.safetensors")
    out = folder / "segmenter.safetensors"
    return main(["import", "segformer", "--weights", str(folder / "model.safetensors"), "--out", str(out), *more])


def test_what_is_brought_in_says_what_it_is(b0: Arrays, tmp_path: Path) -> None:
    extra = {"decode_head.batch_norm.num_batches_tracked": np.zeros((), np.int64), "classifier.bias": np.zeros(9)}
    assert bring_in(b0 | extra, tmp_path, "--size", "256x192") == 0
    stored = checkpoint.load(tmp_path / "segmenter.safetensors")
    assert [stored.meta[key] for key in ("kind", "architecture", "variant")] == ["segmenter", "segformer", "B0"]
    assert stored.meta["model"] == structure("B0")
    assert tuple(stored.meta["classes"]) == CLASSES
    assert (stored.meta["width"], stored.meta["height"]) == (256, 192)
    assert len(stored.meta["imported"]["model.safetensors"]) == 64


def test_segmenters_use_it_like_their_own(b0: Arrays, tmp_path: Path) -> None:
    from shanshui.storage.images import to_float

    assert bring_in(b0, tmp_path, "--size", "128x96") == 0
    segmenter = load_segmenter(tmp_path / "segmenter.safetensors", CLASSES)
    pictures = np.random.default_rng(3).integers(0, 256, (2, 96, 128, 3), np.uint8)
    ids, features = segmenter.segment(pictures)
    assert ids.shape == (2, 96, 128)
    assert features.shape == (2, 256)
    model = structure("B0")
    logits, pooled = second_opinion(model, segmenter.arrays, np.stack([to_float(picture) for picture in pictures]))
    best = np.stack([logits[:, np.array(grouping(CLASSES)) == c].max(1) for c in range(29)], 1)
    assert (ids == enlarge(best, (96, 128)).argmax(1)).mean() > 0.999
    assert np.abs(features - pooled).max() <= 1e-3


def cut(state: Arrays, name: str, axis: int = 0) -> Arrays:
    return state | {name: np.delete(state[name], 0, axis)}


def without(state: Arrays, name: str) -> Arrays:
    return {key: array for key, array in state.items() if key != name}


BLOCK = "segformer.encoder.block.1.1"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda s: without(s, f"{BLOCK}.attention.self.key.bias"), f"missing {BLOCK}.attention.self.key.bias"),
        (lambda s: s | {f"{BLOCK}.gamma": np.ones(3, np.float32)}, f"unexpected {BLOCK}.gamma"),
        (lambda s: cut(s, f"{BLOCK}.mlp.dense1.weight"), f"{BLOCK}.mlp.dense1.weight has shape (255, 64)"),
        (lambda s: cut(s, f"{BLOCK}.attention.self.sr.weight", 2), "sr.weight has shape (64, 64, 3, 4)"),
        (lambda s: s | {"decode_head.classifier.bias": np.full(150, np.nan, np.float32)}, "classifier.bias"),
        (lambda s: without(s, "decode_head.classifier.weight"), "has no decode_head.classifier.weight"),
        (lambda s: cut(s, "decode_head.classifier.weight"), "149 classes"),
        (lambda s: cut(s, "segformer.encoder.patch_embeddings.3.proj.weight"), "(32, 64, 160, 255) channels"),
        (lambda s: {k: a for k, a in s.items() if not k.startswith(BLOCK)}, "(2, 1, 2, 2) blocks"),
        (lambda s: {"backbone.patch_embed1.proj.weight": np.zeros((32, 3, 7, 7), np.float32)}, "Hugging Face"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    b0: Arrays, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Callable[[Arrays], Arrays], named: str
) -> None:
    assert bring_in(change(b0), tmp_path) == 1
    said = capsys.readouterr().err
    assert named in said
    assert "model.safetensors" in said
    assert not (tmp_path / "segmenter.safetensors").exists()


def test_other_classes(b0: Arrays, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bring_in(b0, tmp_path, "--classes", "Sky,Symbol,Road") == 0
    assert "never be seen: Symbol" in capsys.readouterr().err
    groups = checkpoint.load(tmp_path / "segmenter.safetensors").meta["grouping"]
    assert [(i, group) for i, group in enumerate(groups) if group != -1] == [(2, 0), (6, 2)]
    assert bring_in(b0, tmp_path, "--classes", "Symbol,Sign") == 2
    names = ("decode_head.classifier.weight", "decode_head.classifier.bias")
    assert bring_in(b0 | {name: b0[name][:2] for name in names}, tmp_path, "--classes", "Symbol,Sign") == 0
    assert checkpoint.load(tmp_path / "segmenter.safetensors").meta["grouping"] == [0, 1]


@pytest.mark.parametrize("option", [["--size", "500x384"], ["--size", "512"], ["--classes", "sky,sky"]])
def test_wrong_usage(tmp_path: Path, option: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(["import", "segformer", "--weights", "x.bin", "--out", str(tmp_path / "s.safetensors"), *option])


# --- classes ------------------------------------------------------------------------------------------


def test_every_class_of_ade20k_goes_somewhere_and_none_of_ours_is_empty() -> None:
    groups = grouping(CLASSES)
    assert len(ADE20K) == len(set(ADE20K)) == len(groups) == 150
    assert set(groups) == set(range(29))
    assert [groups.count(c) for c in range(29)] == [1] * 28 + [122]
    assert all(CLASSES[group] in (name, "other") for name, group in zip(ADE20K, groups, strict=True))


def test_ids_of_the_namesakes() -> None:
    known = {
        "mountain": 16, "sky": 2, "water": 21, "sea": 26, "rock": 34, "tree": 4, "earth": 13, "hill": 68, "river": 60,
        "sand": 46, "land": 94, "building": 1, "grass": 9, "plant": 17, "person": 12, "boat": 76, "waterfall": 113,
        "wall": 0, "pier": 140, "path": 52, "lake": 128, "bridge": 61, "field": 29, "road": 6, "railing": 38,
        "fence": 32, "ship": 103, "house": 25,
    }  # fmt: skip
    assert {name: ADE20K.index(name) for name in CLASSES if name != "other"} == known


def test_the_best_class_decides_and_what_is_unknown_never_wins() -> None:
    groups = [2, 0, -1, 0, 2]
    own, _ = see(meta_of(SMALL, list(range(5)), list("abcde")), arrays := small_weights(), photos(64, 64))
    ours, _ = see(meta_of(SMALL, groups, ["x", "empty", "y"]), arrays, photos(64, 64))
    own[:, 2] = -np.inf
    assert np.array_equal(ours.argmax(1), np.array(groups)[own.argmax(1)])
    assert np.array_equal(ours[:, 0], np.maximum(own[:, 1], own[:, 3]))
    assert np.isfinite(ours).all()
    assert ours[:, 1].max() < own[:, [0, 1, 3, 4]].min()


def small_weights() -> Arrays:
    return draw(shapes_of(meta_of(SMALL, list(range(5)), list("abcde"))))


@pytest.mark.parametrize(
    ("size", "millions"), [("B0", 3.8), ("B1", 13.7), ("B2", 27.5), ("B3", 47.3), ("B4", 64.1), ("B5", 84.7)]
)
def test_sizes_are_those_of_the_paper(size: str, millions: float) -> None:
    """Its table of sizes, for 150 classes; running statistics are no parameters."""
    assert len(SIZES) == 6
    shapes = shapes_of(meta_of(structure(size), grouping(CLASSES), list(CLASSES)))
    count = sum(int(np.prod(shape)) for name, shape in shapes.items() if ".running_" not in name)
    assert abs(count / 1e6 - millions) < 0.1
