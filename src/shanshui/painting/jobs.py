"""What the worker does: load weights, generate and export images, convert uploads, read examples."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from shanshui import __version__
from shanshui.data.labels import Classes
from shanshui.data.landscape_classes import CLASSES
from shanshui.data.palette import class_palette
from shanshui.errors import ShanshuiError
from shanshui.nn.cost import Cost
from shanshui.painting import decoding, exporting, reopening
from shanshui.painting.class_words import chinese_name, group_of
from shanshui.painting.frames import Answer, Class, Gmac, Job, Model
from shanshui.painting.limits import LABEL_MEGAPIXELS, LARGEST_SIDE, PHOTO_MEGAPIXELS, SMALLEST_SIDE
from shanshui.painting.refusals import Refusal
from shanshui.storage import images
from shanshui.storage.files import sha256
from shanshui.storage.size import Size
from shanshui.synthesis.card import Card
from shanshui.synthesis.styles import blended
from shanshui.synthesis.synthesizer import Accepts

USUAL = Size(384, 512)  # for weights of no one size
EXAMPLES = Path(__file__).resolve().parent / "examples"
SCENES = (  # label maps in `EXAMPLES`, by `draw_landscape(SCENE_SEED, Size(384, 512), scene)`
    "lake", "river", "karst", "waterfall", "beach", "alps", "great_wall", "village", "fields",
)  # fmt: skip
SCENE_SEED = 7
MOST_EXAMPLES = 50
DISCS = 12  # of the drawing whose image is timed
THUMBNAIL = 96  # pixels, the longer side
STEPS = 4  # of loading: weights, two images, which compile, and one that is timed


class ImageGenerator(Protocol):
    """What of a `Synthesizer` is used here."""

    classes: Classes
    size: Size | None
    accepts: Accepts
    card: Card

    @property
    def multiple(self) -> int:
        """Return the number of which sides must be multiples."""

    @property
    def one_size(self) -> bool:
        """Return whether there is one size only."""

    def at_size(self, size: Size) -> ImageGenerator:
        """Return the same for label maps of another size."""

    def cost(self, size: Size) -> Cost:
        """Count parameters and multiply-accumulates."""

    def macs_on_patches(self, label_map: np.ndarray) -> int | None:
        """Count multiply-accumulates on the distinct patches of a label map; None where there are none."""

    def generate(self, label_maps: np.ndarray, names: str, seed: int, *, z: np.ndarray | None = None) -> np.ndarray:
        """Generate an image."""

    def style_of(self, photograph: np.ndarray) -> np.ndarray:
        """Compute the style of a photograph."""


Progress = Callable[[int, int], None]  # step and number of steps


class Jobs:
    """The loaded weights, and an answer to every job.

    Args:
        load: reads a weights file, as `shanshui.load` does.
    """

    def __init__(self, load: Callable[[str], ImageGenerator]) -> None:
        self._load = load
        self._generator: ImageGenerator | None = None
        self._sizes: dict[Size, ImageGenerator] = {}
        self._files: list[Path] = []
        self._origin = exporting.Origin("", "", "", __version__)
        self._trained: Size | None = None

    def answer(self, job: Job, body: bytes, progress: Progress) -> tuple[Answer, bytes]:
        """Do a job.

        Args:
            job: what is asked for.
            body: class ids or an image file.
            progress: is called with the steps of `load`.

        Raises:
            Refusal: it cannot be done.
        """
        if job.do == "load":
            return Answer(kind="done", model=self._open(job, progress)), b""
        do = {
            "generate": self._generate, "export": self._export, "style": self._style, "import": self._import,
            "segment": self._segment, "open": self._saved, "example": self._example,
        }[job.do]  # fmt: skip
        start = time.perf_counter()
        report, content = do(job, body)
        return Answer(kind="done", seconds=time.perf_counter() - start, report=report), content

    # --- weights ------------------------------------------------------------------------------------------

    def _open(self, job: Job, progress: Progress) -> Model:
        """Load weights; generate images of two label maps, which compiles, and of a third, which is timed."""
        progress(1, STEPS)
        self._generator, self._sizes = None, {}
        generator = self._load(job.weights)
        if generator.accepts.instances:
            raise Refusal(
                "worker_failed", f"{job.weights} needs instance maps", "weights of a generator that label maps suffice",
                "choose other weights",
            )  # fmt: skip
        self._trained = generator.size
        size = Size(job.height, job.width) if job.width else generator.size or _rounded(USUAL, generator.multiple)
        self._generator, self._sizes = generator, {}
        self._origin = exporting.Origin(job.weights, sha256(job.weights), generator.card.generator, __version__)
        self._files = _label_files(job.labels)
        start = self._at(size)
        # kernels for few distinct patches of labels, for many, and for what a drawing has
        for step, ids in enumerate((_horizon(size, generator.classes), _scattered(size, generator.classes)), start=2):
            progress(step, STEPS)
            start.generate(ids, exporting.NAME, 0)
        progress(STEPS, STEPS)
        drawing = _hills(size, generator.classes)
        begun = time.perf_counter()
        exporting.encoded(images.to_uint8(start.generate(drawing, exporting.NAME, 0)[0]), "jpeg")
        return self._described(start, drawing, time.perf_counter() - begun)

    def _described(self, generator: ImageGenerator, drawing: np.ndarray, seconds: float) -> Model:
        size = Size.of(drawing)
        names = generator.classes.names
        colours = class_palette(list(names)).tolist()
        counted = generator.cost(size)
        return Model(
            name=Path(self._origin.weights).stem, generator=generator.card.generator, size=list(size.width_first),
            sizes=[list(each.width_first) for each in _sizes(generator, size)], multiple=generator.multiple,
            one_size=generator.one_size,
            classes=[
                Class(id=i, name=n, zh=chinese_name(n), group=group_of(n), colour=decoding.hexadecimal(rgb))
                for i, (n, rgb) in enumerate(zip(names, colours, strict=True))
            ],
            no_class=generator.classes.no_class, takes_style=generator.accepts.style, takes_seed=generator.accepts.seed,
            weights_sha256=self._origin.sha256, parameters=counted.parameters,
            gmac=Gmac(dense=_giga(counted.macs), patches=_giga(generator.macs_on_patches(drawing))),
            warmup_seconds=round(seconds, 3), version=__version__, examples=self._examples(generator.classes),
        )  # fmt: skip

    def _at(self, size: Size) -> ImageGenerator:
        """Return the generator for label maps of a size; networks are shared.

        Raises:
            Refusal: no weights are loaded, or they cannot make the size.
        """
        if self._generator is None:
            raise Refusal("not_ready", "no weights are loaded")
        if size not in self._sizes:
            try:
                self._sizes[size] = self._generator.at_size(size)
            except ShanshuiError as error:
                raise Refusal("bad_size", error.found, error.expected, error.do) from None
        return self._sizes[size]

    # --- jobs ---------------------------------------------------------------------------------------------

    def _image(self, job: Job, body: bytes) -> tuple[np.ndarray, np.ndarray]:
        """Return class ids (H, W), and the image float32 (3, H, W) in [-1, 1]."""
        size = Size(job.height, job.width)
        ids = np.frombuffer(body, np.uint8).reshape(size)
        vectors = [np.array(vector, np.float32) for vector in job.styles]
        z = blended(vectors, job.blend) if vectors else None
        return ids, self._at(size).generate(ids, exporting.NAME, job.seed, z=z)[0]

    def _generate(self, job: Job, body: bytes) -> tuple[dict[str, object], bytes]:
        _, image = self._image(job, body)
        return {}, exporting.encoded(images.to_uint8(image), job.format)

    def _export(self, job: Job, body: bytes) -> tuple[dict[str, object], bytes]:
        start = time.perf_counter()
        ids, image = self._image(job, body)
        seconds, classes = time.perf_counter() - start, self._at(Size.of_maps(ids)).classes
        palette = class_palette(list(classes.names))
        same = Size.of_maps(ids) == self._trained
        return {}, exporting.archive(ids, image, palette, classes, self._origin, job, seconds, same)

    def _style(self, job: Job, body: bytes) -> tuple[dict[str, object], bytes]:
        photo = decoding.read_photograph(body, PHOTO_MEGAPIXELS)
        vector = self._at(Size(job.height, job.width)).style_of(photo)
        small = Image.fromarray(photo)
        small.thumbnail((THUMBNAIL, THUMBNAIL))
        picture = base64.b64encode(exporting.encoded(np.asarray(small), "jpeg")).decode()
        return {"vectors": [vector.tolist()], "thumbnail": f"data:image/jpeg;base64,{picture}"}, b""

    def _import(self, job: Job, body: bytes) -> tuple[dict[str, object], bytes]:
        size = Size(job.height, job.width)
        classes = self._at(size).classes
        palette = class_palette(list(classes.names))
        found = decoding.read_label_map(body, classes, palette, size, LABEL_MEGAPIXELS)
        return found.report, found.ids.tobytes()

    def _segment(self, job: Job, body: bytes) -> tuple[dict[str, object], bytes]:
        from shanshui.painting.segmenting import segmented

        size = Size(job.height, job.width)
        classes = self._at(size).classes
        photo = decoding.read_photograph(body, PHOTO_MEGAPIXELS)
        report, ids = segmented(photo, classes, size)
        return report, ids.tobytes()

    def _saved(self, job: Job, body: bytes) -> tuple[dict[str, object], bytes]:
        generator = self._generator or self._at(USUAL)
        saved = reopening.read_archive(body, generator.classes)
        found, style = Size.of_maps(saved.ids), saved.record.style
        size = found if _possible(found, generator) else generator.size or _rounded(USUAL, generator.multiple)
        same = saved.record.weights_sha256 == self._origin.sha256
        if not same or not generator.accepts.style:
            style = None
        elif style and any(len(vector) != generator.accepts.z for vector in style.vectors):
            raise Refusal("bad_image", "style vectors of another length", f"{generator.accepts.z} numbers each")
        report = {
            "width": size.width, "height": size.height, "resized": size != found, "how": "archive",
            "seed": saved.record.seed, "same_weights": same, "blend": style.blend if style else 0.5,
            "photographs": style.photographs if style else [], "vectors": style.vectors if style else [],
        }  # fmt: skip
        return report, images.resize_label_map(saved.ids, size).tobytes()

    def _example(self, job: Job, body: bytes) -> tuple[dict[str, object], bytes]:
        size = Size(job.height, job.width)
        classes = self._at(size).classes
        if self._files:
            palette, content = class_palette(list(classes.names)), self._files[job.number].read_bytes()
            found = decoding.read_label_map(content, classes, palette, size, LABEL_MEGAPIXELS)
            return found.report, found.ids.tobytes()
        drawn = images.read_label_map(EXAMPLES / f"{SCENES[job.number]}.png")
        table = np.array([classes.names.index(name) for name in CLASSES], np.uint8)
        return {}, table[images.resize_label_map(drawn, size)].tobytes()

    def _examples(self, classes: Classes) -> list[str]:
        """Name the examples: given label maps, or scenes where the classes are those of the embedded dataset."""
        if self._files:
            return [path.stem for path in self._files]
        return list(SCENES) if set(CLASSES) <= set(classes.names) else []


def _label_files(folder: str) -> list[Path]:
    """List the first PNG and BMP label maps of a folder, or none without one."""
    from shanshui.data.listing import find_images

    found = find_images(Path(folder)) if folder else []
    return [path for path in found if path.suffix.lower() in (".png", ".bmp")][:MOST_EXAMPLES]


def _rounded(size: Size, multiple: int) -> Size:
    """Return the nearest size whose sides are multiples."""
    return Size(*(max(multiple, round(side / multiple) * multiple) for side in size))


def _possible(size: Size, generator: ImageGenerator) -> bool:
    """Tell whether the generator makes images of a size, within the limits."""
    if generator.one_size:
        return size == generator.size
    return all(SMALLEST_SIDE <= side <= LARGEST_SIDE and not side % generator.multiple for side in size)


def _sizes(generator: ImageGenerator, size: Size) -> list[Size]:
    """List sizes for the menu: the given one, half and twice of it, and a square and a wide one of the same height."""
    if generator.one_size:
        return [size]
    step = generator.multiple
    proposals = [
        size, *(_rounded(Size(round(size.height * f), round(size.width * f)), step) for f in (0.5, 1.5, 2.0)),
        _rounded(Size(size.height, size.height), step), _rounded(Size(size.height, size.height * 16 // 9), step),
    ]  # fmt: skip
    fitting = [each for each in proposals if min(each) >= SMALLEST_SIDE and max(each) <= LARGEST_SIDE]
    return [size, *sorted({each for each in fitting if each != size}, key=lambda each: each.pixels)]


def _horizon(size: Size, classes: Classes) -> np.ndarray:
    """Draw the first class named like sky over one named like land, uint8 (H, W)."""
    names = [name.lower() for name in classes.names]
    upper = names.index("sky") if "sky" in names else 0
    lower = next((names.index(name) for name in ("grass", "land", "earth") if name in names), len(names) - 1)
    ids = np.full(size, lower, np.uint8)
    ids[: size.height // 2] = upper
    return ids


def _hills(size: Size, classes: Classes) -> np.ndarray:
    """Draw discs of further classes on the horizon, uint8 (H, W), about as detailed as what people draw."""
    ids, rng = _horizon(size, classes), np.random.default_rng(0)
    rows, columns = np.indices(size)
    for number in range(DISCS):
        row, column, radius = rng.uniform((0.3, 0.0, 0.03), (1.0, 1.0, 0.2)) * (size.height, size.width, size.height)
        ids[np.hypot(rows - row, columns - column) < radius] = number % len(classes.names)
    return ids


def _scattered(size: Size, classes: Classes) -> np.ndarray:
    """Draw every pixel in a class of its own, uint8 (H, W): no patch of labels occurs twice."""
    return np.random.default_rng(0).integers(0, len(classes.names), size).astype(np.uint8)


def _giga(macs: int | None) -> float | None:
    """Convert to units of 1e9."""
    return None if macs is None else round(macs / 1e9, 3)
