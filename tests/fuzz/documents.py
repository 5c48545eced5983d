"""Random YAML over the schema, random lists, random weight files."""

from __future__ import annotations

import json
import pickle
import random
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel
from safetensors.numpy import save_file

from shanshui.config.schema import Config

Arrays = dict[str, np.ndarray]
WORDS = (
    "0", "1", "-1", "2", "64", "512", "012", "0x10", "1_000", "1e-4", "1e3", ".5", "-.inf", ".nan", "1:30",
    "2022-11-28",
    "yes", "no", "on", "off", "true", "~", "null", "", "None", "none", "auto", "winner", "test", "a b", "'x'", '"y"',
    "[1, 2]", "[]", "{}", "[a, a]", "~/x", "$HOME/x", "$GONE/x", "*a", "&a 1", "!!int x", "!!python/object:os.system x",
    "|", "> a", "%", "@", "999999999999", "folders", "ade20k", "spade", "oasis", "hinge", "fid", "[fid, swd]", "{run}",
    "風景", "\t", "- a", "a: b", "[a",
)  # fmt: skip
ARRAYS = (
    "head_0.conv_0.weight", "head_0.norm_0.mlp_shared.weight", "out_conv_img.weight", "fc.weight", "fc.bias", "x",
    "conv_img.bias", "up_0.conv_0.weight_orig", "segformer.encoder.block.0.0.weight", "decode_head.classifier.weight",
)  # fmt: skip


def _options(section: type[BaseModel], rng: random.Random, odd: float, depth: int = 0) -> list[str]:
    """Lines of a section: options with their defaults, a share of `odd` with anything."""
    lines = []
    for option, field in section.model_fields.items():
        if rng.random() > (0.25 if depth else 0.4):
            continue
        inner = next((k for k in (field.annotation,) if isinstance(k, type) and issubclass(k, BaseModel)), None)
        name = option if rng.random() > odd / 5 else option + "x"
        if inner and rng.random() > odd:
            within = _options(inner, rng, odd, depth + 1)
            lines += [f"{'  ' * depth}{name}:{'' if within else ' {}'}", *within]
        elif rng.random() > odd and not field.is_required() and not isinstance(field.default, BaseModel):
            lines.append(f"{'  ' * depth}{name}: {json.dumps(field.default)}")
        elif not field.is_required() or rng.random() < odd:
            lines.append(f"{'  ' * depth}{name}: {rng.choice(WORDS)}")
        if lines and rng.random() < odd / 10:
            lines.append(lines[-1])
    return lines


def configuration(path: Path, rng: random.Random) -> None:
    """A YAML file: mostly options of the schema, with sound and unsound values, in all encodings."""
    text = "\n".join(_options(Config, rng, rng.choice((0, 0.02, 0.1, 0.4)))) + "\n"
    encoding = rng.choice(("utf-8",) * 12 + ("utf-8-sig", "utf-16", "utf-32", "gb18030", "latin-1"))
    data = (text + rng.choice(("", "", "# 风景 é\n"))).encode(encoding, "replace")
    if rng.random() < 0.05:
        data = data[: len(data) // 2] + rng.randbytes(5) + data[len(data) // 2 :]
    path.write_bytes(data)


def arrays(rng: random.Random) -> Arrays:
    """A few arrays under the names of networks, with a prefix now and then."""
    seed = np.random.default_rng(rng.randrange(2**32))
    prefix = rng.choice(("", "", "module.", "netG.", "state_dict."))
    names = rng.sample(ARRAYS, rng.randrange(0, 6))
    kinds = ("f4", "f4", "f8", "f2", "i8", "i4", "u1", "b1")
    shapes = [(), (3,), (4, 3), (4, 3, 3, 3), (0,), (1, 1, 1, 1)]
    return {prefix + n: np.asarray(seed.random(rng.choice(shapes)) * 9).astype(rng.choice(kinds)) for n in names}


def _torch_zip(path: Path, held: Arrays) -> None:
    """A torch checkpoint of float32 tensors, its pickle written by hand."""

    def text(word: str) -> bytes:
        return b"X" + struct.pack("<I", len(word.encode())) + word.encode()

    program, blocks = b"\x80\x02}", {}
    for key, (name, array) in enumerate(held.items()):
        flat = np.ascontiguousarray(array, np.float32)
        steps = [stride // 4 for stride in flat.strides]
        program += text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + b"ctorch\nFloatStorage\n"
        program += text(str(key)) + text("cpu") + b"J" + struct.pack("<i", flat.size) + b"tQK\x00"
        for numbers in (flat.shape, steps):
            program += b"(" + b"".join(b"J" + struct.pack("<i", number) for number in numbers) + b"t"
        program += b"\x89ccollections\nOrderedDict\n)RtRs"
        blocks[str(key)] = flat.tobytes()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", program + b".")
        for key, data in blocks.items():
            archive.writestr(f"a/data/{key}", data)


def weights(path: Path, rng: random.Random) -> Arrays | None:
    """Write a weight file; the arrays that are to be found in it, None where it is broken or holds other things."""
    held = arrays(rng)
    form = rng.choice(("torch", "jittor", "safetensors", "wrapped", "other", "noise"))
    sound: Arrays | None = held
    if form == "torch":
        held = {name: np.asarray(array, np.float32) for name, array in held.items()}
        sound = held
        _torch_zip(path, held)
    elif form == "jittor":
        path.write_bytes(pickle.dumps(held, protocol=rng.choice((2, 3, 4, 5))))
    elif form == "safetensors":
        save_file(held, path)
        sound = held if path.suffix == ".safetensors" else None
    else:
        sound = None
        other: Any = rng.choice(
            ([1, 2], "text", {"a": "b"}, {1: 2}, {"state_dict": held}, {"epoch": 3, "model": held}, None)
        )
        data = rng.randbytes(99) if form == "noise" else pickle.dumps(other)
        path.write_bytes(data)
    if rng.random() < 0.3:
        data = bytearray(path.read_bytes())
        if rng.random() < 0.5:
            del data[rng.randrange(len(data)) :]
        else:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        sound = None
    return sound
