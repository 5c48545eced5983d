"""Every recipe of config/models on the real Snakefile, from drawn landscapes to a submission (`make recipes`)."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from small_models import fitting

from shanshui.config.settings import merge
from shanshui.storage import checkpoint, files

RECIPES = sorted((Path(__file__).parent.parent / "config" / "models").glob("*.yaml"))
SIDE = 64  # which every network can halve as often as it wants
SMALL = {
    "landscapes": {"height": SIDE}, "data": {"height": SIDE},
    # in so few steps pictures must come to differ by more than 1 / 255
    "parity": {"spectral_norm": "on"}, "pretrain": {"lr_g": 2e-3}, "finetune": {"lr_g": 2e-3, "lr_decay_epochs": 0},
}  # fmt: skip
SHORT = {"z_dim": 6, "style_encoder": {"base_channels": 2}}  # where a recipe has any


@pytest.mark.recipes
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipe_leads_to_a_submission(root: Path, recipe: Path, tmp_path: Path) -> None:
    tiny = yaml.safe_load((root / "tests" / "config" / "tiny.yaml").read_text(encoding="utf-8"))
    wanted = yaml.safe_load(recipe.read_text(encoding="utf-8"))["model"]
    short = {name: value for name, value in SHORT.items() if wanted.get("generator", {}).get(name)}
    tiny = merge(tiny, SMALL | {"model": {"generator": short}})
    for part in ("generator", "discriminator"):
        tiny["model"][part].pop("name")
    tiny = fitting({**tiny, "model": merge(wanted, tiny["model"])})
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(tiny), encoding="utf-8")
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(root / "Snakefile"), "--directory", str(tmp_path),
        "--configfile", str(recipe), str(tmp_path / "tiny.yaml"), "--cores", os.environ.get("OMP_NUM_THREADS", "all"),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    run = tmp_path / "results" / "tiny"
    with zipfile.ZipFile(run / "submission.zip") as archive:
        assert sorted(archive.namelist()) == sorted(
            f"{row['name']}.jpg" for row in files.read_csv(run / "validate" / "test.csv")
        )
    name = checkpoint.load(run / "finetune" / "epoch_004.safetensors").meta["model"]["generator"]["name"]
    assert name.replace("_", "-") in recipe.stem
    sizes = 2 if recipe.stem == "apf-gan" else 1
    assert len(list((run / "pretrain").glob("*.state.safetensors"))) == sizes
    assert len(list((run / "samples" / "pretrain").glob("epoch_*.png"))) == 2
