"""Every recipe of config/models: valid, and trained, fine-tuned, averaged and generated from at the smallest size."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from small_models import fitting

import shanshui
from shanshui.__main__ import main
from shanshui.config.schema import Config
from shanshui.config.settings import load_config, merge, stage_settings, validate
from shanshui.storage import checkpoint
from shanshui.storage.files import write_csv, write_json

RECIPES = sorted(path.stem for path in (Path(__file__).parent.parent / "config" / "models").glob("*.yaml"))
OTHERS = [recipe for recipe in RECIPES if recipe != "apf-gan"]  # which the tests of the workflow train
GROWING = ("apf-gan", "apf-gan-fpse")
USUAL = ("spade-vae",)  # in `make test`; the others' kernels take minutes to compile: `make recipes`
SIDE = 64
SMALL: dict[str, Any] = {
    "data": {"width": SIDE, "height": SIDE, "load_width": 72, "holdout": 2, "classes": ["sky", "water", "tree"]},
    "model": {
        "generator": {"base_channels": 4, "halvings": 5, "spade_hidden": 8},
        "discriminator": {"count": 2, "base_channels": 8},
    },
    "score": {"first": 2, "last": 3, "metrics": ["dct_frechet"], "rank_by": "dct_frechet"},
    "select": {"top": 1},
}  # fmt: skip
PHASE: dict[str, Any] = {
    "epochs": 1, "batch": 2, "reconstruction": 10.0, "lr_decay_epochs": 0, "perceptual": {"net": "none"}
}  # fmt: skip
SHORT = {"z_dim": 6, "style_encoder": {"base_channels": 2}}  # where a recipe has any


def small(root: Path, recipe: str) -> Config:
    """A recipe with the smallest networks, one epoch of pretraining and two of fine-tuning, over one batch each."""
    raw = yaml.safe_load((root / "config" / "models" / f"{recipe}.yaml").read_text(encoding="utf-8"))
    raw = merge(raw, SMALL | {"pretrain": PHASE, "finetune": PHASE | {"epochs": 2, "ema": 0.9}})
    generator = raw["model"]["generator"]
    generator |= {name: value for name, value in SHORT.items() if generator.get(name)}
    return validate(fitting(raw))


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe_is_valid_and_says_where_it_comes_from(root: Path, recipe: str) -> None:
    file = root / "config" / "models" / f"{recipe}.yaml"
    config = load_config([root / "config.yaml", file])
    assert config.run == recipe
    assert file.read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("small", ["small", "camvid-models"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe_goes_with_the_small_ones(root: Path, recipe: str, small: str, tmp_path: Path) -> None:
    """With what docs/models.md adds for the six halvings of OASIS's discriminator and for APF-GAN's discriminators."""
    more = tmp_path / "more.yaml"
    fewer = "model: {generator: {halvings: 5}, discriminator: {count: 3}}" if recipe in GROWING else "{}"
    more.write_text("data: {height: 128}\n" if "oasis" in recipe else fewer)
    names = ("config", f"config/models/{recipe}", f"config/{small}")
    assert load_config([*(root / f"{name}.yaml" for name in names), more]).run == small


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two prepared pairs, one of them as a sample, and two label maps to generate from."""
    folder = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    label_maps = rng.integers(0, 3, (2, 9, 9)).repeat(8, 1).repeat(8, 2).astype(np.uint8)
    photos = (label_maps[..., None] * 80 + rng.integers(0, 60, (2, 72, 72, 3))).astype(np.uint8)
    np.save(folder / "photos.npy", photos)
    np.save(folder / "label_maps.npy", label_maps)
    (folder / "labels").mkdir()
    for i, label_map in enumerate(label_maps):
        Image.fromarray(label_map[:SIDE, :SIDE]).save(folder / "labels" / f"{i}.png")
    Image.fromarray(photos[0]).save(folder / "photo.png")
    sample = {"name": "0", "image": str(folder / "photo.png"), "label": str(folder / "labels" / "0.png")}
    write_csv(folder / "samples.csv", [sample], list(sample))
    return folder


