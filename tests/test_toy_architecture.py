"""A generator and a discriminator from outside the package: declared in one file, and used like those within it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from test_plugins import OUTPUTS, TEXTS, install, python

from shanshui.config.options import BEGIN, END, STAGES

ARCHITECTURES = '''"""One convolution from the label map to the image, and one that scores patches."""

from typing import ClassVar, Literal

from pydantic import Field

from shanshui.architectures.base import Generator, architecture
from shanshui.architectures.patch_losses import SegmapDiscriminator


@architecture
class ToyGenerator(Generator):
    inputs: ClassVar[frozenset[str]] = frozenset({"edges"})

    name: Literal["toy"] = "toy"
    kernel: int = Field(3, ge=1, le=9, description="side of the convolution, odd")

    def divisor(self):
        return 4, "generator toy takes multiples of 4"

    def build(self):
        import jittor as jt

        return jt.nn.Conv(self.num_classes + self.edges, 3, self.kernel, padding=self.kernel // 2), None

    def generate(self, G, E, conditioning, noise_source, step):
        return G(conditioning.with_edges()).tanh()


@architecture
class ToyDiscriminator(SegmapDiscriminator):
    name: Literal["toy_patches"] = "toy_patches"

    def build(self):
        import jittor as jt

        class Patches(jt.nn.Module):
            def __init__(self, channels, width):
                self.first, self.last = jt.nn.Conv(channels, width, 4, stride=2), jt.nn.Conv(width, 1, 3)

            def execute(self, segmap, *images):
                features = [self.first(jt.concat([segmap, image], 1)) for image in images]
                return [[[feature, self.last(feature)]] for feature in features]

        return Patches(self.channels + 3, self.base_channels)
'''
MODEL = {"generator": {"name": "toy", "kernel": 5}, "discriminator": {"name": "toy_patches", "base_channels": 4}}
PHASE = {"epochs": 1, "batch": 2, "reconstruction": 10.0, "perceptual": {"net": "none"}}
CONFIG = {
    "data": {"width": 32, "height": 16, "load_width": 36, "holdout": 2, "classes": ["sky", "water", "tree"]},
    "model": MODEL, "pretrain": PHASE, "finetune": {**PHASE, "ema": 0},
    "score": {"first": 2, "last": 2, "metrics": ["dct_frechet"], "rank_by": "dct_frechet"}, "select": {"top": 1},
}  # fmt: skip
RUN = """
import json, sys
from pathlib import Path
import numpy as np
from PIL import Image
from shanshui.__main__ import leave, main
from shanshui.config.settings import stage_settings, validate

out = Path(sys.argv[1])
config = validate(json.loads(sys.argv[2]))
rng = np.random.default_rng(0)
maps = rng.integers(0, 3, (2, 18, 36)).astype(np.uint8)
np.save(out / "label_maps.npy", maps)
np.save(out / "photos.npy", rng.integers(0, 255, (2, 18, 36, 3)).astype(np.uint8))
(out / "labels").mkdir()
Image.fromarray(maps[0, :16, :32]).save(out / "labels" / "0.png")
(out / "samples.csv").write_text("name,image,label\\n")
for phase in ("pretrain", "finetune"):
    (out / f"{phase}.json").write_text(json.dumps(stage_settings(config, phase)))
files = ["--photos", out / "photos.npy", "--label-maps", out / "label_maps.npy", "--samples", out / "samples.csv"]
files += ["--look", out / "look"]
state, weights = out / "state.safetensors", out / "w.safetensors"
calls = [
    ["pretrain", "--settings", out / "pretrain.json", "--resolution", "032x016", *files, "--resume", out / "a",
     "--state", state, "--weights", out / "p.safetensors"],
    ["finetune", "--settings", out / "finetune.json", "--epoch", 2, "--start", state, *files, "--resume", out / "b",
     "--weights", weights],
    ["generate", "--weights", weights, "--labels", out / "labels", "--out", out / "images", "--format", "npy"],
]
for call in calls:
    if code := main([str(part) for part in call]):
        leave(code)
leave(0)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plug-in."""
    folder = tmp_path_factory.mktemp("toys")
    install(folder, "toy_networks", "shanshui.architectures", ARCHITECTURES)
    return folder


def test_networks_are_options_in_schema_and_table(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(f"{BEGIN}\n{END}\n")
    (tmp_path / "stages.md").write_text("\n".join(STAGES))
    files = [f"--{option}={tmp_path / name}" for option, name in OUTPUTS.items()]
    python(installed, "-m", "shanshui", "options", *files)
    schema = json.loads((tmp_path / "schema.json").read_text())
    table = (tmp_path / TEXTS[0]).read_text()
    assert schema["$defs"]["ToyGenerator"]["properties"]["kernel"]["default"] == 3
    assert "toy" in schema["$defs"]["Model"]["properties"]["generator"]["anyOf"][1]["enum"]
    assert "| `model.generator.kernel` | `3` | toy: side of the convolution, odd |" in table
    assert "`toy_patches`" in next(line for line in table.splitlines() if line.startswith("| `model.discriminator` |"))


def test_option_of_another_network_is_refused(installed: Path) -> None:
    raw = {"model": {"generator": {"name": "toy", "spade_hidden": 8}, "discriminator": "toy_patches"}}
    script = f"from shanshui.config.settings import validate; validate({raw})"
    said = python(installed, "-c", script, code=1).stderr
    assert "generator toy has no option spade_hidden; it is an option of apf, spade, oasis" in said


def test_networks_train_and_generate(installed: Path, tmp_path: Path) -> None:
    python(installed, "-c", RUN, str(tmp_path), json.dumps(CONFIG))
    image = np.load(tmp_path / "images" / "0.npy")
    assert image.shape == (3, 16, 32)
    assert image.std() > 0
    header = (tmp_path / "w.safetensors").read_bytes()[:20000].decode("latin-1")
    assert '\\"name\\": \\"toy\\"' in header or '\\"name\\":\\"toy\\"' in header
