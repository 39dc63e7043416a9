"""Let a function do something else in a program that is running, and undo that.

A name that a module bound by `from scipy.special import logsumexp` holds the function itself, and so do containers,
default arguments and closures. What all of them share is the function object, so `Exchange` exchanges its code. Walking
the loaded modules would reach no more than the names of modules. A ufunc has no code to exchange, so for it
`Rebinding` does that.

This file knows neither SciPy nor smoothmax.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any

__all__ = ["Exchange", "Rebinding"]

Handler = Callable[..., Any]  # its first argument is a copy of the function as it was, and the others are the call's


def forward(*arguments: Any, _exchange: Exchange, **keywords: Any) -> Any:
    """Serve a function whose code is exchanged. The default of `_exchange` is the only state that the code has."""
    return _exchange.handler(_exchange.original, *arguments, **keywords)


class Exchange:
    """A function that a handler answers for, from now until `undo`.

    Its name, documentation, signature and identity stay. Its attribute `__kwdefaults__` holds this object, because
    code finds nothing of ours among the globals of a foreign module.
    """

    def __init__(self, function: FunctionType, handler: Handler) -> None:
        self.function, self.handler = function, handler
        self.code, self.defaults = function.__code__, function.__kwdefaults__
        self.attributes = dict(vars(function))
        self.original = FunctionType(
            self.code, function.__globals__, function.__name__, function.__defaults__, function.__closure__
        )
        self.original.__kwdefaults__ = self.defaults
        signature = inspect.signature(function)
        # A thread that calls the function between these lines finds either code complete.
        function.__kwdefaults__ = {**(self.defaults or {}), "_exchange": self}
        function.__code__ = forward.__code__.replace(co_freevars=self.code.co_freevars)
        function.__signature__ = signature  # type: ignore[attr-defined]

    def undo(self) -> None:
        """Give the function its own code back. A call that has begun ends as it began."""
        self.function.__code__ = self.code
        self.function.__kwdefaults__ = self.defaults
        vars(self.function).clear()
        vars(self.function).update(self.attributes)


class Rebinding:
    """An object in the place of another, wherever a loaded module has that by its own name, from now until `undo`.

    Modules whose names begin with one of `homes` keep what they have. They define the two objects, and pickle finds
    there what a program holds by another name. The replacement must be an object that nobody else holds: `undo` takes
    it for one of these places.
    """

    def __init__(self, name: str, original: object, replacement: object, homes: tuple[str, ...]) -> None:
        self.name, self.original, self.replacement, self.homes = name, original, replacement, homes
        self.rebind(original, replacement)

    def undo(self) -> None:
        """Bind the name to the original again, also in modules that were loaded in the meantime."""
        self.rebind(self.replacement, self.original)

    def rebind(self, old: object, new: object) -> None:
        for module_name, module in list(sys.modules.items()):
            try:
                names = object.__getattribute__(module, "__dict__")  # without loading a module that waits to be loaded
            except AttributeError:
                continue
            if names.get(self.name) is old and not module_name.startswith(self.homes):
                names[self.name] = new
