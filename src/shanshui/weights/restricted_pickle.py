"""Unpickle untrusted weight files: only listed names resolve, to harmless stand-ins.

A pickle is a program: `pickle.load` runs whatever its author wrote. This unpickler accepts a few names and refuses all
others, so that nothing is imported and only our own code is called.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from typing import BinaryIO

Name = tuple[str, str]
Call = Callable[..., object]  # of a file, with whatever arguments it gives


class Refused(pickle.UnpicklingError):
    """The file asks for something that no weight file needs."""


class StandIn:
    """Callable that an admitted name resolves to; BUILD instructions of the file cannot alter it."""

    __slots__ = ("call",)
    call: Call

    def __init__(self, call: Call) -> None:
        object.__setattr__(self, "call", call)

    def __setattr__(self, name: str, value: object) -> None:
        raise Refused(f"the file tries to set `{name}` on a function")

    def __call__(self, *args: object) -> object:
        """Call the stand-in's function."""
        return self.call(*args)


class PlainDict(dict[object, object]):
    """Stand-in for OrderedDict; drops attributes such as torch's `_metadata`."""

    def __setstate__(self, state: object) -> None:
        """Ignore what a state dict carries besides its entries."""


class Ignored:
    """Stand-in for an object stored with the weights, such as the options of a training; its content is dropped.

    It is the only class that resolves to itself, since pickles create objects from classes only.
    """

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        """Drop it."""


class RestrictedUnpickler(pickle.Unpickler):
    """Unpickler that resolves the names in `admitted` and no others.

    Args:
        stream: binary stream; several pickles in a row are read with one unpickler each.
        admitted: what is called instead, by (module, name).
        persistent: resolves persistent ids (torch's storages); without it they are refused.
    """

    def __init__(
        self,
        stream: BinaryIO,
        admitted: Mapping[Name, Call],
        persistent: Callable[[object], object] | None = None,
    ) -> None:
        super().__init__(stream, encoding="latin1")
        self._admitted = admitted
        self._persistent = persistent

    def find_class(self, module_name: str, global_name: str) -> StandIn | type[Ignored]:
        """Resolve an admitted name; raise Refused for all others."""
        try:
            admitted = self._admitted[module_name, global_name]
            return Ignored if admitted is Ignored else StandIn(admitted)
        except KeyError:
            raise Refused(f"it wants to use {module_name}.{global_name}") from None

    def persistent_load(self, pid: object) -> object:
        """Resolve a persistent id; raise Refused without a function to do so."""
        if self._persistent is None:
            raise Refused("it refers to data outside of itself")
        return self._persistent(pid)
