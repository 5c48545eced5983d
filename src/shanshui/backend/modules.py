"""Conversion of Jittor modules to and from arrays, strictly (Jittor's own loading ignores missing keys)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shanshui.backend.lazy import Adam, Module, jt
from shanshui.storage.checkpoint import Arrays, check_keys

if TYPE_CHECKING:
    from jittor import Var


def gather(module: Module) -> Arrays:
    """Copy all parameters and buffers of a module to arrays."""
    return {name: np.array(var.numpy()) for name, var in module.state_dict().items()}


def restore(module: Module, arrays: Arrays, source: str) -> None:
    """Set every parameter and buffer of a module.

    Raises:
        ShanshuiError: where names or shapes differ; the message names `source`.
    """
    variables = module.state_dict()
    check_keys(arrays, {name: tuple(var.shape) for name, var in variables.items()}, source)
    for name, var in variables.items():
        var.assign(jt.array(arrays[name]))
    jt.sync_all()  # pending one-element arrays would fuse into kernels that do not compile


def gather_optimizer(optimizer: Adam) -> Arrays:
    """Copy Adam's moments and step counter to arrays, by position."""
    arrays: Arrays = {"step": np.array([optimizer.n_step], np.int64)}
    for g, group in enumerate(optimizer.param_groups):
        for i, (m, v) in enumerate(zip(group["m"], group["values"], strict=True)):
            arrays[f"m.{g}.{i}"], arrays[f"v.{g}.{i}"] = np.array(m.numpy()), np.array(v.numpy())
    return arrays


def restore_optimizer(optimizer: Adam, arrays: Arrays, source: str) -> None:
    """Set Adam's moments and step counter from the arrays of `gather_optimizer`.

    Raises:
        ShanshuiError: where names or shapes differ; the message names `source`.
    """
    wanted: dict[str, tuple[int, ...]] = {"step": (1,)}
    slots: dict[str, Var] = {}
    for g, group in enumerate(optimizer.param_groups):
        for i, (m, v) in enumerate(zip(group["m"], group["values"], strict=True)):
            slots[f"m.{g}.{i}"], slots[f"v.{g}.{i}"] = m, v
    wanted |= {name: tuple(var.shape) for name, var in slots.items()}
    check_keys(arrays, wanted, source)
    optimizer.n_step = int(arrays["step"][0])
    for name, var in slots.items():
        var.assign(jt.array(arrays[name]))
    jt.sync_all()
