"""Plug-ins: what an installed module declares is known to every process; `test_toys.py` runs the pipeline with some."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SOURCE = Path(__file__).resolve().parent.parent / "src"
METRIC = '''"""Brightness beside that of the photographs."""

import numpy as np

from shanshui.metrics.estimate import Estimate
from shanshui.metrics.record import metric, image_features


@image_features("toy_grey", numbers=1)
def grey(photo):
    return np.array([photo.mean()], np.float32)


@metric(
    "toy_brightness",
    title="Toy brightness",
    features="toy_grey",
    better="lower",
    description="difference of mean grey levels",
    reference=lambda features, seed: {"mean": features.mean(axis=0)},
)
def score(features, arrays, seed):
    return Estimate(abs(float(features.mean() - arrays["mean"][0])))
'''

DATASET = '''"""A dataset in two folders, with a table of its classes beside the module."""

from pathlib import Path

from shanshui.data.layouts import Layout, class_table, declare
from shanshui.storage.size import Size

FOLDERS = {"train_images": "photos", "train_labels": "maps", "test_labels": "maps"}
TABLE = class_table(Path(__file__).with_name("toy.csv"))
declare("toy-set", Layout(folders=FOLDERS, size=Size(64, 64), load_width=64, **TABLE))
'''

STAGE_MODULE = '''"""Say how strong it is."""

from pathlib import Path

from pydantic import Field

from shanshui.config.section import Section
from shanshui.config.stages import Stage


class Toy(Section):
    strength: int = Field(3, ge=1, description="how strong it is")


def add_arguments(parser):
    parser.add_argument("--say", required=True)


def run(args):
    print(args.say)


STAGE = Stage(
    after="fuse",
    settings=lambda config: config.toy.model_dump(),
    section="toy",
    options=Toy,
    outputs=lambda flow: ["toy.json"],
    rules={"toy_again": "toy"},
    device=True,
    removable=("toy/*.bin",),
    report_as="scoring",
)
'''


def install(folder: Path, name: str, group: str, text: str) -> None:
    """Lay a module with its entry point where an installer would put it."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(text)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {name}\n")


def python(folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run Python with the plug-ins of `folder` installed."""
    path = os.pathsep.join([str(folder), str(SOURCE)])
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of plug-ins."""
    folder = tmp_path_factory.mktemp("plugins")
    install(folder, "toy_metric", "shanshui.metrics", METRIC)
    install(folder, "toy_dataset", "shanshui.datasets", DATASET)
    install(folder, "toy", "shanshui.stages", STAGE_MODULE)
    (folder / "toy.csv").write_text("name,red,green,blue\nland,1,2,3\nwater,4,5,6\n")
    return folder


def test_dataset_gives_folders_classes_size_and_colours(installed: Path) -> None:
    script = (
        "import json; from shanshui.config.settings import validate; from shanshui.data.palette import class_palette\n"
    )
    script += "data = validate({'data': {'layout': 'toy-set', 'root': 'D', 'load_width': 572, 'width': 512}}).data\n"
    script += "print(json.dumps([data.model_dump(), class_palette(data.classes).tolist()]))"
    data, colours = json.loads(python(installed, "-c", script).stdout)
    assert (data["train_images"], data["test_labels"], data["classes"]) == ("D/photos", "D/maps", ["land", "water"])
    assert (data["height"], data["width"]) == (64, 512)  # the layout's, and what the user says
    assert colours == [[1, 2, 3], [4, 5, 6]]


def test_stage_has_settings_code_a_command_and_a_place_in_every_view(installed: Path) -> None:
    script = "import json; from shanshui.config.settings import validate, stage_settings\n"
    script += "from shanshui.config.stages import on_device, with_settings\n"
    script += "from shanshui.report.timing import kinds; from shanshui.pipeline.retention import removable\n"
    script += "from shanshui.pipeline.code_dependencies import Sources\n"
    script += "config = validate({'toy': {'strength': 5}}); code = Sources().stage('toy')\n"
    script += "print(json.dumps([stage_settings(config, 'toy'), 'toy' in with_settings(), kinds(), removable(),"
    script += " sorted(on_device()), sorted(code)]))"
    settings, listed, kinds, removable, device, code = json.loads(python(installed, "-c", script).stdout)
    assert (settings, listed, code) == ({"strength": 5}, True, ["plug-in toy"])
    assert kinds["toy"] == kinds["toy_again"] == "scoring"
    assert "toy/*.bin" in removable
    assert {"toy", "toy_again"} <= set(device)
    assert python(installed, "-m", "shanshui", "toy", "--say", "hello").stdout == "hello\n"


def test_section_of_a_plugin_is_no_choice_among_the_options_of_networks(installed: Path, root: Path) -> None:
    """`config.yaml` spells out the defaults of all networks; it does so still where a section is added."""
    files = [str(root / "config.yaml"), str(root / "config" / "models" / "spade.yaml")]
    script = f"from shanshui.config.settings import load_config; print(load_config({files}).model.generator.name)"
    assert python(installed, "-c", script).stdout == "spade\n"


def test_stage_after_one_that_is_not_there_is_refused(tmp_path: Path) -> None:
    install(tmp_path / "lost", "toy", "shanshui.stages", STAGE_MODULE.replace('after="fuse"', 'after="fuze"'))
    script = "from shanshui.config.stages import stages; stages()"
    assert "toy stands after 'fuze'" in python(tmp_path / "lost", "-c", script, code=1).stderr


def test_metric_is_scored(installed: Path, tmp_path: Path) -> None:
    for folder, grey in (("real", 100), ("fake", 130)):
        (tmp_path / folder).mkdir()
        for index in range(3):
            Image.fromarray(np.full((16, 16, 3), grey + index, np.uint8)).save(tmp_path / folder / f"{index}.png")
    names = [str(tmp_path / "real"), str(tmp_path / "fake"), "--out", str(tmp_path / "score.json")]
    python(installed, "-m", "shanshui", "score", *names, "--metrics", "toy_brightness")
    found = json.loads((tmp_path / "score.json").read_text())
    assert found["sets"]["pictures"]["metrics"] == {"toy_brightness": 30.0}
    assert found["features"] == {"toy_brightness": "difference of mean grey levels"}


def test_code_of_a_metric_counts_where_scores_are_computed(installed: Path, tmp_path: Path) -> None:
    script = "import json; from shanshui.pipeline.code_dependencies import Sources; s = Sources()\n"
    script += "print(json.dumps({name: s.stage(name) for name in ('reference', 'score', 'finetune', 'table')}))"
    first = json.loads(python(installed, "-c", script).stdout)
    install(tmp_path / "changed", "toy_metric", "shanshui.metrics", METRIC.replace("abs(", "2 * abs("))
    second = json.loads(python(tmp_path / "changed", "-c", script).stdout)
    assert {name for name in first if first[name] != second[name]} == {"reference", "score"}


def test_plugin_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    install(tmp_path / "broken", "broken", "shanshui.metrics", "import nothing_of_this_name\n")
    said = python(tmp_path / "broken", "-m", "shanshui", "select", "--help", code=1).stderr
    assert "Traceback" not in said
    assert "the plug-in broken (broken) cannot be imported: ModuleNotFoundError" in said


def test_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    install(tmp_path / "again", "again", "shanshui.metrics", METRIC.replace('"toy_brightness"', '"fid"'))
    said = python(tmp_path / "again", "-m", "shanshui", "select", "--help", code=1).stderr
    assert "two declarations of the metric fid" in said
