"""Milliseconds a picture of Inception features, ours and pytorch-fid's on torch, in one run.

    python benchmarks/inception.py [--pictures DIR] [--count 64] [--batch 16] [--threads 2] [--steps 3] [--rounds 2]

    network   the network alone, on pictures of 299x299 in memory, both at --batch
    files     from files to features, each with its own way of reading (ours: --batch does not matter;
              pytorch-fid: its batch of 50 and as many loading processes as threads)

Both take the same made-up weights and the same pictures (drawn landscapes of 512x384 without --pictures, which
must be of one size), each in processes of its own on the same --threads cores, taking turns for --rounds. The
fastest of all --steps counts.
pytorch-fid and torchvision are needed beside torch: README.md here says how to install them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from shanshui.storage.size import Size

FORMS = ("ours", "pytorch-fid")
THEIR_BATCH = 50  # pytorch-fid's default
WEIGHTS, FEATURES = "weights.safetensors", "features.npy"


def command_line() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", metavar="DIR", type=Path, help="folder of pictures of one size")
    parser.add_argument("--count", type=int, default=64, help="how many of them")
    parser.add_argument("--batch", type=int, default=16, help="pictures at a time of the network alone")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3, help="timed repetitions, of which the fastest counts")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each, with fresh processes")
    parser.add_argument("--child", nargs=2, metavar=("FORM", "DIR"), help=argparse.SUPPRESS)
    return parser.parse_args()


def draw_pictures(folder: Path, count: int) -> Path:
    """Drawn landscapes as JPEG files."""
    from shanshui.landscapes.scene import draw_landscape

    folder.mkdir()
    for seed in range(count):
        Image.fromarray(draw_landscape(seed, Size(384, 512))[0]).save(folder / f"{seed:04}.jpg", quality=95)
    return folder


def fastest(call: Callable[[], np.ndarray], steps: int) -> tuple[float, np.ndarray]:
    """(seconds, value) of the fastest call but the first, which compiles."""
    value, times = call(), []
    for _ in range(steps):
        start = time.perf_counter()
        value = call()
        times.append(time.perf_counter() - start)
    return min(times), value


def in_batches(network: Callable[[np.ndarray], np.ndarray], photos: np.ndarray, batch: int) -> np.ndarray:
    return np.concatenate([network(photos[i : i + batch]) for i in range(0, len(photos), batch)])


def make_weights(path: Path) -> None:
    """Random weights under which activations neither fade nor grow."""
    from safetensors.numpy import save_file

    from shanshui.nn.inception import Inception

    rng = np.random.default_rng(0)
    state = {key: value.numpy() for key, value in Inception("fid").state_dict().items()}
    for key, value in state.items():
        if value.ndim == 4:
            state[key] = (rng.standard_normal(value.shape) * np.sqrt(2 / value[0].size)).astype(np.float32)
    save_file(state, path)


def ours(files: list[Path], args: argparse.Namespace, folder: Path) -> tuple[float, float]:
    """(seconds of the network, seconds from files)."""
    from shanshui.evaluation.feature_reader import FeatureReader
    from shanshui.evaluation.inception_features import SIDE, InceptionFeatures, resize_299
    from shanshui.storage.images import read_photo

    make_weights(folder / WEIGHTS)
    network = InceptionFeatures(folder / WEIGHTS)
    photos = np.stack([resize_299(read_photo(file)) for file in files])
    alone, _ = fastest(lambda: in_batches(network, photos, args.batch), args.steps)
    reader = FeatureReader(["inception"], Size(SIDE, SIDE), 0, folder / WEIGHTS)
    whole, features = fastest(lambda: reader.read(files, "ours")["inception"], args.steps)
    np.save(folder / FEATURES, features)
    return alone, whole


def theirs(files: list[Path], args: argparse.Namespace, folder: Path) -> tuple[float, float, float]:
    """(seconds of the network, seconds from files, largest difference from our features by the largest of them)."""
    import torch
    from offline_pytorch_fid import use_weights
    from safetensors.numpy import load_file

    from shanshui.evaluation.inception_features import resize_299
    from shanshui.storage.images import read_photo

    torch.set_num_threads(args.threads)
    state = {key: torch.from_numpy(value) for key, value in load_file(folder / WEIGHTS).items()}
    counts = {key.replace("running_mean", "num_batches_tracked"): torch.tensor(0) for key in state if "_mean" in key}
    unused = {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    use_weights(lambda: state | counts | unused)
    from pytorch_fid.fid_score import get_activations
    from pytorch_fid.inception import InceptionV3

    plain = InceptionV3([3], resize_input=False, normalize_input=False).eval()
    photos = np.stack([resize_299(read_photo(file)) for file in files])

    def network(batch: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            mean: np.ndarray = plain(torch.from_numpy(batch))[0].numpy()
        return mean.reshape(len(batch), -1)

    alone, _ = fastest(lambda: in_batches(network, photos, args.batch), args.steps)
    model = InceptionV3([3])
    whole, features = fastest(lambda: get_activations(files, model, THEIR_BATCH, 2048, "cpu", args.threads), args.steps)
    ours = np.load(folder / FEATURES)
    return alone, whole, float(np.abs(features - ours).max() / np.abs(ours).max())


def run_child(form: str, args: argparse.Namespace) -> list[float]:
    """What `form` answers from a process of its own."""
    command = [sys.executable, __file__, "--child", form, args.folder, "--pictures", str(args.pictures)]
    for name in ("count", "batch", "threads", "steps"):
        command += [f"--{name}", str(getattr(args, name))]
    environment = os.environ | {"OMP_NUM_THREADS": str(args.threads)}
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    answer: list[float] = json.loads(said.stdout.splitlines()[-1])
    return answer


def main() -> None:
    """Compare both, or be one of them."""
    args = command_line()
    if args.child:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])
        form, folder = args.child
        files = sorted(args.pictures.iterdir())[: args.count]
        measure: Any = ours if form == "ours" else theirs
        print(json.dumps(measure(files, args, Path(folder))), flush=True)
        return
    with tempfile.TemporaryDirectory() as args.folder:
        args.pictures = args.pictures or draw_pictures(Path(args.folder) / "pictures", args.count)
        files = sorted(args.pictures.iterdir())[: args.count]
        from shanshui.storage.images import photo_size

        size = photo_size(files[0])
        rounds = [{form: run_child(form, args) for form in FORMS} for _ in range(args.rounds)]
    found = {form: np.min([answers[form] for answers in rounds], axis=0) for form in FORMS}
    apart = max(answers["pytorch-fid"][2] for answers in rounds)
    print(f"Inception features of {len(files)} pictures of {size}, {args.threads} thread(s), batch {args.batch}")
    print(f"{'form':12} {'network ms':>11} {'x as long':>9} {'files ms':>11} {'x as long':>9}")
    for form, (alone, whole, *_) in found.items():
        times = [(1000 * t / len(files), t / o) for t, o in zip((alone, whole), found["ours"], strict=False)]
        print(f"{form:12} " + " ".join(f"{ms:11.1f} {ratio:9.2f}" for ms, ratio in times))
    print(f"largest difference of the features by the largest of them: {apart:.1e}")


if __name__ == "__main__":
    main()
