"""Check the arguments of `Synthesizer.generate`: label maps, names, instance maps, seeds; styles are in `styles`."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, SupportsIndex, cast

import numpy as np

from shanshui.data.labels import Classes, value_counts
from shanshui.errors import UsageError
from shanshui.storage.size import Size

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


FORM = "class ids as whole numbers, (H, W) or (N, H, W)"
ONE_HOT = "of one-hot arrays take the argmax over the axis of the classes"


def label_batch(label_maps: ArrayLike, classes: Classes, size: Size | None, divisor: int) -> np.ndarray:
    """Check label maps (H, W) or (N, H, W) of any integer type, and return them as uint8 (N, H, W).

    Args:
        label_maps: class ids.
        classes: whose ids are allowed; 255, no class, only if they have an `ignore_label`.
        size: the only size allowed; None allows all whose sides are multiples of `divisor`.
        divisor: of the network.

    Raises:
        UsageError: no integers, another number of axes, a one-hot array, another size, or an id that is no class.
    """
    batch = _integers(label_maps, "label maps", FORM, ONE_HOT)
    if batch.ndim == 4 or _is_one_hot(batch, len(classes.names)):
        raise UsageError(f"a one-hot array of shape {batch.shape}", FORM, ONE_HOT)
    batch = _three_axes(batch, "label maps", FORM)
    check_size(Size.of_maps(batch), size, divisor)
    wrong = (batch < 0) | (batch >= len(classes.names))
    if classes.no_class is not None:
        wrong &= batch != classes.no_class
    if wrong.any():
        found = ", ".join(f"{value} ({pixels} pixels)" for value, pixels in value_counts(batch[wrong]).items())
        nothing = "" if classes.no_class is None else f", or {classes.no_class} for no class"
        raise UsageError(
            f"label maps hold ids that are no class: {found}",
            f"0 to {len(classes.names) - 1}, as in `classes.names`{nothing}",
            "read label map files with `read_label_map`, which knows their offset and the number for no class",
        )
    return batch.astype(np.uint8)


def check_size(found: Size, size: Size | None, divisor: int) -> None:
    """Check that label maps of size `found` have the required `size`, and sides that are multiples of `divisor`.

    Raises:
        UsageError: they have not.
    """
    if size and found != size:
        raise UsageError(
            f"label maps of {found} (width x height)", f"{size}, the size of these weights",
            "resize by nearest neighbour, as `read_label_map` does, or load the weights with another `size`",
        )  # fmt: skip
    if min(found) < 1 or found.height % divisor or found.width % divisor:
        raise UsageError(f"size {found}", f"sides that are multiples of {divisor} for this network")


def instance_batch(instances: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    """Check instance ids (H, W) or (N, H, W) of any integer type, and return them as (N, H, W).

    Raises:
        UsageError: no integers, or not the label maps' `shape`.
    """
    form = f"whole numbers of the label maps' shape {shape}"
    batch = _three_axes(_integers(instances, "instance maps", form), "instance maps", form)
    if batch.shape != shape:
        raise UsageError(f"instance maps of shape {batch.shape}", form)
    return batch


def image_names(names: str | Sequence[str] | None, count: int) -> list[str]:
    """Return one name for each of `count` images; by default their numbers from 0.

    Raises:
        UsageError: there is another number of names.
    """
    if names is None:
        return [str(number) for number in range(count)]
    given = [names] if isinstance(names, str) else list(names)
    if len(given) != count or not all(isinstance(name, str) for name in given):
        raise UsageError(f"names {given[:4]} for {count} label map(s)", "one text for each label map")
    return given


def whole_seed(seed: object) -> int | None:
    """Return the seed as int, or None for no noise; 7 and NumPy's 7 are one seed.

    Raises:
        UsageError: it is not an integer.
    """
    try:
        return None if seed is None else int(operator.index(cast("SupportsIndex", seed)))
    except TypeError:
        raise UsageError(f"seed {seed!r}", "a whole number, or None for no noise") from None


def _integers(given: ArrayLike, what: str, form: str, do: str = "") -> np.ndarray:
    """Convert to an array; raise UsageError if it does not hold integers."""
    try:
        array = np.asarray(given)
    except ValueError:
        raise UsageError(f"{what} of several sizes", "one size in a batch", "generate them one by one") from None
    if array.dtype.kind not in "iu":
        raise UsageError(f"{what} of type {array.dtype} and shape {array.shape}", form, do)
    return array


def _three_axes(array: np.ndarray, what: str, form: str) -> np.ndarray:
    """Return (H, W) or (N, H, W), N at least 1, as (N, H, W); raise UsageError for others."""
    batch = array[None] if array.ndim == 2 else array
    if batch.ndim != 3 or not len(batch):
        raise UsageError(f"{what} of shape {array.shape}", form)
    return batch


def _is_one_hot(array: np.ndarray, classes: int) -> bool:
    """Test whether (C, H, W) is a one-hot label map; with two classes it could as well be two label maps."""
    return array.ndim == 3 and len(array) == classes > 2 and bool(((array != 0).sum(0) == 1).all()) and array.max() == 1
