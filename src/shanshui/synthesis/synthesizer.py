"""From weights and label maps to images: the one way there, of every stage, command and notebook."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shanshui.architectures.generator_networks import FULL, BuiltGenerator
from shanshui.architectures.networks import restore_generator
from shanshui.architectures.noise_source import NoiseSource, seeded_noise
from shanshui.architectures.schedule import Step
from shanshui.backend.lazy import jt
from shanshui.data.labels import Classes
from shanshui.errors import ShanshuiError, UsageError
from shanshui.nn import patch_spade
from shanshui.storage import images
from shanshui.storage.size import Size
from shanshui.synthesis import inputs, styles
from shanshui.synthesis.card import Card
from shanshui.synthesis.generator_file import read_generator

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Accepts:
    """What a generator takes in addition to label maps.

    Attributes:
        seed: images depend on the seed and on their names.
        z: length of the vector, a style or noise, that an image starts from; 0 for none.
        style: the vector can be the style of a photograph: an encoder came with the weights.
        edges: it sees boundaries, of instances where instance maps are given, else of classes.
        instances: it was trained on boundaries of instances and must be given instance maps.
    """

    seed: bool
    z: int
    style: bool
    edges: bool
    instances: bool


class Synthesizer:
    """A generator in evaluation mode that makes images of label maps.

    Attributes:
        classes: names in id order, and what the numbers in label map files mean.
        size: of the label maps; None for imported weights, which take any whose sides the network can halve.
        accepts: what it takes in addition to label maps.
        card: what the weights file says of itself.
    """

    def __init__(
        self,
        generator: BuiltGenerator,
        classes: Classes,
        size: Size | None,
        step: Step = FULL,
        card: Card | None = None,
    ) -> None:
        """Wrap networks that are there already; `load` reads them from a file.

        Args:
            generator: with its networks in evaluation mode.
            step: of the progressive schedule; before the last ones images are smaller than label maps.

        Raises:
            UsageError: a side of `size` is no multiple of what the network divides by.
        """
        self._generator, self._step, self._divisor = generator, step, generator.declared.divisor()[0]
        self.classes, self.size, self.card = classes, size, card or Card("networks without a file")
        declared = generator.declared
        self.accepts = Accepts(
            generator.takes_noise, generator.vector, generator.style_encoder is not None,
            declared.edges, declared.instances,
        )  # fmt: skip
        if size:
            inputs.check_size(size, size, self._divisor)

    @classmethod
    def load(cls, weights: str | Path, size: Size | None = None) -> Synthesizer:
        """Read the weights of a generator: a checkpoint, an average or imported ones.

        Args:
            weights: safetensors file.
            size: of label maps and images; without, the size trained at.

        Raises:
            ShanshuiError: the file is missing, broken or holds something else; the network cannot make the size.
        """
        found = read_generator(weights)
        meta = found.meta
        data, alpha = meta["data"], meta["alpha"]
        trained = Size(data["height"], data["width"]) if data["height"] and data["width"] else None
        step = Step(meta["level"], alpha, fading=alpha > 0, full=meta["level"] is None)
        return cls(
            restore_generator(found.arrays, meta, str(weights)), Classes.of(data), Size(*size) if size else trained,
            step, Card.of(weights, meta),
        )  # fmt: skip

    def generate(
        self, label_maps: ArrayLike, names: str | Sequence[str] | None = None, seed: int | None = 0,
        style: str | Path | ArrayLike | None = None, z: ArrayLike | None = None,
        instances: ArrayLike | None = None, batch: int = 1,
    ) -> np.ndarray:  # fmt: skip
        """Make one image of each label map.

        Args:
            label_maps: class ids of any integer type, (H, W) or (N, H, W); 255 is no class, where
                `classes.ignore_label` allows it.
            names: one for each image; noise depends on (seed, name) alone, not on the other images. Without
                names, images are named by their numbers from 0.
            seed: of the noise; None leaves noise out and takes zeros for random vectors.
            style: a photograph whose style all images take, as for `style_of`.
            z: style vector for all images, (length,), or one for each, (N, length), instead of a random one.
            instances: numbers of instances of the label maps' shape, for weights that see edges.
            batch: images per forward pass on a GPU. On a CPU they are made one after another: each needs only its
                own label map's distinct patches, and no sum is taken in another order because of its neighbours.

        Returns:
            float32 (N, 3, H, W) in [-1, 1].

        Raises:
            ShanshuiError: an argument has another form, or is one that these weights do not take; an image is not
                finite.
        """
        ids = inputs.label_batch(label_maps, self.classes, self.size, self._divisor)
        names = inputs.image_names(names, len(ids))
        numbers = self._instances(instances, ids.shape)
        noise = self._noise(names, inputs.whole_seed(seed), style, z)
        if batch < 1:
            raise UsageError(f"batch {batch}", "1 or more")
        together = 1 if patch_spade.available() else batch
        parts = [slice(start, start + together) for start in range(0, len(ids), together)]
        made = np.concatenate([
            self._forward(ids[part], noise(part), None if numbers is None else numbers[part]) for part in parts
        ])  # fmt: skip
        for name, image in zip(names, made, strict=True):
            images.check_finite(name, image)
        return made

    def style_of(self, photograph: str | Path | ArrayLike) -> np.ndarray:
        """Read the style off a photograph: the mean of what the encoder sees, float32 (`accepts.z`,).

        Args:
            photograph: a file, or an array as `read_photograph` returns it, or uint8 (H, W, 3), which is resized.

        Raises:
            ShanshuiError: the weights take no style, or came without an encoder; no such array or file.
        """
        encoder, source = self._generator.style_encoder, self.card.source
        if not self._generator.takes_style:
            raise UsageError(
                f"a style for {source}", "weights of a generator that starts from one, not from label maps"
            )
        if encoder is None:
            raise ShanshuiError(
                f"{source} holds no style encoder",
                "one, to compute a photograph's style",
                "import the weights with --encoder",
            )
        if isinstance(photograph, str | Path):
            photograph = self.read_photograph(photograph)
        with jt.no_grad():
            mean, _ = encoder(jt.array(styles.as_photograph(photograph, self.size)[None]))
            style = np.array(mean.numpy()[0])
        jt.sync_all()
        return style

    # --- files --------------------------------------------------------------------------------------------

    def read_label_map(self, path: str | Path) -> np.ndarray:
        """Read a label map file as class ids uint8 (H, W), by the rules of training, resized to `size`."""
        return self.classes.ids(_resized(images.read_label_map(path), self.size), path)

    def read_instance_map(self, path: str | Path, label_map: np.ndarray) -> np.ndarray:
        """Read numbers of instances (H, W), resized to `size`; ShanshuiError where `label_map` has another size."""
        numbers = _resized(images.read_label_map(path), self.size)
        if numbers.shape != label_map.shape:
            found, wanted = Size(*numbers.shape), Size(*label_map.shape)
            raise ShanshuiError(f"{path} is {found}", f"its label map's size, {wanted}")
        return numbers

    def read_photograph(self, path: str | Path) -> np.ndarray:
        """Read an image file as float32 (3, H, W) in [-1, 1], resized to `size`; an NPY of an image as it is."""
        return styles.read_photograph(Path(path), self.size)

    # --- inside -------------------------------------------------------------------------------------------

    def _instances(self, instances: ArrayLike | None, shape: tuple[int, ...]) -> np.ndarray | None:
        if instances is None:
            if self.accepts.instances:
                raise UsageError("no instance maps", "one for every label map: the generator sees edges of instances")
            return None
        if not self.accepts.edges:
            raise UsageError("instance maps", "weights of a generator that sees edges")
        return inputs.instance_batch(instances, shape)

    def _noise(
        self, names: list[str], seed: int | None, style: str | Path | ArrayLike | None, z: ArrayLike | None
    ) -> Callable[[slice], NoiseSource]:
        """Where the random numbers of a part of the images come from."""
        if style is not None and z is not None:
            raise UsageError("a style and z", "one of them: the style of a photograph is a z")
        if style is not None:
            z = self.style_of(style)
        if z is None:
            noise_source = seeded_noise(seed)
            return lambda part: noise_source(names[part])
        vectors = inputs.style_vectors(z, self.accepts.z, len(names))
        return lambda part: NoiseSource(None, lambda n, length: jt.array(vectors[part]))

    def _forward(self, ids: np.ndarray, noise: NoiseSource, instances: np.ndarray | None) -> np.ndarray:
        """Images (n, 3, H, W) of one forward pass."""
        generator, size = self._generator, Size.of_maps(ids)
        with jt.no_grad():
            conditioning = generator.condition(ids, generator.patch_sizes(size, self._step), instances)
            made = np.array(generator.generate(conditioning, noise, self._step).numpy())
        jt.sync_all()
        return made


def _resized(ids: np.ndarray, size: Size | None) -> np.ndarray:
    return images.resize_label_map(ids, size) if size else ids
