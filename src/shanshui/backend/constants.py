"""Values computed once from weights that do not change, such as weights in the order that a kernel reads.

An array of Jittor has a new number (`Var.id`) whenever its contents are replaced. Values are kept with the numbers of
the arrays that they were computed from, and computed again where one is another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from shanshui.backend.lazy import jt

if TYPE_CHECKING:
    from jittor import Module, Var

Numbers = tuple[int, ...]
_kept: WeakKeyDictionary[Module, dict[str, tuple[Numbers, Var]]] = WeakKeyDictionary()


def unchanging(layer: Module) -> bool:
    """Return whether the weights of a layer can be taken as constants: on a CPU, evaluated, and without gradients."""
    flags = jt.flags
    return bool(flags.no_grad) and not flags.use_cuda and not getattr(layer, "is_train", True)


def constant(layer: Module, name: str, sources: Sequence[Var], make: Callable[[], Var]) -> Var:
    """Return what `make` computes from `sources`; it is kept as long as the layer exists and they do not change.

    Args:
        layer: that it belongs to.
        name: of the value, among those of the layer.
        sources: arrays that it depends on.
        make: computes it.
    """
    found = known(layer, name, sources)
    if found is None:
        found = make().stop_grad()
        _kept.setdefault(layer, {})[name] = tuple([source.id for source in sources]), found
    return found


def known(layer: Module, name: str, sources: Sequence[Var]) -> Var | None:
    """Return a value that is kept, if it is and its sources have not changed."""
    found = _kept.get(layer, {}).get(name)
    return found[1] if found and found[0] == tuple([source.id for source in sources]) else None


def kept(prefix: str = "") -> Iterator[Var]:
    """Yield all values whose names begin with `prefix`."""
    for values in list(_kept.values()):
        yield from (value for name, (_, value) in values.items() if name.startswith(prefix))
