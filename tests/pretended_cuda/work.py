"""What the tests do on the pretended device, in a child process: `python -m pretended_cuda.work OUT NAME...`.

A function gives its counts by part. Every network has done the same once before it is counted: searches for
algorithms and first constants are no part of a step.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import yaml

from pretended_cuda.device_counts import Counts, counted
from shanshui.architectures.base import LossConfig
from shanshui.architectures.networks import build_discriminator, build_generator
from shanshui.architectures.schedule import Schedule
from shanshui.architectures.segformer_weights import structure
from shanshui.architectures.segmenter import build as build_segmenter
from shanshui.architectures.segmenters import BUILDERS, Segmenter
from shanshui.backend.arithmetic import Arithmetic, use
from shanshui.backend.modules import gather, gather_optimizer, restore, restore_optimizer
from shanshui.backend.runtime import load_jittor
from shanshui.config.settings import validate
from shanshui.data.labels import Classes
from shanshui.evaluation import inception_features
from shanshui.nn import patch_numbering
from shanshui.nn.losses import VGG_WEIGHTS, perceptual
from shanshui.nn.vgg import VGG19
from shanshui.storage.files import write_json
from shanshui.storage.size import Size
from shanshui.synthesis.synthesizer import Synthesizer
from shanshui.training.augment import OPERATIONS
from shanshui.training.moving_average import MovingAverage
from shanshui.training.optim import adam
from shanshui.training.precompilation_steps import SETTINGS
from shanshui.training.segmenting import Trainer
from shanshui.training.step import Networks, StepConfig, train_step

jt = load_jittor()
jt.flags.use_cuda = 2  # an operation without a form for a device is an error, not a detour by the host

FULL_SIZE: dict[str, Any] = {
    "data": {"classes": [str(i) for i in range(29)], "height": 384, "width": 512},
    "model": {
        "generator": {"name": "apf", "base_channels": 64, "halvings": 6, "spade_hidden": 128},
        "discriminator": {"name": "progressive", "count": 3, "base_channels": 64},
    },
    "parity": SETTINGS["parity"],
}  # fmt: skip
FLAT, FADING, FULL = 1, 2, 6  # epochs of pretraining on a schedule of 6
MODELS = Path(__file__).resolve().parents[2] / "config" / "models"
Perceptual = Callable[[Any, Any], Any]


def networks(settings: dict[str, Any], finetuning: bool) -> Networks:
    """All that is trained, with an average where it is fine-tuned."""
    heads = 0 if finetuning else settings["model"]["discriminator"]["count"] - 1
    generator = build_generator(settings, seg_noise=finetuning, heads=heads)
    discriminator = build_discriminator(settings)
    opt_g, opt_d = adam(generator.networks().values(), 1e-4, (0.0, 0.9)), adam([discriminator.D], 4e-4, (0.0, 0.9))
    return Networks(
        generator, discriminator, opt_g, opt_d, MovingAverage(generator.networks(), 0.9) if finetuning else None
    )


def step_counts(
    settings: dict[str, Any], epoch: int, finetuning: bool = False, perceptual: Perceptual | None = None, batch: int = 1
) -> Counts:
    """Counts of the second and the third step, with what makes their batch; and of reading the losses thereafter."""
    nets = networks(settings, finetuning)
    weights = {"feat": 10.0, "rec": 10.0, "perceptual": 10.0 if perceptual else 0.0}
    recipe = StepConfig(LossConfig(weights, perceptual, label_mix=10.0), OPERATIONS if finetuning else ())
    at, generator = Schedule(6, 3).at(epoch), nets.generator
    size = Size(settings["data"]["height"], settings["data"]["width"])
    rng = np.random.default_rng(0)

    def step() -> dict[str, Any]:
        real = jt.array(rng.standard_normal((batch, 3, *size)).astype(np.float32))
        ids = rng.integers(0, generator.declared.num_classes, (batch, *size.divided(16)))
        label_maps = ids.repeat(16, 1).repeat(16, 2).astype(np.uint8)
        conditioning = generator.condition(label_maps, generator.patch_sizes(size, at))
        losses = train_step(nets, recipe, at, real, conditioning, rng)
        if nets.average:
            nets.average.update()
        jt.sync_all()
        return losses

    counts: Counts = {}
    step()
    for name in ("second step", "step"):
        with counted(counts, name):
            losses = step()
    with counted(counts, "losses"):
        for loss in losses.values():
            loss.item()
    counts["host"] = python_calls(step)
    return counts


def python_calls(step: Callable[[], object]) -> Counts:
    """How many functions in Python, and how many of Jittor's, a step calls."""
    calls = Counts(functions=0, of_jittor=0)

    def count(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            calls["functions"] += 1
        elif event == "c_call" and "jittor" in repr(argument):
            calls["of_jittor"] += 1

    sys.setprofile(count)
    try:
        step()
    finally:
        sys.setprofile(None)
    return calls


def flat() -> Counts:
    return step_counts(SETTINGS, FLAT)


def fading() -> Counts:
    return step_counts(SETTINGS, FADING)


def full() -> Counts:
    return step_counts(SETTINGS, FULL)


def finetuning() -> Counts:
    return step_counts(SETTINGS, 7, finetuning=True)


def full_size() -> Counts:
    """APF-GAN as its recipe has it, at 512x384."""
    return step_counts(FULL_SIZE, 7, finetuning=True)


def patches() -> Counts:
    """A step of fine-tuning with SPADE on distinct patches of the label maps, which no kernel finds here."""
    os.environ["SHANSHUI_GPU_PATCHES"], read = "on", patch_numbering.read_counts

    def some(counts: Sequence[Any]) -> np.ndarray:
        """Read the counts, as all must, and pretend that there were a few patches."""
        return np.broadcast_to([100, 300, 20], read(counts).shape)

    patch_numbering.read_counts = some
    try:
        return step_counts(SETTINGS, 7, finetuning=True)
    finally:
        del os.environ["SHANSHUI_GPU_PATCHES"]
        patch_numbering.read_counts = read


def recipe(name: str) -> Counts:
    """A step of another architecture of config/models, and a picture of it."""
    config = validate(yaml.safe_load((MODELS / f"{name}.yaml").read_text(encoding="utf-8")) | {
        "data": {"classes": ["a", "b", "c"], "width": 128, "height": 128}
    })  # fmt: skip
    settings = SETTINGS | config.networks().minimal()
    return step_counts(settings, 7, finetuning=True) | pictures(settings)


def pictures(settings: dict[str, Any] = SETTINGS) -> Counts:
    """A picture from a label map."""
    generator = build_generator(settings, seg_noise=True)
    for network in generator.networks().values():
        network.eval()
    size = Size(settings["data"]["height"], settings["data"]["width"])
    synthesizer, label_map = Synthesizer(generator, Classes.of(settings["data"]), size), np.zeros(size, np.uint8)
    instances = label_map if synthesizer.accepts.instances else None
    counts: Counts = {}
    for name in ("first picture", "picture"):
        with counted(counts, name):
            synthesizer.generate(label_map, instances=instances)
    return counts


def with_vgg() -> Counts:
    """A step of fine-tuning whose loss VGG19 sees too, with weights of its own dice."""
    vgg = VGG19(imagenet_normalise=True)
    for parameter in vgg.parameters():
        parameter.stop_grad()
    return step_counts(SETTINGS, 7, True, lambda fake, real: perceptual(vgg, VGG_WEIGHTS, fake, real))


def segmenter() -> Counts:
    """A training step of our own segmenter, and what it sees in two photographs."""
    height, width = SETTINGS["data"]["height"], SETTINGS["data"]["width"]
    meta = {
        "architecture": "unet", "classes": SETTINGS["data"]["classes"], "channels": 4, "width": width, "height": height
    }  # fmt: skip
    trainer = Trainer(build_segmenter(meta), 1e-3)
    photos, ids = np.zeros((2, 3, height, width), np.float32), np.zeros((2, height, width), np.uint8)
    seen = Segmenter(gather(trainer.net), meta, "here", "")
    counts: Counts = {}
    for name in ("first step", "step"):
        with counted(counts, name):
            trainer.step(photos, ids, 1e-3)
            jt.sync_all()
    for name in ("first photographs", "photographs"):
        with counted(counts, name):
            seen.segment(np.zeros((2, height, width, 3), np.uint8))
    return counts


def seen_by(architecture: str) -> Counts:
    """What a segmenter of another architecture sees in two photographs, by weights of its own dice."""
    classes = [str(i) for i in range(150)]
    meta = {"architecture": architecture, "classes": classes, "width": 64, "height": 64}
    if architecture == "segformer":
        meta |= {"model": structure("B0"), "grouping": list(range(150))}
    seen = Segmenter(gather(BUILDERS[architecture](meta)), meta, "here", "")
    counts: Counts = {}
    for name in ("first photographs", "photographs"):
        with counted(counts, name):
            seen.segment(np.zeros((2, 64, 64, 3), np.uint8))
    return counts


def inception() -> Counts:
    """Features of two photographs, by weights of the network's own dice."""
    inception_features.fill_network = lambda *_: None  # type: ignore[attr-defined]
    features = inception_features.InceptionFeatures("none")
    counts: Counts = {}
    for name in ("first photographs", "photographs"):
        with counted(counts, name):
            features(np.zeros((2, 3, 299, 299), np.float32))
    return counts


def checkpoints() -> Counts:
    """Everything a training state holds, read and put back."""
    nets = networks(SETTINGS, finetuning=True)
    assert nets.average
    counts: Counts = {}
    with counted(counts, "saving"):
        parts = {letter: gather(network) for letter, network in nets.parts().items()}
        adams = {name: gather_optimizer(getattr(nets, name)) for name in ("opt_g", "opt_d")}
        average = nets.average.state()
    with counted(counts, "loading"):
        for letter, network in nets.parts().items():
            restore(network, parts[letter], letter)
        for name, arrays in adams.items():
            restore_optimizer(getattr(nets, name), arrays, name)
        nets.average.restore(average, "average")
    counts["arrays"] = sum(len(arrays) for arrays in [*parts.values(), *adams.values(), average])
    return counts


ADD_ONE = """
__global__ static void add_one(const float *x, float *y, int n) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) y[i] = x[i] + 1;
}
add_one<<<4, 256>>>(in0_p, out0_p, (int)out0->num);
"""


def operations() -> Counts:
    """One of each kind that has a compiler's trouble of its own, each counted by itself."""
    image, weight = jt.randn(2, 8, 16, 16), jt.randn(8, 8, 3, 3)
    lone = jt.nn.Conv(8, 8, 3, groups=8)

    def gradients(of: Any, to: list[Any]) -> list[Any]:
        return jt.grad((of * of).sum(), to)

    kinds: dict[str, Callable[[], Any]] = {
        "fused elementwise": lambda: [jt.sqrt(jt.abs(image * 2 + 1))],
        "sum": lambda: [image.sum(), image.mean((2, 3)), image.max(1)],
        "transpose": lambda: [jt.fuse_transpose(image, [0, 2, 3, 1])],
        "convolution with gradients": lambda: gradients(jt.nn.conv2d(image, weight, padding=1), [image, weight]),
        "product with gradients": lambda: gradients(jt.matmul(weight.reshape(8, 72), weight.reshape(72, 8)), [weight]),
        "sort": lambda: [*jt.argsort(image.reshape(-1))],
        "argmax": lambda: [*image.argmax(-1)],
        "cumulative sum": lambda: [jt.cumsum(image.reshape(-1, 16), 1)],
        "softmax": lambda: [jt.nn.softmax(image, -1)],
        "where": lambda: [*jt.where(image > 0)],
        "boolean index": lambda: [image[image > 0]],
        "depthwise convolution with gradients": lambda: gradients(lone(image), [image, lone.weight]),
        "random numbers": lambda: [jt.randn(16), jt.rand(16)],
        "half precision": lambda: gradients(jt.nn.conv2d(image.float16(), weight.float16()), [image, weight]),
        "a kernel of our own": lambda: [jt.code(image.shape, image.dtype, [image], cuda_src=ADD_ONE)],
    }
    counts: Counts = {}
    for name, make in kinds.items():
        with counted(counts, name):
            jt.sync(make())
    return counts


def bfloat16() -> Counts:
    """A layer, a convolution and a product with their gradients, before and after convolutions are rounded."""
    layer = jt.nn.Conv(8, 8, 3, padding=1)
    image, weight = jt.randn(2, 8, 16, 16), jt.randn(8, 8, 3, 3)

    def gradients() -> list[Any]:
        y = jt.nn.conv2d(layer(image), weight, padding=1)
        found: list[Any] = jt.grad(jt.matmul(y.reshape(16, 256), y.reshape(256, 16)).sqr().sum(), [image, weight])
        return [*found, *jt.grad(layer(image).sum(), [layer.weight])]

    kept, counts = (jt.nn.conv2d, jt.nn.Conv.execute), Counts()
    for name, arithmetic in (("plain", Arithmetic()), ("rounded", Arithmetic("bf16"))):
        use(arithmetic)
        jt.sync(gradients())
        with counted(counts, name):
            jt.sync(gradients())
    use(Arithmetic())
    jt.nn.conv2d, jt.nn.Conv.execute = kept
    jt.nn.conv = jt.nn.conv2d
    return counts


def main(out: str, *names: str) -> None:
    """Run functions by name, "recipe:spade" with an argument; write what they return, or how they failed."""
    found: dict[str, Any] = {}
    for name in names:
        function, _, argument = name.partition(":")
        start = time.monotonic()
        try:
            found[name] = globals()[function](*([argument] if argument else []))
        except Exception:
            found[name] = {"error": traceback.format_exc()[-6000:]}
        print(f"{name}: {time.monotonic() - start:.1f} s", flush=True)
        jt.clean()
        write_json(out, found)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)  # Jittor's clean-up may wait for threads for ever
    sys.stderr.flush()
    os._exit(0)
