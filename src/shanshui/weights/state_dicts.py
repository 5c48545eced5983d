"""Find the state dict in a file: inside a training checkpoint, a parallel wrapper or a compiled model.

Only what is unambiguous is unwrapped: the only state dict in the file, or the only one under the name of the network
asked for. If several could be meant, they are named in an error.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar, cast

from shanshui.errors import ShanshuiError

Value = TypeVar("Value")
WRAPPERS = ("module.", "_orig_mod.")  # of DataParallel and DistributedDataParallel, of torch.compile
COUNTERS = {"n_averaged"}  # beside the weights of torch's AveragedModel
ROLES = {  # names of a network in a checkpoint of several, by our letter
    "G": ("generator", "net_G", "netG", "G", "gen", "model_G"),
    "E": ("encoder", "net_E", "netE", "E", "model_E"),
    "D": ("discriminator", "net_D", "netD", "D", "dis", "model_D"),
}
PASSED = ("optim", "sched", "scaler", "amp")  # beginnings of names of what is no network
DEEPEST = 3


def state_of(
    loaded: Mapping[object, object], is_array: Callable[[object], bool], source: str, role: str | None = None
) -> dict[str, object]:
    """Return the state dict in the content of a weight file, its keys without the prefixes of wrappers.

    Args:
        loaded: content of the file.
        is_array: recognises the reader's arrays.
        source: how error messages call the file.
        role: letter of the network to return, "G", "E" or "D"; None if there is only one.

    Returns:
        The state dict; `loaded` itself if it has none, for the reader to refuse.

    Raises:
        ShanshuiError: there are several, and any could be meant.
    """
    if loaded and all(is_array(value) for value in loaded.values()):
        return unwrapped({str(key): value for key, value in loaded.items()}, role)
    found = dict(_state_dicts(loaded, is_array))
    if not found:
        return cast("dict[str, object]", dict(loaded))
    named = [place for place in found if place[-1] in ROLES.get(role or "", ())]
    averages = [place for place in found if any("ema" in part.lower() for part in place)]
    chosen = named if len(named) == 1 and not averages else list(found)
    if len(chosen) != 1:
        shown = ", ".join(f"{'.'.join(place)} ({len(state)} arrays)" for place, state in found.items())
        raise ShanshuiError(
            f"{source} holds several state dicts: {shown}",
            "a state dict, or a checkpoint in which one alone can be meant",
            f"save the one you want: torch.save(torch.load(FILE){''.join(f'[{part!r}]' for part in chosen[0])}, NEW)",
        )
    (place,) = chosen
    print(f"{source}: the state dict under {'.'.join(place)} is taken", file=sys.stderr)
    return unwrapped({str(key): value for key, value in found[place].items()}, role)


def _state_dicts(
    loaded: Mapping[object, object], is_array: Callable[[object], bool], place: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Mapping[str, object]]]:
    """Yield the dicts within a dict that hold only arrays under keys of torch's or Jittor's form, and their place."""
    for key, value in loaded.items():
        if not isinstance(key, str) or key.lower().startswith(PASSED) or not isinstance(value, dict) or not value:
            continue
        if all(isinstance(name, str) and is_array(entry) for name, entry in value.items()):
            if any("." in name for name in value):  # else it is one layer of flax's nested ones
                yield (*place, key), value
        elif len(place) + 1 < DEEPEST:
            yield from _state_dicts(value, is_array, (*place, key))


def unwrapped(state: Mapping[str, Value], role: str | None = None) -> dict[str, Value]:
    """Remove prefixes common to all keys, such as `module.`; of networks in one dict, select that of `role`.

    Raises:
        ShanshuiError: the dict also holds a moving average of the weights.
    """
    found = dict(state)
    while True:
        rest = {key: value for key, value in found.items() if key not in COUNTERS}
        start = next((start for start in WRAPPERS if rest and all(key.startswith(start) for key in rest)), None)
        if start is None:
            break
        found = {key.removeprefix(start): value for key, value in rest.items()}
    beside = sorted({start for key in found if "ema" in (start := key.partition(".")[0]).lower().split("_")})
    for name in ROLES.get(role or "", ()):
        if beside and any(key.startswith(f"{name}.") for key in found):
            raise ShanshuiError(
                f"{name} and {', '.join(beside)}, a moving average, stand side by side in one state dict",
                "the weights of one network",
                "save those you want: {k: v for k, v in state.items() if k.startswith('NAME.')}",
            )
        if own := {key.removeprefix(f"{name}."): v for key, v in found.items() if key.startswith(f"{name}.")}:
            return unwrapped(own)
    return found
