"""Networks under the rule's weights, and their outputs beside the reference's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import golden_rule
import numpy as np
from golden_files import GoldenFiles, Wanted, close, largest

from shanshui.architectures.converter import translate
from shanshui.backend.modules import restore
from shanshui.backend.runtime import load_jittor

jt = load_jittor()

IMAGE, HIDDEN = 1e-4, 1e-3


class Golden:
    """The reference's files, and the rule that fills weights."""

    def __init__(self, files: GoldenFiles, classes: int) -> None:
        self.classes = classes
        self.files = files

    def __call__(self, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        return self.files(name)

    def fill(self, network: Any, keys: list[Any], key_rule: Callable[[str], str | None], power: int = 0) -> Any:
        """Give a network the rule's values of the reference's keys; strict in both directions.

        `power` is the rule's: iterations that spectral norm's vectors have behind them.
        """
        values = golden_rule.fill({key: tuple(shape) for key, shape in keys}, power=power)
        restore(network, translate(values, key_rule), "golden weights")
        jt.sync_all()  # an array of one number, still pending, makes Jittor's fused kernels uncompilable
        return network

    def segmap(self, label_map: np.ndarray) -> Any:
        return jt.array(golden_rule.onehot(label_map, self.classes))


def close_map(found: Any, wanted: Wanted) -> None:
    """A hidden map, relative to its largest value."""
    close(found, wanted, HIDDEN * largest(wanted))
