"""The kinds of cases: what is made, what is called, and what a result has to be like where there is one."""

from __future__ import annotations

import csv
import json
import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from fuzz import documents, pictures
from fuzz.pictures import SUFFIXES, Truth
from shanshui.config.settings import load_config
from shanshui.storage.files import write_json
from shanshui.storage.images import read_label_map, read_photo
from shanshui.storage.names import normal
from shanshui.storage.texts import decode_text
from shanshui.weights.catalogue import load_state

SIZE = (64, 32)
Call = Callable[[], str]  # raises what the program raises; what is wrong with the result, empty where nothing is


@dataclass(frozen=True)
class Case:
    """Inputs lie in `folder / "in"`. Either a command and a check of what it wrote, or a call."""

    arguments: list[str]
    check: Call


Kind = Callable[[Path, random.Random], Case]


def _label_maps(folder: Path, rng: random.Random, classes: int, count: int, odd: float) -> dict[Path, Truth]:
    """A folder of label maps under random names, and what they hold."""
    folder.mkdir(parents=True)
    made: dict[Path, Truth] = {}
    while len(made) < count:
        path = folder / (pictures.name(rng) + rng.choice(SUFFIXES))
        if path not in made:
            made[path] = pictures.label_map(path, rng, classes, SIZE, odd)
    return made


def _seen(paths: Iterable[Path]) -> list[Path]:
    """Those that are neither hidden nor folders, which are named as passed over."""
    return [path for path in paths if not path.name.startswith(".") and not path.is_dir()]


def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def validate(folder: Path, rng: random.Random) -> Case:
    """Pairs, test label maps and settings; half of the sets are sound but for what lies about."""
    classes, place, odd = rng.choice((2, 3, 29)), folder / "in", rng.choice((0, 0, 0.05, 0.3))
    tests = _label_maps(place / "test", rng, classes, rng.randrange(1, 4), odd)
    for part in ("imgs", "labels"):
        (place / part).mkdir()
    truths: dict[str, Truth] = {}
    for _ in range(rng.randrange(3, 8)):
        name = pictures.name(rng)
        if rng.random() < 0.95:
            pictures.photo(_free(place / "imgs", name, rng), rng, SIZE, odd)
        label = _free(place / "labels", name, rng)
        truths[str(label)] = pictures.label_map(label, rng, classes, SIZE, odd)
    if rng.random() < 0.5:
        pictures.litter(place / rng.choice(("test", "imgs", "labels")), rng)
    settings = {
        "seed": 1, "batch": rng.randrange(1, 3), "classes": [f"c{i}" for i in range(classes)], "layout": "folders",
        "label_offset": rng.choice((0, 0, 0, -1)), "ignore_label": rng.choice((None, None, 255, 0)),
        "width": 64, "height": 32, "load_width": 64, "holdout": rng.randrange(0, 3),
    }  # fmt: skip
    write_json(place / "settings.json", settings)
    more = []
    if rng.random() < 0.2:
        (place / "exclude.txt").write_bytes("p1\n風景\n".encode(rng.choice(("utf-8", "gb18030", "utf-16"))))
        more = [f"--exclude={place / 'exclude.txt'}"]

    def check() -> str:
        out = folder / "out"
        asked = len(_seen(tests))
        if len(_rows(out / "test.csv")) != asked:
            return f"{len(_rows(out / 'test.csv'))} test label maps of {asked}"
        known = {str(path): truth for path, truth in tests.items()} | truths
        for row in (row for part in ("train", "holdout", "test") for row in _rows(out / f"{part}.csv")):
            truth, found = known[row["label"]], read_label_map(row["label"])
            if truth is not None and not np.array_equal(truth, found):
                return f"{row['label']} was read as other numbers"
            if row["image"]:
                read_photo(row["image"])
        return ""

    folders = (("train-images", "imgs"), ("train-labels", "labels"), ("test-labels", "test"))
    paths = [f"--{option}={place / part}" for option, part in folders]
    return Case(["validate", *paths, *more, f"--settings={place / 'settings.json'}", f"--out={folder / 'out'}"], check)


def _free(folder: Path, name: str, rng: random.Random) -> Path:
    """A path of that stem that is not taken, as a rule."""
    while (path := folder / (name + rng.choice(SUFFIXES))).exists() or path.is_symlink():
        name += "x"
    return path


def picture(folder: Path, rng: random.Random) -> Case:
    """A single file, as a label map and as a photograph."""
    path = folder / "in" / ("x" + rng.choice(SUFFIXES))
    path.parent.mkdir()
    meant = pictures.label_map(path, rng, rng.choice((3, 29, 182)), SIZE, 0.8)

    def check() -> str:
        photo = rng.random() < 0.5
        found = read_photo(path) if photo else read_label_map(path)
        if photo:
            return "" if found.dtype == np.uint8 and found.ndim == 3 and found.shape[2] == 3 else "no photograph"
        if meant is not None and not np.array_equal(found, meant):
            return "read as other numbers"
        return "" if found.dtype in (np.uint8, np.int32) and found.ndim == 2 else "no label map"

    return Case([], check)