@pytest.fixture(scope="module")
def instances(pairs: Path) -> Path:
    """The same pairs with instance maps, in a manifest that names them."""
    numbers = np.zeros((2, 72, 72), np.uint16)
    numbers[:, 20:40, 30:50] = 500
    np.save(pairs / "instances.npy", numbers)
    rows = []
    for i in range(2):
        Image.fromarray(numbers[i, :SIDE, :SIDE]).save(pairs / f"instances_{i}.png")
        files = {"label": pairs / "labels" / f"{i}.png", "instance": pairs / f"instances_{i}.png"}
        rows.append({"name": str(i), "image": str(pairs / "photo.png")} | {key: str(f) for key, f in files.items()})
    write_csv(pairs / "instances.csv", rows, list(rows[0]))
    return pairs


def call(stage: str, *arguments: object) -> None:
    assert main([stage, *map(str, arguments)]) == 0


def train(config: Config, pairs: Path, out: Path, samples: str = "samples.csv", *more: object) -> tuple[Path, Path]:
    """Weights after each of the two epochs of fine-tuning."""
    for phase in ("pretrain", "finetune"):
        write_json(out / f"{phase}.json", stage_settings(config, phase))
    common = [
        "--photos", pairs / "photos.npy", "--label-maps", pairs / "label_maps.npy", "--samples", pairs / samples, *more,
        "--look", out / "look", "--snapshot-minutes", 10,
    ]  # fmt: skip
    state = out / "state.safetensors"
    call(
        "pretrain", "--settings", out / "pretrain.json", "--resolution", f"{SIDE:03d}x{SIDE:03d}", *common,
        "--resume", out / "pretrained", "--state", state, "--weights", out / "w.safetensors",
    )  # fmt: skip
    files = []
    for epoch in config.score.epochs():
        files.append(out / f"{epoch}.safetensors")
        call(
            "finetune", "--settings", out / "finetune.json", "--epoch", epoch, "--start", state, *common, "--resume",
            out / "tuned", "--average", out / "ema.safetensors", "--weights", files[-1],
        )  # fmt: skip
    return files[0], files[1]


def generate(weights: Path, pairs: Path, out: Path, *arguments: object) -> np.ndarray:
    """The two pictures (2, 3, H, W)."""
    call("generate", "--weights", weights, "--labels", pairs / "labels", "--out", out, "--format", "npy", *arguments)
    return np.stack([np.load(out / f"{i}.npy") for i in range(2)])


@pytest.mark.parametrize(
    "recipe", [pytest.param(recipe, marks=[] if recipe in USUAL else pytest.mark.recipes) for recipe in OTHERS]
)
def test_recipe_from_pretraining_to_pictures(root: Path, recipe: str, pairs: Path, tmp_path: Path) -> None:
    config = small(root, recipe)
    files = train(config, pairs, tmp_path)
    pictures = generate(files[1], pairs, tmp_path / "a")
    assert pictures.shape == (2, 3, SIDE, SIDE)
    assert np.ptp(pictures) > 0
    other = generate(files[1], pairs, tmp_path / "b", "--seed", 1)
    assert np.array_equal(other, pictures) == (
        not getattr(config.model.generator, "z_dim", 0) and config.model.generator.name != "apf"
    )

    sampled = shanshui.load(files[1])
    sample = sampled.generate(sampled.read_label_map(pairs / "labels" / "0.png"), "0", seed=config.seed)
    grid = np.asarray(Image.open(tmp_path / "look" / "samples" / "finetune" / f"epoch_{config.score.last:03d}.png"))
    np.testing.assert_array_equal(grid[SIDE + 2 : 2 * SIDE + 2, :SIDE], np.asarray(shanshui.to_pil(sample)[0]))

    if config.model.generator.has_style_encoder:
        styled = generate(files[1], pairs, tmp_path / "s", "--style", pairs / "photo.png")
        assert np.abs(styled - pictures).max() > 0
        other = Image.fromarray(255 - np.asarray(Image.open(pairs / "photo.png")))
        other.save(pairs / "other.png")
        both = ["--style", pairs / "photo.png", pairs / "other.png", "--blend"]
        assert np.array_equal(generate(files[1], pairs, tmp_path / "s", *both, 0), styled)
        ends = styled, generate(files[1], pairs, tmp_path / "s", *both, 1)
        between = generate(files[1], pairs, tmp_path / "s", *both, 0.5)
        assert all(np.abs(between - end).max() > 0 for end in ends)
        check_styles(files[1], pairs, tmp_path / "styles.png")
    else:
        refused = main(["generate", "--weights", str(files[1]), "--labels", str(pairs / "labels"), "--style", "x.png",
                        "--out", str(tmp_path / "s")])  # fmt: skip
        assert refused

    write_json(tmp_path / "merge.json", {"seed": 1, "batch": 2, "label_maps": 2})
    merged = tmp_path / "merged.safetensors"
    estimated = ["--estimate-on", pairs / "label_maps.npy", "--settings", tmp_path / "merge.json"]
    call("merge", *files, "--out", merged, *estimated)
    assert checkpoint.load(merged).arrays.keys() == checkpoint.load(files[0]).arrays.keys()
    assert generate(merged, pairs, tmp_path / "c").shape == pictures.shape
    terms = {name for phase in ("pretrain", "finetune") for name in term_names(tmp_path / "look" / phase)}
    assert ("G/kl" in terms) == config.model.generator.has_style_encoder
    assert ("D/mix" in terms) == ("G/feat" not in terms) == (config.model.discriminator.name == "oasis")
    for letter in "GE":
        before, after = (checkpoint.load(file).part(letter) for file in files)
        assert not before or any(not np.array_equal(before[name], after[name]) for name in before)


