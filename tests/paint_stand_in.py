"""A worker whose images are the colours of the classes, for tests of the server and of the page.

Run as the worker's command: `[sys.executable, "tests/paint_stand_in.py", "--seconds", "0.3"]`. The style of a
photograph is its mean colour. Seeds from 1000 ask for an accident.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import signal
import sys
import time
import types
from pathlib import Path

import numpy as np

from shanshui.data.labels import Classes
from shanshui.data.landscape_classes import CLASSES
from shanshui.data.palette import class_palette
from shanshui.errors import ShanshuiError
from shanshui.nn.cost import Cost
from shanshui.painting.worker import main
from shanshui.storage.images import resize_photo, to_float
from shanshui.storage.size import Size
from shanshui.synthesis.card import Card
from shanshui.synthesis.synthesizer import Accepts

IMAGES_OF_LOADING = 3
KILL, HANG, EXIT, REFUSE, MEMORY, GATE = 1000, 1001, 1002, 1003, 1004, 1005  # seeds that ask for an accident


@dataclasses.dataclass
class Colouring:
    """Colours classes, darker with the seed, and mixed with a style."""

    seconds: list[float]  # that images take, of which the last is for all further ones
    style: bool
    gate: str = ""  # a file until which images of the seed GATE wait
    hold: str = ""  # a file until which all images wait
    classes: Classes = dataclasses.field(default_factory=lambda: Classes(CLASSES))
    size: Size | None = Size(96, 128)
    multiple: int = 32
    one_size: bool = False
    card: Card = dataclasses.field(default_factory=lambda: Card("stand-in", "colouring"))

    @property
    def accepts(self) -> Accepts:
        return Accepts(True, 3 if self.style else 0, self.style, False, False)

    def at_size(self, size: Size) -> Colouring:
        return dataclasses.replace(self, size=size)

    def cost(self, size: Size) -> Cost:
        return Cost(parameters=1, macs=size.pixels)

    def macs_on_patches(self, label_map: np.ndarray) -> int | None:
        return None

    def generate(self, label_maps: np.ndarray, names: str, seed: int, *, z: np.ndarray | None = None) -> np.ndarray:
        assert names == "paint"
        while self.hold and not Path(self.hold).exists():
            time.sleep(0.01)
        time.sleep(self.seconds.pop(0) if len(self.seconds) > 1 else self.seconds[0])
        if seed == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        while seed == GATE and not Path(self.gate).exists():
            time.sleep(0.005)
        if seed == HANG:
            time.sleep(1000)
        if seed == EXIT:
            raise RuntimeError("what a person would like to know")
        if seed == REFUSE:
            raise ShanshuiError("the image of paint is not finite", "weights that did not diverge")
        if seed == MEMORY:
            np.zeros(1 << 29, np.uint8)
        colours = np.vstack([class_palette(list(self.classes.names)), np.zeros((227, 3), np.uint8)])
        image = to_float(colours[label_maps]) * (1 - (seed % 10) / 20)
        if z is not None:
            image = (image + z[:, None, None]) / 2
        return image[None].astype(np.float32)

    def style_of(self, photograph: np.ndarray) -> np.ndarray:
        return to_float(photograph).mean((1, 2)).astype(np.float32)


def nearest_colours(photo: np.ndarray, classes: Classes, size: Size) -> tuple[dict[str, object], np.ndarray]:
    """In place of the segmenter: ids (H, W) of the classes whose colours are nearest."""
    pixels = resize_photo(photo, size).astype(int)
    ids = ((pixels[..., None, :] - class_palette(list(classes.names)).astype(int)) ** 2).sum(-1).argmin(-1)
    report: dict[str, object] = {"width": photo.shape[1], "height": photo.shape[0], "how": "segmented"}
    return report, ids.astype(np.uint8)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=0.0, help="that an image takes")
    parser.add_argument("--load", type=float, help="seconds of each image that is made while loading")
    parser.add_argument("--style", action="store_true", help="take styles")
    parser.add_argument("--no-class", action="store_true", help="know pixels of no class: 99 in files")
    parser.add_argument("--hostile", action="store_true", help="class names that are markup")
    parser.add_argument("--gate", default="", help="file until which images of the seed GATE wait")
    parser.add_argument("--hold", default="", help="file until which all images wait")
    parser.add_argument("--room", type=int, default=4 << 30, help="bytes of memory")
    return parser.parse_args()


def loader(chosen: argparse.Namespace) -> Colouring:
    names = ("<img src=x onerror=alert(1)>", *CLASSES[1:]) if chosen.hostile else CLASSES
    classes = Classes(names, 0, 99 if chosen.no_class else None)
    loading = [] if chosen.load is None else [chosen.load] * IMAGES_OF_LOADING
    return Colouring([*loading, chosen.seconds], chosen.style, chosen.gate, chosen.hold, classes)


if __name__ == "__main__":
    chosen = options()
    sys.modules["shanshui.painting.segmenting"] = types.ModuleType("segmenting")
    vars(sys.modules["shanshui.painting.segmenting"])["segmented"] = nearest_colours

    def load(weights: str) -> Colouring:
        if "broken" in Path(weights).name:
            raise ShanshuiError(f"{weights} is not a whole safetensors file", "a checkpoint", "fetch it again")
        return loader(chosen)

    main(load, chosen.room)
