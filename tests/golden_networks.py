"""Networks under the rule's weights, and their outputs beside the reference's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from golden_rule import load_rule

from shanshui.architectures.keys import translate
from shanshui.backend.modules import restore
from shanshui.backend.runtime import load_jittor

jt = load_jittor()

IMAGE, HIDDEN = 1e-4, 1e-3


class Golden:
    """The reference's files: settings (json), arrays (npz) and the rule that fills weights."""

    def __init__(self, shared: Path, classes: int) -> None:
        self.classes = classes
        self.folder = shared / "golden"
        self.rule = load_rule(shared)
        self.opened: dict[str, tuple[dict[str, Any], dict[str, np.ndarray]]] = {}

    def __call__(self, name: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        if name not in self.opened:
            with np.load(self.folder / f"{name}.npz") as arrays:
                self.opened[name] = json.loads((self.folder / f"{name}.json").read_text()), dict(arrays)
        return self.opened[name]

    def fill(self, network: Any, keys: list[Any], key_rule: Callable[[str], str | None], power: int = 0) -> Any:
        """Give a network the rule's values of the reference's keys; strict in both directions.

        `power` is the rule's: iterations that spectral norm's vectors have behind them.
        """
        values = self.rule.fill({key: tuple(shape) for key, shape in keys}, power=power)
        restore(network, translate(values, key_rule), "golden weights")
        jt.sync_all()  # an array of one number, still pending, makes Jittor's fused kernels uncompilable
        return network

    def segmap(self, label_map: np.ndarray) -> Any:
        return jt.array(self.rule.onehot(label_map, self.classes))


def close(found: Any, wanted: np.ndarray, tolerance: float) -> None:
    assert tuple(found.shape) == wanted.shape
    np.testing.assert_allclose(found.numpy(), wanted, atol=tolerance, rtol=0)


def close_map(found: Any, wanted: np.ndarray) -> None:
    """A hidden map, relative to its largest value."""
    close(found, wanted, HIDDEN * float(np.abs(wanted).max()))