def configuration(folder: Path, rng: random.Random) -> Case:
    """A YAML file over the schema."""
    path = folder / "in" / "c.yaml"
    path.parent.mkdir()
    documents.configuration(path, rng)

    def check() -> str:
        shown = load_config([path]).model_dump()
        raw = path.read_bytes()
        meant = yaml.safe_load(decode_text(raw, str(path))) or {}
        for name, value in meant.items():
            inner = value.items() if isinstance(value, dict) and isinstance(shown[name], dict) else [(None, value)]
            for option, given in inner:
                got = shown[name] if option is None else shown[name]["on" if option is True else option]
                if (
                    isinstance(given, int)
                    and not isinstance(given, bool)
                    and not isinstance(got, dict)
                    and got != given
                ):
                    return f"{name}.{option}: {given!r} was taken for {got!r}"
        return ""

    return Case([], check)


def weights(folder: Path, rng: random.Random) -> Case:
    """A weight file of any kind, read as it is."""
    path = folder / "in" / f"w{rng.choice(('.pth', '.pkl', '.safetensors', '.bin'))}"
    path.parent.mkdir()
    meant = documents.weights(path, rng)

    def check() -> str:
        found = load_state(path)
        if meant is None:
            return ""
        plain = {name.removeprefix("module."): array for name, array in meant.items()}  # that of DataParallel
        if found.keys() != plain.keys():
            return f"{sorted(found)} were read instead of {sorted(plain)}"
        wrong = [n for n, a in plain.items() if not np.allclose(np.asarray(found[n], float), np.asarray(a, float))]
        return f"{wrong[0]} was read as other numbers" if wrong else ""

    return Case([], check)


def bring_in(folder: Path, rng: random.Random) -> Case:
    """Weight files through `import`; none of them is a whole network, so that all are refused."""
    place = folder / "in"
    place.mkdir()
    for part in ("g.pth", "e.pkl"):
        documents.weights(place / part, rng)
    source = rng.choice(("apf", "spade", "clade", "segformer", "ccfpse"))
    files = [f"--generator={place / 'g.pth'}"]
    if source == "apf" or (source == "spade" and rng.random() < 0.5):
        files.append(f"--encoder={place / 'e.pkl'}")
    if source == "segformer":
        files = [f"--weights={place / 'g.pth'}"]
    return Case(["import", source, *files, f"--out={folder / 'out' / 'w.safetensors'}"], lambda: "came in")


def score(folder: Path, rng: random.Random) -> Case:
    """Two folders of pictures by metrics that need no weights."""
    for part in ("real", "ours"):
        (folder / "in" / part).mkdir(parents=True)
        for i in range(rng.choice((0, 1, 2, 3))):
            path = (
                folder / "in" / part / ((f"p{i}" if rng.random() < 0.8 else pictures.name(rng)) + rng.choice(SUFFIXES))
            )
            if not path.exists() and not path.is_symlink():
                pictures.photo(path, rng, SIZE if rng.random() < 0.9 else (40, 40), 0.1)
        if rng.random() < 0.1:
            pictures.litter(folder / "in" / part, rng)
    out = folder / "out" / "score.json"

    def check() -> str:
        numbers = [value for value in _leaves(json.loads(out.read_text())) if isinstance(value, float)]
        return "" if numbers and all(map(math.isfinite, numbers)) else "no finite score"

    metrics = rng.choice(("swd,sharpness", "colour", "swd,sharpness,colour"))
    return Case(
        ["score", *(str(folder / "in" / part) for part in ("real", "ours")), "--metrics", metrics, f"--out={out}"],
        check,
    )


def _leaves(value: object) -> list[object]:
    if isinstance(value, dict | list):
        return [leaf for inner in (value.values() if isinstance(value, dict) else value) for leaf in _leaves(inner)]
    return [value]


def generate(folder: Path, rng: random.Random, network: Path) -> Case:
    """Pictures of random label maps by a tiny generator of three classes, its file now and then broken."""
    place = folder / "in"
    maps = _label_maps(place / "maps", rng, rng.choice((3, 3, 3, 5)), rng.randrange(1, 4), rng.choice((0, 0.2)))
    if rng.random() < 0.2:
        pictures.litter(place / "maps", rng)
    data = bytearray(network.read_bytes())
    if rng.random() < 0.15:
        del data[rng.randrange(len(data)) :]
    (place / "w.safetensors").write_bytes(data)

    def check() -> str:
        made = {path.stem: Image.open(path) for path in (folder / "out").iterdir() if not path.name.startswith(".")}
        if made.keys() != {normal(path.stem) for path in _seen(maps)}:
            return f"{len(made)} pictures of {len(maps)} label maps"
        return "" if all((image.mode, image.size) == ("RGB", SIZE) for image in made.values()) else "another size"

    files = [f"--weights={place / 'w.safetensors'}", f"--labels={place / 'maps'}", f"--out={folder / 'out'}"]
    return Case(["generate", *files], check)
