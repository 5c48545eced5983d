"""Pictures of label maps by SPADE's generator and its relatives: in a random style, a photo's, or a given one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shanshui.data.labels import NO_CLASS, one_hot
from shanshui.data.positions import positions
from shanshui.errors import ShanshuiError, UsageError
from shanshui.models import patch_spade
from shanshui.models.edges import edges
from shanshui.noise import image_style
from shanshui.patches import patch_pyramid
from shanshui.runtime import load_jittor

jt = load_jittor()

Styles = Callable[[Sequence[str]], np.ndarray | None]  # names of N images -> (N, z_dim), None without z


def random_styles(z_dim: int | None, seed: int | None) -> Styles:
    """Standard normal by (seed, name), so that batches do not matter; seed None is the mean style, zero."""

    def styles(names: Sequence[str]) -> np.ndarray | None:
        if z_dim is None:
            return None
        if seed is None:
            return np.zeros((len(names), z_dim), np.float32)
        return np.stack([image_style(seed, name, z_dim) for name in names])

    return styles


def one_style(z: np.ndarray, z_dim: int, source: object) -> Styles:
    """The same style (z_dim,) or (1, z_dim) for every image."""
    vector = np.asarray(z, np.float32)
    if vector.shape not in ((z_dim,), (1, z_dim)) or not np.isfinite(vector).all():
        raise UsageError(f"{source} holds numbers of shape {vector.shape}", f"{z_dim} finite numbers, float32")
    return lambda names: np.tile(vector.reshape(1, -1), (len(names), 1))


def style_of(E: Any, photo: np.ndarray) -> np.ndarray:
    """Mean style (z_dim,) of a photo float32 (3, H, W) in [-1, 1], by the encoder."""
    with jt.no_grad():
        mean, _ = E(jt.array(photo[None]))
        style = np.array(mean.numpy()[0])
    jt.sync_all()
    return style


def paint(
    G: Any, model: dict[str, Any], label_maps: np.ndarray, z: np.ndarray | None, instances: np.ndarray | None = None
) -> np.ndarray:
    """Pictures float32 (N, 3, H, W) in [-1, 1] of label maps uint8 (N, H, W).

    Args:
        G: a SPADEGenerator, or CC-FPSE's ConditionalGenerator.
        model: section of its metadata.
        label_maps: 255 is no class, which the last channel stands for where model.unknown_class is set.
        z: (N, z_dim), or None for a generator that starts from the label map.
        instances: numbers of instances (N, H, W), for a generator with edges; without, classes are taken for them.
    """
    last = model["num_classes"] - 1
    if model["unknown_class"]:
        label_maps = np.where(label_maps == NO_CLASS, last, label_maps).astype(np.uint8)
    around = label_maps if instances is None else instances
    together = 1 if patch_spade.available() else len(label_maps)  # as each is alone, it needs only its own patches
    parts = [slice(i, i + together) for i in range(0, len(label_maps), together)]
    return np.concatenate([
        _paint(G, model, label_maps[part], None if z is None else z[part], around[part]) for part in parts
    ])  # fmt: skip


def _paint(
    G: Any, model: dict[str, Any], label_maps: np.ndarray, z: np.ndarray | None, around: np.ndarray
) -> np.ndarray:
    segmap = one_hot(label_maps, model["num_classes"])
    segmap = np.concatenate([segmap, edges(around)], 1) if model["edges"] else segmap
    if model["kind"] == "ccfpse":
        with jt.no_grad():
            pictures = np.array(G(jt.array(segmap), None if z is None else jt.array(z)).numpy())
        jt.sync_all()
        return pictures
    place = np.stack([positions(one) for one in label_maps]) if model["modulation"] == "clade_icpe" else None
    pyramid = patch_pyramid(label_maps, G.patch_sizes(*label_maps.shape[1:]))
    with jt.no_grad():
        z, place = (a if a is None else jt.array(a) for a in (z, place))
        patches = patch_spade.to_device(pyramid, model["num_classes"])
        pictures = np.array(G(jt.array(segmap), z, place, patches).numpy())
    jt.sync_all()
    return pictures


def need_encoder(E: Any, source: object) -> Any:
    """The style encoder; ShanshuiError where the weights have none."""
    if E is None:
        raise ShanshuiError(
            f"{source} holds no style encoder", "one, to see a photo's style", "import the weights with --encoder"
        )
    return E
