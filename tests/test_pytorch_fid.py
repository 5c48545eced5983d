"""Features and FID of photographs against pytorch-fid itself, with the same weight file.

Runs where torch, torchvision and pytorch_fid can be found (benchmarks/README.md says how); pytorch-fid works in
processes of its own, unmodified, on the CPU.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import golden_rule
import numpy as np
import pytest
from golden_files import GoldenFiles
from made_sets import Pairs
from PIL import Image

from shanshui.evaluation.feature_reader import FeatureReader
from shanshui.evaluation.image_folder import list_image_files
from shanshui.evaluation.inception_features import resize_299
from shanshui.metrics.frechet import frechet_distance, statistics
from shanshui.storage.images import read_photo
from shanshui.storage.size import Size

NEEDED = ("torch", "torchvision", "pytorch_fid")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (for comparison only)"),
]
SIZES = (64, 192, 768, 2048)  # of the features of the four blocks
SAVE = """
import sys, numpy, torch
state = {key: torch.from_numpy(value) for key, value in numpy.load(sys.argv[1]).items()}
torch.save(state, sys.argv[2], _use_new_zipfile_serialization=False)
"""


def pytorch_fid(root: Path, *arguments: object) -> str:
    """Standard output of pytorch-fid with these arguments of benchmarks/offline_pytorch_fid.py."""
    command = [sys.executable, root / "benchmarks" / "offline_pytorch_fid.py", *arguments]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def weights(golden_files: GoldenFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rule's weights in torch's older format, the one of the published file."""
    folder = tmp_path_factory.mktemp("weights")
    keys = golden_files("fid_inception")[0]["keys"]
    np.savez(folder / "state.npz", **golden_rule.fill(dict(keys), gain=2**0.5))
    file = folder / "rule.pth"
    subprocess.run([sys.executable, "-c", SAVE, str(folder / "state.npz"), str(file)], check=True)
    return file


@pytest.fixture(scope="module")
def folders(pairs: Pairs, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Photographs as they are (JPEG, 480x360), one of them grey, and others as PNG of 331x270."""
    photographs = sorted((pairs("camvid") / "train" / "imgs").glob("*.jpg"))
    photographs = photographs[:: len(photographs) // 24]
    root = tmp_path_factory.mktemp("photographs")
    found = {name: root / name for name in ("jpeg", "png")}
    for folder in found.values():
        folder.mkdir()
    for index, path in enumerate(photographs[:24]):
        with Image.open(path) as photo:
            if index == 0:
                photo.convert("L").save(found["jpeg"] / path.name)
            elif index % 2 == 0:
                (found["jpeg"] / path.name).write_bytes(path.read_bytes())
            else:
                photo.resize((331, 270), Image.Resampling.BICUBIC).save(found["png"] / f"{path.stem}.png")
    return found


@pytest.fixture(scope="module")
def theirs(
    root: Path, weights: Path, folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, np.ndarray]:
    """`<folder>_<size>`: pytorch-fid's features."""
    file = tmp_path_factory.mktemp("theirs") / "features.npz"
    pytorch_fid(root, weights, "features", file, *folders.values())
    with np.load(file) as archive:
        return dict(archive)


def close(ours: np.ndarray, theirs: np.ndarray) -> None:
    """Within 1e-4 of the largest value."""
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()


@pytest.mark.parametrize("folded", [False, True], ids=["plain", "folded"])
def test_features_of_every_block(
    weights: Path, folders: dict[str, Path], theirs: dict[str, np.ndarray], folded: bool
) -> None:
    from shanshui.nn.folded_inception import FoldedInception
    from shanshui.nn.inception import Inception, jt
    from shanshui.weights.catalogue import fill_network

    network = Inception("fid")
    fill_network(network, "fid_inception", weights)
    taps = FoldedInception(network) if folded else network
    for name, folder in folders.items():
        images = np.stack([resize_299(read_photo(path)) for path in list_image_files(folder)])
        with jt.no_grad():
            maps = taps(jt.array(images))
            jt.sync(maps)
        for size, found in zip(SIZES, maps, strict=True):
            close(found.numpy().mean((2, 3)), theirs[f"{name}_{size}"])


def test_fid_of_two_folders(root: Path, weights: Path, folders: dict[str, Path], theirs: dict[str, np.ndarray]) -> None:
    said = pytorch_fid(root, weights, "fid", *folders.values(), "--device", "cpu", "--num-workers", "0")
    fid = float(said.split("FID:")[1])
    reader = FeatureReader(["inception"], Size(299, 299), 0, weights)
    ours = {name: reader.read(list_image_files(folder), name)["inception"] for name, folder in folders.items()}
    for name, features in ours.items():
        close(features, theirs[f"{name}_2048"])
    assert frechet_distance(statistics(ours["jpeg"]), ours["png"]) == pytest.approx(fid, rel=1e-4)
    assert frechet_distance(statistics(ours["jpeg"]), ours["jpeg"]) == pytest.approx(0, abs=1e-6)
