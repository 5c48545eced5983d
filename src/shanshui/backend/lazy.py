"""Jittor for modules that must not load it when they are imported: `jt`, `nn`, and base classes for layers.

`jt` and `nn` stand for `jittor` and `jittor.nn`, and load Jittor when an attribute of theirs is first used. A class
cannot wait in this way for the class that it derives from. Ours derive from `Module`, `Function`, `Conv` or `Adam` of
this module, which receive Jittor's classes of these names as bases when Jittor is loaded, at the latest when an
instance is made. All instances thus are instances of Jittor's own classes: what these do is inherited, not imitated.

Use `jt` and `nn` within functions and methods only: the top of a module, with its decorators, default values and class
bodies, is executed on import.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

__all__ = ["Adam", "Conv", "Function", "Module", "attach", "jt", "nn"]

if TYPE_CHECKING:
    import jittor as jt
    from jittor import Function, Module, nn
    from jittor.nn import Conv
    from jittor.optim import Adam
else:

    def _load() -> ModuleType:
        from shanshui.backend.runtime import load_jittor

        return load_jittor()

    class _Attributes:
        """Attributes of the module that `find` returns, read and set as if they were this one's.

        Once it is loaded both share the dictionary of their attributes: finding one costs as much as in the module.
        """

        __slots__ = ("__dict__", "_find")

        def __init__(self, find):
            object.__setattr__(self, "_find", find)

        def __getattr__(self, name):
            return getattr(self._find(), name)

        def __setattr__(self, name, value):
            setattr(self._find(), name, value)

        def __delattr__(self, name):
            delattr(self._find(), name)

    class _Loading:
        """Load Jittor before an instance is made."""

        def __new__(cls, *args, **kwargs):
            if not _loaded:
                _load()
            return object.__new__(cls)

    class _Unloaded:
        """Stand for one of Jittor's classes until it is loaded."""

    class Module(_Loading, _Unloaded):
        """`jittor.nn.Module`."""

        __setattr__ = object.__setattr__  # which Jittor's calls, by a function in Python

    class Function(_Loading, _Unloaded):
        """`jittor.Function`, with less to do at every call: a step makes some two hundred."""

        __setattr__ = object.__setattr__

        def __call__(self, *args):
            """Execute, and have `grad` compute the gradients of all arguments from those of all results."""
            jittor = _loaded[0]
            if jittor.flags.no_grad:
                return self.execute(*args)
            given, inputs, places = [], [], []
            for arg in args:
                place = -1
                if isinstance(arg, jittor.Var):
                    place = -2  # as Jittor calls those without gradients
                    if not arg.is_stop_grad():
                        place = len(inputs)
                        arg = arg.tape()
                        inputs.append(arg)
                given.append(arg)
                places.append(place)
            found = self.execute(*given)
            alone = not isinstance(found, tuple | list)
            results, outputs, made = [], [], []
            for one in (found,) if alone else found:
                place = -1
                if isinstance(one, jittor.Var):
                    place = len(outputs)
                    one = one.tape()
                    outputs.append(one)
                results.append(one)
                made.append(place)
            self.input_mask, self.output_mask = places, made
            jittor.tape_together(inputs, outputs, self._grad)
            return results[0] if alone else results

        def _grad(self, *args):  # by Jittor
            found = self.grad(*[args[place] if place >= 0 else None for place in self.output_mask])
            grads = found if isinstance(found, tuple | list) else (found,)
            return [grad for grad, place in zip(grads, self.input_mask, strict=False) if place >= 0]

    class Conv(_Loading, _Unloaded):
        """`jittor.nn.Conv`."""

        __setattr__ = object.__setattr__

    class Adam(_Loading, _Unloaded):
        """`jittor.optim.Adam`."""

    _loaded: list[ModuleType] = []
    jt = _Attributes(lambda: _loaded[0] if _loaded else _load())
    nn = _Attributes(lambda: (_loaded[0] if _loaded else _load()).nn)


def attach(jittor: ModuleType) -> None:
    """Give `Module`, `Function`, `Conv` and `Adam` the classes of these names in the loaded `jittor` as bases."""
    if not TYPE_CHECKING:
        _loaded[:] = [jittor]
        for proxy, module in ((jt, jittor), (nn, jittor.nn)):  # a step looks two thousand attributes up
            object.__setattr__(proxy, "__dict__", module.__dict__)
    theirs = (jittor.Module, jittor.Function, jittor.nn.Conv, jittor.optim.Adam)
    for ours, base in zip((Module, Function, Conv, Adam), theirs, strict=True):
        ours.__bases__ = (*ours.__bases__[:-1], base)
