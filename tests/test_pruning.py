"""Pruned generators: which channels go, what stays as it was, and what a weights file says of it."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import golden_rule
import numpy as np
import pytest
from golden_files import GoldenFiles
from rule_weights import PARITY, own, write

import shanshui
from shanshui.__main__ import main
from shanshui.architectures.generator_networks import BuiltGenerator
from shanshui.architectures.narrowing import Student
from shanshui.architectures.networks import restore_generator
from shanshui.architectures.registry import GENERATORS, generator_of
from shanshui.backend.modules import restore
from shanshui.backend.runtime import load_jittor
from shanshui.compression.importance import importances, measure, relative
from shanshui.compression.pruning import check_prunable, cost_of, cut, prune, weights_of
from shanshui.compression.selection import Order, select
from shanshui.errors import ShanshuiError, UsageError
from shanshui.nn.channel_groups import channel_groups
from shanshui.nn.spade import SPADE
from shanshui.storage import checkpoint
from shanshui.storage.size import Size

jt = load_jittor()

SIZE, CLASSES = Size(64, 64), 3
SMALL: dict[str, dict[str, Any]] = {
    "apf": {"base_channels": 4, "spade_hidden": 12},
    "spade": {"base_channels": 4, "spade_hidden": 12, "z_dim": 4},
    "clade": {"base_channels": 4},
    "clade_icpe": {"base_channels": 4},
    "oasis": {"base_channels": 4, "spade_hidden": 12, "z_dim": 4},
    "pix2pixhd": {"base_channels": 2},
    "inception_spade": {"base_channels": 4},
}
EDGES = ("clade",)


def meta(name: str, **more: Any) -> dict[str, Any]:
    edges = {"edges": "label"} if name in EDGES else {}
    data = {"classes": ["a", "b", "c"], "width": SIZE.width, "height": SIZE.height}
    model = {"generator": {"name": name, **SMALL.get(name, {})}, **edges, **more}
    return {"data": data, "model": model, "parity": PARITY, "heads": 0, "seg_noise": name == "apf"}


def arrays_of(name: str) -> checkpoint.Arrays:
    edges = {"edges": "label"} if name in EDGES else {}
    return own({"name": name, **SMALL[name]}, SIZE, CLASSES, seg_noise=name == "apf", **edges)


def teacher(name: str, arrays: checkpoint.Arrays | None = None) -> BuiltGenerator:
    return restore_generator(arrays or arrays_of(name), meta(name), "teacher")


def teacher_of(file: Path) -> BuiltGenerator:
    found = checkpoint.load(file)
    return restore_generator(found.arrays, found.meta, "file")


def label_maps(count: int = 4) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, CLASSES, (count, 8, 8)).astype(np.uint8).repeat(8, 1).repeat(8, 2)


def image(generator: BuiltGenerator) -> np.ndarray:
    from shanshui.architectures.noise_source import seeded_noise

    with jt.no_grad():
        return np.array(generator.generate(generator.condition(label_maps()[:2]), seeded_noise(3)(["a", "b"])).numpy())


def built(student: Student) -> BuiltGenerator:
    assert student.arrays is not None
    found = BuiltGenerator(student.declared, *student.declared.build())
    for letter, network in found.networks().items():
        start = f"{letter}."
        restore(network, {n[2:]: a for n, a in student.arrays.items() if n.startswith(start)}, "student")
        network.eval()
    return found


# --- importance and selection, against stored numbers -----------------------------------------------------


def test_importance_of_hidden_and_middle_channels(golden_files: GoldenFiles) -> None:
    _, arrays = golden_files("compression_select")
    layer = SPADE(6, 29, 10)
    shapes = {f"mlp_{n}.{w}": tuple(getattr(getattr(layer, f"mlp_{n}"), w).shape) for n in ("shared", "gamma", "beta")
              for w in ("weight", "bias")}  # fmt: skip
    for name, value in golden_rule.fill(shapes).items():
        module, _, what = name.partition(".")
        getattr(getattr(layer, module), what).assign(jt.array(value))
    segmap = jt.array(golden_rule.onehot(arrays["label"], 29))
    group = layer.hidden_group("norm_0")
    hidden = group.activations(None, segmap).numpy().astype(np.float64)
    weights = [layer.mlp_gamma.weight.numpy(), layer.mlp_beta.weight.numpy()]
    found = importances((hidden**2).mean((0, 2, 3)), weights)
    np.testing.assert_allclose(found, arrays["hidden_importance"], rtol=1e-5)
    squares = (arrays["activation"].astype(np.float64) ** 2).mean((0, 2, 3))
    found = importances(squares, [golden_rule.value("conv_1.weight", (9, 7, 3, 3))])
    np.testing.assert_allclose(found, arrays["middle_importance"], rtol=1e-5)


@pytest.mark.parametrize("share", ["0.5", "0.25", "0.1"])
def test_selection(golden_files: GoldenFiles, share: str) -> None:
    settings, _ = golden_files("compression_select")
    wanted, given = settings["shares"][share], settings["generator"]
    width, height = given["size"]
    section = {"name": "apf", "base_channels": given["base_channels"], "spade_hidden": given["spade_hidden"]}
    whole = generator_of({
        "data": {"classes": [str(i) for i in range(given["classes"])], "width": width, "height": height},
        "model": {"generator": section}, "parity": PARITY, "heads": 0, "seg_noise": True,
    })  # fmt: skip
    size = Size(height, width)
    scores = {
        name: relative(np.abs(np.random.RandomState(zlib.crc32(name.encode())).standard_normal(n)))
        for name, n in settings["groups"].items()
    }
    assert {g.name: g.channels for g in channel_groups(whole.build()[0])} == settings["groups"]
    assert list(settings["groups"]) == [g.name for g in channel_groups(whole.build()[0])]
    cost = cost_of(whole, size)
    assert (cost.parameters, cost.macs) == (given["parameters"], given["macs"])
    found = select(Order(scores), lambda plan: cost_of(whole.planned(plan), size).macs, float(share) * cost.macs)
    assert found is not None
    assert (found.removed, found.macs, found.plan()) == (wanted["removed"], wanted["macs"], wanted["kept"])
    for name, channels in wanted["kept_channels"].items():
        assert found.kept[name].tolist() == channels, name
    assert cost_of(whole.planned(found.plan()), size).parameters == wanted["parameters"]


def test_ties_go_by_group_and_channel_and_every_group_keeps_four() -> None:
    order = Order({"b": np.zeros(6), "a": np.array([0.0, 1.0, 0.0, 1.0, 1.0, 1.0]), "c": np.zeros(3)})
    assert order.removable == [("b", 0), ("b", 1), ("a", 0), ("a", 2)]
    assert {name: kept.tolist() for name, kept in order.kept(3).items()} == {
        "b": [2, 3, 4, 5], "a": [1, 2, 3, 4, 5], "c": [0, 1, 2],
    }  # fmt: skip
    for target, removed in ((15, 0), (14, 1), (11, 4)):
        found = select(order, lambda plan: sum(plan.values()), target)
        assert found is not None
        assert found.removed == removed
    assert select(order, lambda plan: sum(plan.values()), 10.9) is None


def test_channels_without_any_importance_compare_as_zeros() -> None:
    assert relative(np.zeros(3)).tolist() == [0, 0, 0]
    assert relative(np.array([3.0, 4.0])) == pytest.approx(np.array([3.0, 4.0]) / np.sqrt(12.5))


# --- generators -------------------------------------------------------------------------------------------


def test_every_generator_can_be_pruned_or_says_that_it_cannot() -> None:
    own_package = {name for name, kind in GENERATORS.items() if kind.__module__.startswith("shanshui.")}
    assert own_package - {"ccfpse"} == set(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_the_whole_share_is_the_teacher_bit_for_bit(name: str) -> None:
    whole = teacher(name)
    student = prune(whole, 1.0, SIZE, label_maps())
    assert student.declared.model_entry() == whole.declared.model_entry()
    np.testing.assert_array_equal(image(built(student)), image(whole))


@pytest.mark.parametrize("name", SMALL)
def test_channels_that_nothing_reads_are_removed_without_a_trace(name: str) -> None:
    """Where spectral norm divides by another number afterwards, too."""
    arrays, rng = arrays_of(name), np.random.default_rng(1)
    groups = channel_groups(teacher(name).G)
    kept = {}
    for group in groups:
        stays = np.sort(rng.permutation(group.channels)[: max(group.channels * 2 // 3, 1)])
        gone = np.setdiff1d(np.arange(group.channels), stays)
        for reader in group.consumers:
            arrays[f"G.{reader}"][:, gone] = 0
        kept[group.name] = stays
    whole = teacher(name, arrays)
    G = cut({n.removeprefix("G."): a for n, a in converged(arrays).items() if n.startswith("G.")}, groups, kept)
    whole = teacher(name, converged(arrays))
    declared = whole.declared.planned({name: len(channels) for name, channels in kept.items()})
    small = BuiltGenerator(declared, declared.build()[0], whole.E)
    restore(small.G, G, "pruned")
    small.G.eval()
    assert sum(a.size for a in G.values()) < sum(a.size for n, a in arrays.items() if n.startswith("G."))
    np.testing.assert_allclose(image(small), image(whole), atol=1e-5)


def converged(arrays: checkpoint.Arrays) -> checkpoint.Arrays:
    from shanshui.nn.singular_vectors import refresh_singular_vectors

    return refresh_singular_vectors(arrays, 2000)


@pytest.mark.parametrize("name", SMALL)
def test_the_least_important_channels_go_and_a_file_says_how_many_stay(name: str, tmp_path: Path) -> None:
    whole, before = teacher(name), weights_of(teacher(name))
    student = prune(whole, 0.8, SIZE, label_maps(), seed=2)
    assert student.arrays is not None
    assert student.share <= 0.8
    assert student.cost.macs == cost_of(student.declared, SIZE).macs < cost_of(whole.declared, SIZE).macs
    for array, value in weights_of(whole).items():
        np.testing.assert_array_equal(value, before[array], err_msg="the teacher stays as it was")
    entry = student.declared.model_entry()
    file = tmp_path / "w.safetensors"
    more = {k: v for k, v in meta(name).items() if k not in ("data", "model")}
    edges = {"edges": "label"} if name in EDGES else {}
    write(file, entry["generator"], student.arrays, SIZE, CLASSES, plan=entry["plan"], **edges, **more)  # type: ignore[arg-type]
    plan = checkpoint.read_meta(file)["model"]["plan"]
    widths = {g.name: g.channels for g in channel_groups(teacher_of(file).G)}
    assert plan == widths
    made = shanshui.load(file).generate(label_maps()[:1], "a", seed=3)
    np.testing.assert_allclose(made, image(built(student))[:1], atol=1e-4)
    gone, stay = [], []
    for group, score in measure(whole, label_maps(), 2).items():
        ascending = np.sort(score)
        gone += ascending[: len(score) - plan[group]].tolist()
        stay += ascending[len(score) - plan[group] : max(len(score) - 4, 0)].tolist()
    assert gone
    assert max(gone) <= min(stay, default=np.inf)
    assert main(["export", "onnx", "--weights", str(file), "--out", str(tmp_path / "w.onnx")]) == 0


def test_what_is_refused() -> None:
    whole = teacher("clade")
    with pytest.raises(ShanshuiError, match=r"at least 0\.\d+: with the fewest channels"):
        prune(whole, 0.01, SIZE, label_maps())
    for share in (0.0, 1.01, -1.0):
        with pytest.raises(UsageError, match="at most 1"):
            prune(whole, share, SIZE, label_maps())


def test_a_generator_without_groups_of_channels_is_refused() -> None:
    with pytest.raises(ShanshuiError, match="ccfpse declares no channels that can be removed"):
        check_prunable(generator_of(meta("ccfpse")), 0.5, SIZE)


@pytest.mark.parametrize(("plan", "said"), [
    ({"up_1.middle": -1}, "model.plan"),
    ({"up_1.middle": "many"}, "model.plan"),
    ([1], "model.plan"),
    ({"up_9.middle": 3}, "up_9.middle"),
    ({"up_1.middle": 3}, "does not fit"),
])  # fmt: skip
def test_a_file_whose_plan_is_wrong_is_refused(plan: Any, said: str, tmp_path: Path) -> None:
    section = {"name": "spade", **SMALL["spade"]}
    file = write(tmp_path / "w.safetensors", section, arrays_of("spade"), SIZE, CLASSES, plan=plan)
    with pytest.raises(ShanshuiError, match=said):
        shanshui.load(file)


def test_a_pruned_generator_is_narrowed_from_its_full_widths() -> None:
    whole = teacher("spade").declared
    pruned = whole.planned({"up_1.middle": 3})
    assert pruned.narrowed(2) == whole.narrowed(2)
    assert pruned.narrowed(2).model_entry() == whole.narrowed(2).model_entry()
    assert pruned.minimal().context.plan == {}