def check_styles(weights: Path, pairs: Path, sheet: Path) -> None:
    """Lines: label maps, two photographs with a step between them, a seed; columns: photographs, two label maps."""
    photos = pairs / "photo.png", pairs / "other.png"
    known = checkpoint.load(weights)
    rng = np.random.default_rng(
        0
    )  # weights that keep the features' scale: so little trained, all pictures are one grey
    arrays = {
        name: rng.normal(0, 1 / np.sqrt(array[0].size), array.shape).astype(np.float32) if array.ndim > 1 else array
        for name, array in known.arrays.items()
    }
    loud = sheet.parent / "loud.safetensors"
    checkpoint.save(loud, arrays, **{name: value for name, value in known.meta.items() if name != "shanshui"})
    common = ["styles", "--weights", loud, "--labels", pairs / "labels", "--out", sheet]
    call(*common, "--style", *photos, "--between", 1, "--seeds", 3)
    drawn = np.asarray(Image.open(sheet)).astype(int)
    assert drawn.shape == (2 * 14 + 5 * 262 - 6, 48 + 3 * 262 - 6 + 14, 3)
    cells = np.stack([[drawn[14 + 262 * i :, 48 + 262 * j :][:256, :256] for j in range(3)] for i in range(5)])
    assert [bool(np.ptp(cells[i, 0], axis=(0, 1)).any()) for i in range(5)] == [False, True, False, True, False]
    assert np.abs(cells[1, 0] + cells[3, 0] - 255).max() <= 2  # a photograph and its negative
    for i, j in itertools.combinations(range(1, 5), 2):
        assert (cells[i, 1:] != cells[j, 1:]).any(), f"lines {i} and {j} show the same style"
    call(*common, "--seeds", 3, "--columns", 1)
    assert np.asarray(Image.open(sheet)).shape == (2 * 14 + 2 * 262 - 6, 48 + 262 - 6 + 14, 3)
    assert main([str(part) for part in common]) == 2


def term_names(folder: Path) -> set[str]:
    """Names of the loss terms that were written down."""
    return {
        name
        for file in folder.rglob("stats.jsonl")
        for line in file.read_text(encoding="utf-8").splitlines()
        for name in json.loads(line)
        if "/" in name
    }


def test_edges_of_instances_from_training_to_pictures(root: Path, instances: Path, tmp_path: Path) -> None:
    """They come from the prepared maps and from the manifests, and are missed where there are none."""
    config = small(root, "clade")
    model = {**config.model.model_dump(), "edges": "instance"}
    data = {**config.data.model_dump(), "train_instances": "x", "test_instances": "y"}
    config = validate({**config.model_dump(), "model": model, "data": data})
    _, weights = train(config, instances, tmp_path, "instances.csv", "--instances", instances / "instances.npy")
    common = ["--weights", weights, "--out", tmp_path / "a", "--format", "npy"]
    assert main(["generate", "--labels", str(instances / "labels"), *map(str, common)]) == 1
    call("generate", "--labels", instances / "instances.csv", *common)
    one = np.load(tmp_path / "a" / "0.npy")
    for name in "01":
        Image.new("L", (SIDE, SIDE)).save(tmp_path / f"{name}.png")
    call("generate", "--labels", instances / "labels", "--instances", tmp_path, *common)
    assert np.abs(np.load(tmp_path / "a" / "0.npy") - one).max() > 0
