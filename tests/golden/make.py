"""Derive the bundle of this folder from the reference outputs: `python tests/golden/make.py REFERENCES [--check]`.

REFERENCES is the folder with `golden/` (reference outputs, see README.md) and `data/`. `--check` writes nothing and
fails where the bundle is another.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import zlib
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import golden_rule as rule  # noqa: E402
from golden_files import fillings, matching, pack  # noqa: E402
from in_numpy import evaluate, features  # noqa: E402

SETTINGS = {  # of each file: what tests ask of it
    "apf_generator": ("E_keys", "G_keys_with_seg_noise", "seg_noise_draws"),
    "apf_generator_pretrain": ("G_keys_epoch_below_180",),
    "apf_discriminator": ("D_keys", "table"),
    "apf_losses": ("keys", "draws"),
    "apf_jittor_ops": (),
    "spade_generator": ("keys",),
    "spade_encoder": ("keys",),
    "spade_discriminator": ("keys",),
    "clade_generator": ("keys",),
    "icpe": (),
    "ccfpse_generator": ("keys",),
    "fpse_discriminator": ("keys",),
    "fid_inception": ("keys",),
    "features": (),
    "compression_ka": ("cases", "loss"),
    "compression_omgd": ("by_teacher", "ssim_identities", "channel_distillation"),
    "compression_select": ("generator", "groups", "shares"),
    "compression_inception_spade": ("cases",),
    "compression_prune": ("cases",),
    "checkpoints/apf_expected": (),
    "checkpoints/spade_expected": (),
    "checkpoints/ccfpse_expected": (),
}
ROWS = {"fid_inception": {"*_299": 1, "set0_images": 9}, "features": {"*": 2}}  # the first of many pictures
STEPS = {"features": {"*_grad_noise": 4}}  # pixels from one kept to the next
LEFT_OUT = {
    "fid_inception": ("set1_images", "mu*", "var_diag*"),
    "features": ("*_same*",),
    "icpe": ("reference_*",),
    "compression_ka": ("*:ka",),
    "compression_omgd": ("gradient", "gram_*", "features_*", "ssim_map_*"),
}
WHOLE = {
    "apf_generator_pretrain": ("E_out",),
    "fid_inception": ("images_*", "set*_features", "*features_*", "*_mean_*"),
    "features": ("*",),
    "compression_ka": ("*",),
    "compression_omgd": ("*",),
    "compression_select": ("activation",),
    "compression_inception_spade": ("*:x",),
}
SMALL = 3000  # bytes, compressed
SEEDS = range(100)  # of pictures made by the rule
CHECKPOINTS = {
    "apf/180_net_E.pkl": "E", "apf/180_net_G.pkl": "G", "apf/avg_180_200_net_E.pkl": "E",
    "apf_numpy/180_net_E.pkl": "E", "apf_numpy/avg_180_200_net_E.pkl": "E",
    "spade/latest_net_D.pth": "D", "spade/latest_net_E.pth": "E", "spade/latest_net_G.pth": "G",
    "ccfpse/latest_net_D.pth": "D", "ccfpse_generator/ccfpse_latest_net_G.pth": "G",
}  # fmt: skip
PERCEPTUAL = {  # layers that losses and LPIPS look at
    "vgg19": [f"relu{i}_1" for i in range(1, 6)],
    "vgg16": ["relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"],
    "alexnet": [f"relu{i}" for i in range(1, 6)],
}
MARGIN = 1e-3  # pixels whose two best classes are nearer than this are left out


def arguments_of(picture: np.ndarray) -> list[int] | None:
    """The arguments of `rule.smooth` that give a picture, if any do."""
    if picture.ndim != 4 or picture.dtype != np.float32 or picture.size < 500:
        return None
    n, channels, height, width = picture.shape
    for seed in SEEDS:
        given = [height, width, seed, n, channels]
        first = np.random.RandomState(seed).uniform(-1, 1)
        if np.float32(first) == picture[0, 0, 0, 0] and np.array_equal(rule.smooth(*given), picture):
            return given
    return None


def small(array: np.ndarray) -> bool:
    return array.dtype != np.float32 or array.ndim < 2 or len(zlib.compress(array.tobytes())) <= SMALL


def fixture(folder: Path, path: str) -> dict[str, Any]:
    """The entries of one bundled file."""
    name = Path(path).name
    arrays: dict[str, np.ndarray] = {}
    if not (folder / f"{path}.npz").is_file():
        settings = json.loads((folder / f"{path}.json").read_text())
        return pack({}, [], {}, {key: settings[key] for key in SETTINGS[path]})
    with np.load(folder / f"{path}.npz") as file:
        for key, array in file.items():
            if matching(key, LEFT_OUT.get(name, ())):
                continue
            rows = next((n for pattern, n in ROWS.get(name, {}).items() if matching(key, (pattern,))), None)
            step = next((n for pattern, n in STEPS.get(name, {}).items() if matching(key, (pattern,))), 1)
            arrays[key] = array[:rows, :, ::step, ::step] if step > 1 else array[:rows] if rows else array
    smooth = {key: given for key, array in arrays.items() if (given := arguments_of(array))}
    whole = WHOLE.get(name, ())
    sampled = [key for key, a in arrays.items() if key not in smooth and not small(a) and not matching(key, whole)]
    file = folder / f"{path}.json"
    settings = json.loads(file.read_text()) if file.is_file() else {}
    return pack(arrays, sampled, smooth, {key: settings[key] for key in SETTINGS[path]})


def checkpoints(folder: Path) -> dict[str, Any]:
    """Checkpoint files with zero instead of the rule's weights."""
    contents, notes = {}, {}
    for path, letter in CHECKPOINTS.items():
        family = re.match("[a-z]+", path)
        assert family
        keys = json.loads((folder / f"{family[0]}_expected.json").read_text())["keys"][letter]
        content = (folder / path).read_bytes()
        skeleton, places = bytearray(content), {}
        for key, array in fillings(keys, path).items():
            stored = array.tobytes()
            if len(stored) >= 64 and (place := content.find(stored)) >= 0:
                places[key] = place
                skeleton[place : place + len(stored)] = bytes(len(stored))
        contents[path] = np.frombuffer(bytes(skeleton), np.uint8)
        notes[path] = {"keys": keys, "places": places, "sha256": sha256(content).hexdigest()}
    return pack(contents, [], {}, notes)


