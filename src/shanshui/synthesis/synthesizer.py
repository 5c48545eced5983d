"""Generate images from weights and label maps: the one interface for every stage, command and notebook."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shanshui.architectures.generator_networks import FULL, BuiltGenerator
from shanshui.architectures.network_cost import patch_shares
from shanshui.architectures.networks import restore_generator
from shanshui.architectures.noise_source import NoiseSource, seeded_noise
from shanshui.architectures.schedule import Step
from shanshui.backend.cpu_forms import each_image_alone
from shanshui.backend.device import on_cpu
from shanshui.backend.lazy import jt
from shanshui.data.labels import Classes
from shanshui.errors import ShanshuiError, UsageError
from shanshui.nn.cost import Cost, cost, trained_parameters
from shanshui.storage import images
from shanshui.storage.size import Size
from shanshui.synthesis import inputs, styles
from shanshui.synthesis.card import Card
from shanshui.synthesis.generator_file import read_generator
from shanshui.synthesis.passes import PASSES, cpu_passes, label_maps_per_pass

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from shanshui.nn.patch_spade import PatchPyramid


@dataclass(frozen=True)
class Accepts:
    """Inputs of a generator in addition to label maps.

    Attributes:
        seed: images depend on the seed and on their names.
        z: length of the vector, a style or noise, that an image starts from; 0 for none.
        style: the vector can be the style of a photograph: the weights have a style encoder.
        edges: it uses edges, of instances if instance maps are given, else of classes.
        instances: it was trained with edges of instances and requires instance maps.
    """

    seed: bool
    z: int
    style: bool
    edges: bool
    instances: bool


class Synthesizer:
    """A generator in evaluation mode.

    Attributes:
        classes: names in id order, and the meaning of the values in label map files.
        size: of the label maps; None for imported weights, which take any whose sides the network can halve.
        accepts: its inputs in addition to label maps.
        card: description of the weights file.
    """

    def __init__(
        self,
        generator: BuiltGenerator,
        classes: Classes,
        size: Size | None,
        step: Step = FULL,
        card: Card | None = None,
    ) -> None:
        """Wrap networks; `load` reads them from a file.

        Args:
            generator: with its networks in evaluation mode.
            classes: of the label maps.
            size: of the label maps, or None.
            step: of the progressive schedule; before the last ones images are smaller than label maps.
            card: description of the weights file.

        Raises:
            UsageError: a side of `size` is not a multiple of the network's divisor.
        """
        declared = generator.declared
        self._generator, self._step, self._divisor = generator, step, declared.divisor()[0]
        self.classes, self.size, self.card = classes, size, card or Card("networks without a file")
        self.accepts = Accepts(
            seed=declared.takes_noise,
            z=declared.vector,
            style=generator.style_encoder is not None,
            edges=declared.edges,
            instances=declared.instances,
        )
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
        instances: ArrayLike | None = None, batch: int | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Generate one image of each label map.

        Args:
            label_maps: class ids of any integer type, (H, W) or (N, H, W); 255 is no class, if `classes.ignore_label`
                allows it.
            names: one for each image; noise depends only on (seed, name), not on the other images. Without names,
                images are named by their numbers from 0.
            seed: of the noise; None generates without noise, and from zeros instead of random vectors.
            style: a photograph whose style all images take, as for `style_of`.
            z: style vector for all images, (length,), or one for each, (N, length), instead of a random one.
            instances: instance ids of the label maps' shape, for weights that use edges.
            batch: most images per forward pass; without, one on a GPU. A CPU takes fewer if they have more than 131,072
                pixels, one of 512x384, and one of generators whose images would depend on the others (`together`).

        Returns:
            float32 (N, 3, H, W) in [-1, 1].

        Raises:
            ShanshuiError: an argument has another form, or these weights do not take it; or an image is not finite.
        """
        ids = inputs.label_batch(label_maps, self.classes, self.size, self._divisor)
        names = inputs.image_names(names, len(ids))
        numbers = self._instances(instances, ids.shape)
        noise = self._noise(names, inputs.whole_seed(seed), style, z)
        if batch is not None and batch < 1:
            raise UsageError(f"batch {batch}", "1 or more")
        made = np.empty((0,), np.float32)
        for part, patches in self._passes(ids, batch):
            some = self._forward(ids[part], noise(part), None if numbers is None else numbers[part], patches)
            made = made if len(made) else np.empty((len(ids), *some.shape[1:]), np.float32)
            made[part] = some
        for name, image in zip(names, made, strict=True):
            images.check_finite(name, image)
        return made

    def style_of(self, photograph: str | Path | ArrayLike) -> np.ndarray:
        """Compute the style of a photograph: the mean that the style encoder predicts, float32 (`accepts.z`,).

        Args:
            photograph: a file, or an array as `read_photograph` returns it, or uint8 (H, W, 3), which is resized.

        Raises:
            ShanshuiError: the weights take no style or have no encoder, or the photograph cannot be read.
        """
        encoder, source = self._generator.style_encoder, self.card.source
        if not self._generator.declared.takes_style:
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

    @property
    def together(self) -> bool:
        """Return whether a CPU generates several images in one forward pass."""
        return self._generator.declared.together_on_cpu and not self._step.fading

    def label_maps_at_once(self, batch: int | None = None) -> int:
        """Return how many label maps to give to one call of `generate` with this `batch`, so that passes are full."""
        if self.size is None:
            return 1  # label maps of their own sizes do not stack
        if not on_cpu():
            return batch or 1
        each = label_maps_per_pass(self.size, batch) if self.together else 1
        return each * PASSES if each > 1 else 1

    # --- sizes and cost -----------------------------------------------------------------------------------

    @property
    def multiple(self) -> int:
        """Return the number of which the sides of label maps must be multiples."""
        return self._divisor

    @property
    def one_size(self) -> bool:
        """Return whether the network itself makes images of one size only: it starts from a vector, not labels."""
        return getattr(self._generator.G, "size", None) is not None

    def at_size(self, size: Size) -> Synthesizer:
        """Return a synthesizer for label maps of another size, with the same networks.

        Raises:
            UsageError: the network cannot make the size.
        """
        if self.one_size and size != self.size:
            raise UsageError(f"size {size}", f"{self.size}: these weights make images of one size")
        return Synthesizer(self._generator, self.classes, size, self._step, self.card)

    def cost(self, size: Size) -> Cost:
        """Count parameters and multiply-accumulates of one image, computed densely; no forward pass is run."""
        generator = self._generator
        conditioning = generator.condition(np.zeros((1, *size), np.uint8))
        counted = cost(generator.G, lambda: generator.generate(conditioning, seeded_noise(0)(["one"]), self._step))
        if generator.E is not None and not generator.declared.takes_style:
            counted.parameters += trained_parameters(generator.E)
        return counted

    def macs_on_patches(self, label_map: np.ndarray) -> int | None:
        """Count the multiply-accumulates of one image on the distinct patches of its label map, ids uint8 (H, W).

        Returns:
            Their number; None for generators that compute densely.
        """
        shares = patch_shares(self._generator, label_map[None], self._step)
        return self.cost(Size.of(label_map)).on_patches(shares) if shares else None

    # --- files --------------------------------------------------------------------------------------------

    def read_label_map(self, path: str | Path) -> np.ndarray:
        """Read a label map file as class ids, uint8 (H, W), as in training, resized to `size`.

        Raises:
            ShanshuiError: it cannot be read, or has values that are no class.
        """
        return self.classes.ids(images.read_label_map(path, self.size), path)

    def read_instance_map(self, path: str | Path, label_map: np.ndarray) -> np.ndarray:
        """Read instance ids (H, W), resized to `size`.

        Raises:
            ShanshuiError: it cannot be read, or `label_map` has another size.
        """
        numbers = images.read_label_map(path, self.size)
        if numbers.shape != label_map.shape:
            found, wanted = Size(*numbers.shape), Size(*label_map.shape)
            raise ShanshuiError(f"{path} is {found}", f"its label map's size, {wanted}")
        return numbers

    def read_photograph(self, path: str | Path) -> np.ndarray:
        """Read an image file as float32 (3, H, W) in [-1, 1], resized to `size`; an NPY file of an image as it is."""
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
    ) -> Callable[[list[int]], NoiseSource]:
        """Return the noise source of some of the images, by their numbers."""
        if style is not None and z is not None:
            raise UsageError("a style and z", "one of them: the style of a photograph is a z")
        if style is not None:
            z = self.style_of(style)
        if z is None:
            noise_source = seeded_noise(seed)
            return lambda part: noise_source([names[number] for number in part])
        vectors = styles.style_vectors(z, self.accepts.z, len(names))
        return lambda part: NoiseSource(None, lambda n, length: jt.array(vectors[part]))

    def _passes(self, ids: np.ndarray, batch: int | None) -> Iterator[tuple[list[int], PatchPyramid | None]]:
        """Divide label maps among forward passes: numbers of label maps, and their patches if they are found yet."""
        generator, size = self._generator, Size.of_maps(ids)
        if on_cpu():
            each = label_maps_per_pass(size, batch) if self.together else 1
            sizes = generator.patch_sizes(size, self._step)
            for one in cpu_passes(generator.classes(ids), sizes, each):
                yield one.numbers, one.patches
            return
        each = batch or 1
        for start in range(0, len(ids), each):
            yield [*range(start, min(start + each, len(ids)))], None

    def _forward(
        self, ids: np.ndarray, noise: NoiseSource, instances: np.ndarray | None, patches: PatchPyramid | None
    ) -> np.ndarray:
        """Generate images (n, 3, H, W) in one forward pass."""
        generator, size = self._generator, Size.of_maps(ids)
        with jt.no_grad(), each_image_alone():
            conditioning = generator.condition(ids, generator.patch_sizes(size, self._step), instances, patches)
            made = np.array(generator.generate(conditioning, noise, self._step).numpy())
        del conditioning  # otherwise what it holds unused would be computed now
        jt.sync_all()
        return made
