"""CAT's generator and its search, against outputs of CAT's code."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_files import GoldenFiles, close
from golden_networks import IMAGE, Golden, close_map
from rule_weights import own, write

import shanshui
from shanshui.architectures.base import Generator
from shanshui.architectures.inception_spade_generator import (
    KERNELS,
    InceptionBlock,
    InceptionGenerator,
    InceptionModulation,
)
from shanshui.architectures.narrowing import Student
from shanshui.architectures.networks import init_generator, restore_generator
from shanshui.architectures.registry import generator_of
from shanshui.backend.runtime import load_jittor
from shanshui.compression.inception_search import Scales, search
from shanshui.compression.methods import METHODS, Teacher
from shanshui.compression.pruning import cost_of
from shanshui.errors import ShanshuiError, UsageError
from shanshui.nn.channel_groups import Plan, channel_groups
from shanshui.nn.depthwise import DepthwiseConv
from shanshui.nn.resize import nearest
from shanshui.storage.size import Size

jt = load_jittor()

CLASSES = 7
SLOPES = {"nn.ReLU": 0.0, "nn.LeakyReLU": 0.01}
CASES = ("spade_full", "spade_pruned", "spade_empty", "block_shortcut", "block_shortcut_leaky", "block_identity",
         "block_pruned", "block_no_branches", "block_no_branches_identity")  # fmt: skip
SEARCHES = ("cityscapes_30G", "cityscapes_5.6G", "ours_quarter", "ours_tenth", "small_signed", "small_most")


@pytest.fixture(scope="module")
def golden(golden_files: GoldenFiles) -> Golden:
    return Golden(golden_files, CLASSES)


def our_key(key: str) -> str | None:
    return None if key.endswith("num_batches_tracked") else key


def widths(given: dict[str, Any], start: str = "") -> Plan:
    return {
        f"{kind}_{kernel}": given[f"{start}{kind}_channels"][i]
        for kind in ("res", "dw") for i, kernel in enumerate(KERNELS)
    }  # fmt: skip


def built(given: dict[str, Any]) -> Any:
    if "fin" not in given:
        return InceptionModulation(given["channels"], CLASSES, widths(given))
    plan = dict(widths(given)) | {f"spade.{name}": n for name, n in widths(given, "spade_").items()}
    return InceptionBlock(given["fin"], given["fout"], CLASSES, SLOPES[given["activation"]], plan)


@pytest.mark.parametrize("case", CASES)
def test_layers(golden: Golden, case: str) -> None:
    settings, arrays = golden("compression_inception_spade")
    given, x = settings["cases"][case], jt.array(arrays[f"{case}:x"])
    layer = golden.fill(built(given), list(given["shapes"].items()), our_key)
    segmap = nearest(golden.segmap(arrays["label"]), Size.of_maps(x))
    layer.eval()
    with jt.no_grad():
        for kind in ("res_ops", "dw_ops") if "fin" not in given else ():
            for i, branch in enumerate(getattr(layer, kind)):
                close(branch(segmap), arrays[f"{case}:{kind}.{i}"], IMAGE)
        close(layer(x, segmap), arrays[f"{case}:eval"], IMAGE)
        layer.train()
        close(layer(x, segmap), arrays[f"{case}:train"], IMAGE)


@pytest.mark.parametrize("side", KERNELS)
def test_depthwise_convolution(side: int) -> None:
    rng = np.random.default_rng(side)
    x, weight, bias = (rng.normal(size=shape).astype(np.float32) for shape in ((2, 3, 6, 5), (3, 1, side, side), 3))
    layer = DepthwiseConv(3, side)
    layer.weight.assign(jt.array(weight))
    layer.bias.assign(jt.array(bias))
    padded = np.pad(x, ((0, 0), (0, 0), (side // 2,) * 2, (side // 2,) * 2))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), (2, 3))
    given = jt.array(x)
    out = layer(given)
    close(out, (windows * weight[:, 0, None, None]).sum((4, 5)) + bias[:, None, None], 1e-5)
    to_x, to_weight = jt.grad((out * out).sum() / 2, [given, layer.weight])
    wanted = (windows * out.numpy()[..., None, None]).sum((0, 2, 3))[:, None]
    np.testing.assert_allclose(to_weight.numpy(), wanted, rtol=1e-4, atol=1e-4)
    around = np.pad(out.numpy(), ((0, 0), (0, 0), (side // 2,) * 2, (side // 2,) * 2))
    turned = np.lib.stride_tricks.sliding_window_view(around, (side, side), (2, 3))
    wanted = (turned * weight[:, 0, None, None, ::-1, ::-1]).sum((4, 5))
    np.testing.assert_allclose(to_x.numpy(), wanted, rtol=1e-4, atol=1e-4)


def test_generator(golden: Golden) -> None:
    settings, arrays = golden("compression_inception_spade")
    given = settings["cases"]["generator"]
    G = golden.fill(InceptionGenerator(CLASSES, given["ngf"]), list(given["shapes"].items()), our_key)
    segmap = golden.segmap(arrays["generator:label"])
    G.eval()
    with jt.no_grad():
        for name, found in G.trace(segmap):
            rows = given["stored"][name][0]
            close_map(found[:rows], arrays[f"generator:{name}"])
        close(G(segmap), arrays["generator:image"], IMAGE)
    G.train()
    with jt.no_grad():
        close(G(segmap), arrays["generator:train_image"], 2 * IMAGE)


# --- the search -------------------------------------------------------------------------------------------


def declared(given: dict[str, Any]) -> Generator:
    height, width = given["size"]
    data = {"classes": [str(i) for i in range(given["label_channels"])], "width": width, "height": height}
    section = {"name": "inception_spade", "base_channels": given["ngf"], "upsampling": given["upsampling"]}
    return generator_of({"data": data, "model": {"generator": section}})


def rule_scales(whole: Generator, gamma: str) -> Scales:
    def scale(key: str, length: int) -> np.ndarray:
        n = np.random.RandomState(zlib.crc32(key.encode())).standard_normal(length).astype(np.float32)
        return np.abs({"rule": np.float32(0.1) * n + np.float32(1), "half": np.abs(n), "signed": n}[gamma])

    branches = {}
    for group in channel_groups(whole.build()[0]):
        block, _, branch = group.name.rpartition(".")
        kind, _, kernel = branch.partition("_")
        key = f"{block}.{kind}_ops.{KERNELS.index(int(kernel))}.0.norm.weight"
        branches[group.name] = scale(key, group.channels)
    return Scales(scale("fc_norm.weight", 16 * whole.base_channels), branches, whole.section()["upsampling"] == "most")


@pytest.mark.parametrize("case", SEARCHES)
def test_search(golden_files: GoldenFiles, case: str) -> None:
    """With the published counts of every step; those of the whole generator and of the result are our counter's."""
    given = golden_files("compression_prune")[0]["cases"][case]
    whole, size = declared(given), Size(*given["size"])
    cost = cost_of(whole, size)
    assert (cost.parameters, cost.macs) == (given["teacher"]["parameters"], given["teacher"]["macs"])
    steps = iter(given["trace"])

    def macs(base_channels: int, plan: Plan) -> int:
        if not any(plan.values()):
            return 0  # the floor, which the published code does not look at
        step = next(steps)
        assert base_channels == step["ngf"]
        return int(step["macs"])

    found = search(rule_scales(whole, given["gamma"]), macs, given["target_macs"], given["least_ngf"])
    assert found is not None
    assert next(steps, None) is None
    assert found.threshold == pytest.approx(given["threshold"], rel=1e-6)
    assert found.base_channels == given["student"]["ngf"]
    assert [taken for _, taken in found.tried] == [step["macs"] for step in given["trace"]]
    names = {"res": "res", "dw": "dw", "sres": "spade.res", "sdw": "spade.dw"}
    assert found.plan == {
        f"{block}.{names[kind]}_{KERNELS[i]}": n
        for block, kinds in given["kept"].items() for kind, counts in kinds.items() for i, n in enumerate(counts)
    }  # fmt: skip
    student = cost_of(whole.narrowed(found.base_channels).planned(found.plan), size)
    assert (student.parameters, student.macs) == (given["student"]["parameters"], given["student"]["macs"])


