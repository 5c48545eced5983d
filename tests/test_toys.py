"""An installed distribution with a generator, a discriminator, a metric, a dataset and a stage, in a whole run.

Its files are the texts below, which `docs/adding.md` shows; nothing of this package is edited.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from test_plugins import python

from shanshui.config.options import BEGIN, END, STAGES
from shanshui.storage.checkpoint import read_meta
from shanshui.storage.files import read_csv

PROJECT = """
[project]
name = "toys"
version = "1.0"
dependencies = ["shanshui"]

[project.entry-points."shanshui.architectures"]
toy = "toys.networks"

[project.entry-points."shanshui.metrics"]
grey = "toys.metric"

[project.entry-points."shanshui.datasets"]
park = "toys.dataset"

[project.entry-points."shanshui.stages"]
brightness = "toys.stage"

[tool.setuptools.package-data]
toys = ["*.csv", "*.smk"]
"""

NETWORKS = '''
"""One convolution from the label map to the image, and one that scores patches."""

from typing import ClassVar, Literal

from pydantic import Field

from shanshui.architectures.base import Generator, architecture
from shanshui.architectures.patch_losses import SegmapDiscriminator
from shanshui.backend.lazy import Module, jt, nn


@architecture
class ToyGenerator(Generator):
    inputs: ClassVar[frozenset[str]] = frozenset({"edges"})  # what it can be given in addition to label maps

    name: Literal["toy"] = "toy"  # model: {generator: {name: toy}}
    kernel: int = Field(3, ge=1, le=9, description="side of the convolution, odd")

    def divisor(self):
        return 4, "generator toy takes multiples of 4"

    def build(self):  # the network, and its encoder or None
        return nn.Conv(self.num_classes + self.edges, 3, self.kernel, padding=self.kernel // 2), None

    def generate(self, G, E, conditioning, noise_source, step):
        return G(conditioning.with_edges()).tanh()  # (N, 3, H, W) in [-1, 1]


class Patches(Module):
    def __init__(self, channels, width):
        self.first, self.last = nn.Conv(channels, width, 4, stride=2), nn.Conv(width, 1, 3)

    def execute(self, segmap, *images):  # for each batch of images a list of discriminators' feature maps
        features = [self.first(jt.concat([segmap, image], 1)) for image in images]
        return [[[feature, self.last(feature)]] for feature in features]


@architecture
class ToyDiscriminator(SegmapDiscriminator):
    name: Literal["toy_patches"] = "toy_patches"

    def build(self):
        return Patches(self.channels + 3, self.base_channels)
'''

METRIC = '''
"""Grey level of the images, compared with that of the photographs."""

import numpy as np

from shanshui.metrics.estimate import Estimate
from shanshui.metrics.record import image_features, metric


@image_features("toy_grey", numbers=1)
def grey(image):  # uint8 (H, W, 3)
    return np.array([image.mean()], np.float32)


@metric(
    "toy_brightness",
    title="Toy brightness",
    features="toy_grey",
    better="lower",
    description="difference of mean grey levels",
    reference=lambda features, seed: {"mean": features.mean(axis=0)},
)
def score(features, arrays, seed):  # features (N, 1), the reference's arrays
    return Estimate(abs(float(features.mean() - arrays["mean"][0])))
'''

CLASSES = """
name,red,green,blue
land,90,140,60
water,60,90,160
"""

DATASET = '''
"""A dataset in three folders, with the table of its classes next to this module."""

from pathlib import Path

from shanshui.data.layouts import Layout, class_table, declare
from shanshui.storage.size import Size

FOLDERS = {"train_images": "photos", "train_labels": "maps", "test_labels": "test"}
TABLE = class_table(Path(__file__).with_name("park.csv"))
declare("park", Layout(folders=FOLDERS, size=Size(32, 64), load_width=72, **TABLE))
'''

STAGE = '''
"""Compute the mean brightness of the submission's images."""

from pathlib import Path

from pydantic import Field

from shanshui.config.section import Section
from shanshui.config.stages import Stage


class Brightness(Section):  # the section `brightness` of the configuration
    scale: float = Field(1.0, gt=0, description="brightness of a white image")


def add_arguments(parser):
    parser.add_argument("--settings", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)


def run(args):
    from shanshui.storage.files import read_json, write_json
    from shanshui.storage.images import read_photo

    means = {file.name: float(read_photo(file).mean()) for file in sorted(args.images.glob("*.jpg"))}
    scale = read_json(args.settings)["scale"]
    write_json(args.out, {name: scale * mean / 255 for name, mean in means.items()})


