"""How each kind of generator makes pictures of label maps: in training, in sample grids and from weights files.

A painter is a generator with its encoder, if any, and knows what both are shown. Random numbers come from outside
(`chances`), so that training draws them and generation derives them from seed and name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shanshui.architectures.chances import Chance
from shanshui.architectures.schedule import Step
from shanshui.backend.runtime import load_jittor
from shanshui.data.edges import edges
from shanshui.data.labels import NO_CLASS, one_hot
from shanshui.data.patches import patch_pyramid
from shanshui.data.positions import positions
from shanshui.nn.patch_spade import PatchPyramid, to_device

jt = load_jittor()

FULL = Step(level=None, alpha=0.0, fading=False, full=True)


@dataclass(frozen=True)
class Shown:
    """What the networks are shown of N label maps, on the device.

    Attributes:
        segmap: (N, num_classes, H, W), one-hot; all zero where there is no class.
        edges: (N, 1, H, W), boundaries; for generators and discriminators that see them.
        positions: (N, 2, H, W), offsets within each region; for CLADE-ICPE.
        patches: by size (h, w) the label maps' distinct patches, where computing with them is faster.
    """

    segmap: Any
    edges: Any = None
    positions: Any = None
    patches: PatchPyramid = field(default_factory=dict)

    def with_edges(self) -> Any:
        """Label maps and edges as one: (N, num_classes, H, W), or one channel more."""
        return self.segmap if self.edges is None else jt.concat([self.segmap, self.edges], 1)


class Painter:
    """A generator in use; each kind says how it is called.

    Attributes:
        G: the generator.
        E: its encoder, or None.
        model: section of the settings or the metadata it was built from.
        num_classes: channels of the one-hot label maps it is shown.
    """

    def __init__(self, G: Any, E: Any, model: Mapping[str, Any], num_classes: int) -> None:
        self.G, self.E, self.model, self.num_classes = G, E, model, num_classes

    def networks(self) -> dict[str, Any]:
        """By letter, as in a checkpoint."""
        return {"G": self.G} if self.E is None else {"G": self.G, "E": self.E}

    def facts(self) -> dict[str, Any]:
        """What a checkpoint's metadata must say beside the settings, to build the networks again."""
        return {"seg_noise": False}

    @property
    def takes_style(self) -> bool:
        """Whether the random vector is a style, which an encoder may read off a photo."""
        return False

    @property
    def style_encoder(self) -> Any:
        """Photo -> mean and log variance of its style, where there is such an encoder."""
        return self.E if self.takes_style else None

    @property
    def vector(self) -> int:
        """Length of the random vector each picture is made from; 0 for none."""
        return self.model.get("z_dim") or 0

    @property
    def takes_chance(self) -> bool:
        """Whether its pictures depend on random numbers at all."""
        return self.vector > 0

    def patch_sizes(self, height: int, width: int, step: Step = FULL) -> list[tuple[int, int]]:
        """Sizes (h, w) at which the generator can use distinct patches."""
        return []

    def classes(self, label_maps: np.ndarray) -> np.ndarray:
        """Ids as the generator numbers them: 255, no class, may be a class of its own, the last."""
        if not self.model.get("unknown_class"):
            return label_maps
        return np.where(label_maps == NO_CLASS, self.num_classes - 1, label_maps).astype(np.uint8)

    def beside(self, label_maps: np.ndarray, instances: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """What goes with label maps uint8 (N, H, W), by its name in `Shown`; instances (N, H, W) make other edges."""
        return {"edges": edges(label_maps if instances is None else instances)} if self.model.get("edges") else {}

    def show(
        self, label_maps: np.ndarray, sizes: Sequence[tuple[int, int]] = (), instances: np.ndarray | None = None
    ) -> Shown:
        """Label maps uint8 (N, H, W) and what goes with them on the device, with distinct patches at `sizes`."""
        label_maps = self.classes(label_maps)
        beside = {name: jt.array(array) for name, array in self.beside(label_maps, instances).items()}
        segmap = jt.array(one_hot(label_maps, self.num_classes))
        return Shown(segmap, patches=to_device(patch_pyramid(label_maps, sizes), self.num_classes), **beside)

    def paint(self, shown: Shown, chance: Chance, step: Step = FULL) -> Any:
        """Pictures (N, 3, H, W) in [-1, 1], smaller in the steps of a schedule that grows."""
        raise NotImplementedError

    def random_vector(self, shown: Shown, chance: Chance) -> Any:
        """(N, `vector`), or None."""
        return chance.vector(shown.segmap.shape[0], self.vector) if self.vector else None


class ApfPainter(Painter):
    """APF-GAN: a mask encoder, sizes that grow, noise in every SPADE layer."""

    def facts(self) -> dict[str, Any]:
        return {"heads": self.G.heads, "seg_noise": self.G.seg_noise}

    @property
    def takes_chance(self) -> bool:
        return bool(self.G.seg_noise)

    def patch_sizes(self, height: int, width: int, step: Step = FULL) -> list[tuple[int, int]]:
        return self.G.patch_sizes(height, width, step.level, step.alpha)

    def paint(self, shown: Shown, chance: Chance, step: Step = FULL) -> Any:
        noise = chance.layer if self.G.seg_noise else None
        return self.G(
            self.E(shown.segmap), shown.segmap, level=step.level, alpha=step.alpha, noise=noise, patches=shown.patches
        )


class SpadePainter(Painter):
    """SPADE, CLADE and CLADE-ICPE: from the label map, or from a style vector."""

    @property
    def takes_style(self) -> bool:
        return self.vector > 0

    def patch_sizes(self, height: int, width: int, step: Step = FULL) -> list[tuple[int, int]]:
        return self.G.patch_sizes(height, width)

    def beside(self, label_maps: np.ndarray, instances: np.ndarray | None = None) -> dict[str, np.ndarray]:
        found = super().beside(label_maps, instances)
        if self.model["modulation"] == "clade_icpe":
            found["positions"] = np.stack([positions(one) for one in label_maps])
        return found

    def paint(self, shown: Shown, chance: Chance, step: Step = FULL) -> Any:
        return self.G(shown.with_edges(), self.random_vector(shown, chance), shown.positions, shown.patches)


class ConditionalPainter(Painter):
    """CC-FPSE: from the label map, or from a style vector."""

    @property
    def takes_style(self) -> bool:
        return self.vector > 0

    def paint(self, shown: Shown, chance: Chance, step: Step = FULL) -> Any:
        return self.G(shown.with_edges(), self.random_vector(shown, chance))


class OasisPainter(Painter):
    """OASIS: the same random vector at every pixel of a picture."""

    def paint(self, shown: Shown, chance: Chance, step: Step = FULL) -> Any:
        return self.G(shown.segmap, self.random_vector(shown, chance))


class PlainPainter(Painter):
    """pix2pixHD: from the label map alone."""

    def paint(self, shown: Shown, chance: Chance, step: Step = FULL) -> Any:
        return self.G(shown.with_edges())


PAINTERS: dict[str, type[Painter]] = {
    "apf": ApfPainter,
    "spade": SpadePainter,
    "ccfpse": ConditionalPainter,
    "oasis": OasisPainter,
    "pix2pixhd": PlainPainter,
}  # by `kind` in the section model; CLADE is a SPADE of another modulation