def test_the_search_ends_where_the_published_one_does_not() -> None:
    equal = Scales(np.ones(64, np.float32), {"up_0.res_1": np.ones(5, np.float32)})
    assert search(equal, lambda c, plan: c + sum(plan.values()), 0.5, 1) is None
    found = search(equal, lambda c, plan: c + sum(plan.values()), 1, 1)
    assert found is not None
    assert (found.base_channels, found.plan, found.macs) == (1, {"up_0.res_1": 0}, 1)
    near = Scales(np.ones(64, np.float32), {"up_0.res_1": np.nextafter(np.ones(5, np.float32), np.float32(2))})
    found = search(near, lambda c, plan: c + sum(plan.values()), 4, 1)
    assert found is not None
    assert found.macs <= 4


# --- the method -------------------------------------------------------------------------------------------

SIZE = Size(64, 64)
SECTION: dict[str, Any] = {"name": "inception_spade", "base_channels": 8}


def teacher(section: dict[str, Any] = SECTION) -> Teacher:
    data = {"classes": ["a", "b", "c"], "width": SIZE.width, "height": SIZE.height}
    meta = {"data": data, "model": {"generator": section}, "parity": {"spectral_norm": "on"}, "heads": 0}
    generator = restore_generator(own(section, SIZE, 3), meta, "teacher")
    return Teacher(generator, SIZE, np.zeros((1, *SIZE), np.uint8))


@pytest.fixture(scope="module")
def student() -> Student:
    return METHODS["cat"].student(teacher(), 0.6)


def test_a_student_has_fresh_weights_and_at_most_its_share(student: Student) -> None:
    assert student.arrays is None
    whole = cost_of(teacher().generator.declared, SIZE).macs
    assert 0.3 < student.share <= 0.6
    assert student.cost.macs == cost_of(student.declared, SIZE).macs == round(student.share * whole)
    full = {group.name: group.channels for group in channel_groups(teacher().generator.G)}
    plan = student.declared.context.plan
    assert set(plan) == set(full)
    assert any(plan[name] < full[name] for name in full)


def test_a_file_is_built_again_from_its_plan(student: Student, tmp_path: Path) -> None:
    from shanshui.backend.modules import gather
    from shanshui.storage.checkpoint import prefixed

    network = init_generator(student.declared)
    entry = student.declared.model_entry()
    arrays = prefixed("G", gather(network.G))
    file = write(tmp_path / "w.safetensors", entry["generator"], arrays, SIZE, 3, plan=entry["plan"])  # type: ignore[arg-type]
    assert shanshui.load(file).cost(SIZE).macs == student.cost.macs
    assert shanshui.load(file).generate(np.zeros(SIZE, np.uint8)).shape == (1, 3, *SIZE)


def test_what_is_refused() -> None:
    with pytest.raises(ShanshuiError, match=r"at least 0\.\d+"):
        METHODS["cat"].check(teacher().generator.declared, 0.01, SIZE)
    with pytest.raises(UsageError, match="above 0 and below 1"):
        METHODS["cat"].check(teacher().generator.declared, 1.0, SIZE)
    with pytest.raises(ShanshuiError, match="inception_spade"):
        METHODS["cat"].check(teacher({"name": "clade", "base_channels": 4}).generator.declared, 0.5, SIZE)