STAGE = Stage(
    after="fuse",
    settings=lambda config: config.brightness.model_dump(),
    section="brightness",
    options=Brightness,
    outputs=lambda run_paths: ["brightness.json"],
    report_as="other",
    snakefile=Path(__file__).with_name("brightness.smk"),
)
'''

RULE = """
rule brightness:
    input:
        settings="results/{run}/settings/brightness.json",
        images="results/{run}/fuse",
    output:
        "results/{run}/brightness.json",
    log:
        "results/{run}/logs/brightness.log",
    benchmark:
        "results/{run}/benchmarks/brightness.tsv"
    message:
        "brightness: of the submission's images"
    shell:
        "python -m shanshui brightness --settings {input.settings:q} --images {input.images:q} --out {output:q} "
        "2>&1 | tee -i {log:q}"
"""

CONFIG = """
landscapes: null

data: { layout: park, root: park, holdout: 4 }

model:
  generator: { name: toy, kernel: 5 }
  discriminator: { name: toy_patches, base_channels: 4 }

score: { first: 3, last: 4, metrics: [toy_brightness, sharpness], rank_by: toy_brightness }

brightness: { scale: 100 }
"""

FILES = {  # in the distribution
    "pyproject.toml": PROJECT,
    "toys/networks.py": NETWORKS,
    "toys/metric.py": METRIC,
    "toys/park.csv": CLASSES,
    "toys/dataset.py": DATASET,
    "toys/stage.py": STAGE,
    "toys/brightness.smk": RULE,
}
DOCUMENTED = {**FILES, "my.yaml": CONFIG}


def install(folder: Path) -> None:
    """Lay the distribution's files where an installer would put them."""
    for name, text in FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.lstrip("\n"))
    groups = tomllib.loads(PROJECT)["project"]["entry-points"]
    lines = [f"[{group}]\n{name} = {module}\n" for group, found in groups.items() for name, module in found.items()]
    info = folder / "toys-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(lines))


def draw_park(folder: Path) -> None:
    """Draw pairs of a photograph and its label map, land and water with some noise, and label maps for testing."""
    rng = np.random.default_rng(0)
    colours = np.array([[90, 140, 60], [60, 90, 160]])
    for name in ("photos", "maps", "test"):
        (folder / name).mkdir(parents=True)
    for index in range(18):
        label_map = (np.arange(32)[:, None] + np.zeros(64) > rng.integers(8, 24)).astype(np.uint8)
        photo = colours[label_map] + rng.integers(-20, 21, (32, 64, 1))
        Image.fromarray(label_map).save(folder / ("maps" if index < 14 else "test") / f"{index}.png")
        if index < 14:
            Image.fromarray(photo.astype(np.uint8)).save(folder / "photos" / f"{index}.png")


def snakemake(root: Path, toys: Path, folder: Path, *arguments: str) -> str:
    """Run the repository's Snakefile with the distribution installed; return what it printed."""
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(root / "Snakefile"), "--directory", str(folder),
        "--configfile", str(folder / "my.yaml"), "--cores", os.environ.get("OMP_NUM_THREADS", "all"), *arguments,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(toys)})
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return done.stdout + done.stderr


def configure(root: Path, folder: Path, **changes: object) -> None:
    """Write `my.yaml`: the sections of the tiny recipe, but for those of `CONFIG`."""
    tiny = yaml.safe_load((root / "tests" / "config" / "tiny.yaml").read_text())
    fewer = {"select": {"top": 1, "soup": 0}, "infer": {"seeds": [5]}}  # one candidate and one seed: fewer jobs
    (folder / "my.yaml").write_text(yaml.safe_dump({**tiny, **fewer, **yaml.safe_load(CONFIG), **changes}))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the installed distribution."""
    folder = tmp_path_factory.mktemp("toys")
    install(folder)
    return folder


@pytest.fixture(scope="module")
def finished(root: Path, installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder in which a run with all of them was made, from the raw pairs to the submission."""
    folder = tmp_path_factory.mktemp("run")
    draw_park(folder / "park")
    configure(root, folder)
    snakemake(root, installed, folder)
    return folder


@pytest.mark.parametrize("name", DOCUMENTED)
def test_documentation_shows_these_files(name: str, root: Path) -> None:
    kind = {"py": "python", "smk": "python", "yaml": "yaml", "toml": "toml", "csv": "text"}[name.rpartition(".")[2]]
    document = (root / "docs" / "adding.md").read_text(encoding="utf-8")
    assert f"`{name}`" in document
    assert f"```{kind}\n{DOCUMENTED[name].strip()}\n```" in document


def test_all_are_options_in_schema_and_tables(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "options.md").write_text(f"{BEGIN}\n{END}\n")
    (tmp_path / "stages.md").write_text("\n".join(STAGES))
    outputs = {"schema": "schema.json", "table": "options.md", "stages": "stages.md"}
    python(installed, "-m", "shanshui", "options", *[f"--{part}={tmp_path / name}" for part, name in outputs.items()])
    schema = json.loads((tmp_path / "schema.json").read_text())
    table, stages = ((tmp_path / name).read_text() for name in ("options.md", "stages.md"))
    parts, rows = schema["$defs"], {line.split("`")[1]: line for line in table.splitlines() if line.startswith("| `")}
    assert parts["ToyGenerator"]["properties"]["kernel"]["default"] == 3
    assert "toy" in parts["Model"]["properties"]["generator"]["anyOf"][1]["enum"]
    assert "toy_patches" in parts["Model"]["properties"]["discriminator"]["anyOf"][1]["enum"]
    assert {"toy_brightness", "fid"} <= set(parts["Score"]["properties"]["metrics"]["items"]["enum"])
    assert {"park", "competition"} <= set(parts["Data"]["properties"]["layout"]["enum"])
    assert parts["Brightness"]["properties"]["scale"]["default"] == 1.0
    assert "brightness" in schema["properties"]
    assert rows["model.generator.kernel"] == "| `model.generator.kernel` | `3` | toy: side of the convolution, odd |"
    assert "`toy_patches`" in rows["model.discriminator"]
    assert "`toy_brightness`" in rows["score.rank_by"]
    assert "`park`" in rows["data.layout"]
    assert rows["brightness.scale"] == "| `brightness.scale` | `1.0` | brightness of a white image |"
    names = [line.split("`")[1] for line in stages.splitlines() if line.startswith("| `")]
    assert names[names.index("brightness") - 1] == "fuse"


def test_option_of_another_network_is_refused(installed: Path) -> None:
    raw = {"model": {"generator": {"name": "toy", "spade_hidden": 8}, "discriminator": "toy_patches"}}
    script = f"from shanshui.config.settings import validate; validate({raw})"
    said = python(installed, "-c", script, code=1).stderr
    assert "generator toy has no option spade_hidden; it is an option of apf, spade, oasis" in said


def test_run_trains_generates_and_scores_with_them(finished: Path) -> None:
    run = finished / "results" / "tiny"
    with zipfile.ZipFile(run / "submission.zip") as archive:
        assert sorted(archive.namelist()) == [f"{index}.jpg" for index in range(14, 18)]
    model = read_meta(run / "finetune" / "epoch_004.safetensors")["model"]
    assert (model["generator"]["name"], model["generator"]["kernel"]) == ("toy", 5)
    assert model["discriminator"]["name"] == "toy_patches"
    assert [row["name"] for row in read_csv(run / "validate" / "classes.csv")] == ["land", "water"]
    images = np.stack([np.array(Image.open(file)) for file in sorted((run / "fuse").glob("*.jpg"))])
    photos = np.stack([np.array(Image.open(file)) for file in (finished / "park" / "photos").iterdir()])
    assert images.shape == (4, 32, 64, 3)
    assert images.std() > 0
    score = json.loads((run / "score" / "fused.json").read_text())["sets"]["test"]["metrics"]["toy_brightness"]
    assert score == pytest.approx(abs(images.mean() - photos.mean()), abs=1e-3)
    chosen = json.loads((run / "select" / "model.json").read_text())
    assert chosen["rank_by"] == "toy_brightness"
    assert "holdout_toy_brightness" in read_csv(run / "fid_table.csv")[0]
    means = json.loads((run / "brightness.json").read_text())
    assert means == pytest.approx({f"{i + 14}.jpg": 100 / 255 * image.mean() for i, image in enumerate(images)})


def test_report_and_status_show_metric_and_stage(installed: Path, finished: Path) -> None:
    page = (finished / "results" / "tiny" / "report.html").read_text(encoding="utf-8")
    assert "Toy brightness" in page
    said = python(installed, "-m", "shanshui", "status", str(finished / "results" / "tiny")).stdout
    assert re.search(r"^brightness +1 of 1 +done$", said, re.MULTILINE)


def test_option_of_the_stage_reruns_the_stage_and_the_report_only(root: Path, installed: Path, finished: Path) -> None:
    configure(root, finished, brightness={"scale": 7})
    said = snakemake(root, installed, finished, "--dry-run", "--quiet", "rules")
    rows = dict(re.findall(r"^(\w+)\s+(\d+)$", said, re.MULTILINE))
    assert rows == {"settings": "2", "brightness": "1", "report": "1", "all": "1", "total": "5"}
