"""What networks are built from: sections of settings and headers, and their context of classes, size and switches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypedDict

from shanshui.storage.size import Size

Edges = Literal["none", "label", "instance"]
Options = dict[str, object]  # the section of a network: every option, the name first
SWITCHES = ("spectral_norm", "seg_noise_init", "full_order", "pool_padding")  # of `parity`, which networks read


class DataEntry(TypedDict):
    """Entry `data` of settings and headers, as far as networks depend on it."""

    classes: list[str]
    width: int
    height: int


class ModelEntry(TypedDict, total=False):
    """Entry `model` of settings and headers: the networks, and what they are given besides label maps."""

    generator: Options
    discriminator: Options
    edges: Edges
    unknown_class: bool
    plan: Mapping[str, int]


class Sections(TypedDict, total=False):
    """What networks are built from: entries that settings of training and headers of weights have in common."""

    data: DataEntry
    model: ModelEntry
    parity: Mapping[str, str]
    heads: int
    seg_noise: bool


@dataclass(frozen=True)
class Context:
    """What networks depend on in addition to their own options.

    Attributes:
        num_classes: channels of the one-hot label maps.
        size: of the images; None where it is not known.
        unknown_class: the last of the classes is that of unlabelled pixels.
        edges: boundaries of classes, or of instances, are one channel more of the label maps.
        parity: switches of the section `parity` that networks read (`SWITCHES`).
        heads: output sizes below the full one, of generators that grow.
        seg_noise: noise in the SPADE layers of generators that know it.
        plan: channels of the generator's groups of which some were removed (`nn.channel_groups`).
    """

    num_classes: int
    size: Size | None = None
    unknown_class: bool = False
    edges: Edges = "none"
    parity: Mapping[str, str] = field(default_factory=dict)
    heads: int = 0
    seg_noise: bool = False
    plan: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, meta: Sections) -> Context:
        """Read the context from training's settings or a checkpoint's metadata."""
        data, model, parity = meta["data"], meta["model"], meta.get("parity", {})
        unknown = model.get("unknown_class", False)
        return cls(
            num_classes=len(data["classes"]) + unknown,
            size=Size(data["height"], data["width"]) if data.get("height") and data.get("width") else None,
            unknown_class=unknown,
            edges=model.get("edges", "none"),
            parity={name: parity[name] for name in SWITCHES if name in parity},
            heads=meta.get("heads", 0),
            seg_noise=meta.get("seg_noise", False),
            plan=model.get("plan", {}),
        )