def segmenter(folder: Path, images: np.ndarray) -> dict[str, Any]:
    """What the segmenter's published graph says of drawn landscapes; in float32, another implementation."""
    with np.load(folder / "expected.npz") as file:
        assert np.abs(evaluate(folder, file["image"][:1])[:, ::16, ::16] - file["logits_every_16"][:1]).max() < 1e-4
    logits = evaluate(folder, images)
    second, first = np.sort(logits, -1)[..., -2:].transpose(3, 0, 1, 2)
    classes = np.where(first - second > MARGIN, logits.argmax(-1), 255).astype(np.uint8)
    return pack({"classes": classes, "logits_every_16": logits[:, ::16, ::16]}, [], {}, {})


def perceptual(folder: Path) -> dict[str, Any]:
    """Features of VGG16, VGG19 and AlexNet under the rule's weights; VGG16's agree with torch's of another picture."""
    with np.load(folder / "compression_omgd.npz") as file:
        seen, stored = (file["student"] + 1) / 2, file["features_relu4_3"]
    assert np.abs(features("vgg16", seen)["relu4_3"] - stored).max() < 1e-4
    image = [64, 80, 7]
    arrays = {"image": rule.smooth(*image)}
    for net, kept in PERCEPTUAL.items():
        found = features(net, arrays["image"])
        arrays |= {f"{net}:{layer}": found[layer] for layer in kept}
    sampled = [name for name, array in arrays.items() if name != "image" and not small(array)]
    return pack(arrays, sampled, {"image": image}, {})


def derive(references: Path) -> dict[str, dict[str, Any]]:
    """The entries of every file of the bundle by its name."""
    folder = references / "golden"
    found = {Path(path).name: fixture(folder, path) for path in SETTINGS}
    found["checkpoints"] = checkpoints(folder / "checkpoints")
    found["segmenter"] = segmenter(references / "data" / "deeplab_ade20k32", found["features"]["image224"])
    found["perceptual"] = perceptual(folder)
    return found


def unlike(references: Path) -> list[str]:
    """Files of the bundle that hold anything but what `derive` gives."""
    found = derive(references)
    different = {file.name for file in HERE.glob("*.npz")} ^ {f"{name}.npz" for name in found}
    for name, entries in found.items():
        with np.load(HERE / f"{name}.npz") as stored:
            same = set(stored.files) == set(entries) and all(alike(stored[key], a) for key, a in entries.items())
        different |= set() if same else {f"{name}.npz"}
    return sorted(different)


def alike(stored: np.ndarray, derived: np.ndarray) -> bool:
    """Equal but for what BLAS rounds in the segmenter's logits."""
    atol = 1e-5 if stored.dtype == np.float32 else 0
    return stored.shape == derived.shape and bool(np.allclose(stored, derived, rtol=0, atol=atol))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("references", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    args = parser.parse_args()
    if args.check:
        if different := unlike(args.references):
            sys.exit(f"not what the reference outputs give: {', '.join(different)}; run without --check")
        return
    for name, entries in derive(args.references).items():
        np.savez_compressed(HERE / f"{name}.npz", **entries)


if __name__ == "__main__":
    main()
