"""Replace what a function does in a running program, and undo that.

After `from scipy.special import logsumexp`, a module's name refers to the function object, and so may containers,
default arguments and closures. They all share the function object, so `Exchange` exchanges its code. Rebinding names in
the loaded modules would reach only those names. A ufunc has no code to exchange, so `Rebinding` does that for ufuncs.

This file knows neither SciPy nor smoothmax.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any

__all__ = ["Exchange", "Rebinding"]

Handler = Callable[..., Any]  # its first argument is a copy of the original function, the others are those of the call


def forward(*arguments: Any, **keywords: Any) -> Any:
    """The code of a function whose code is exchanged. An Exchange takes the place of the constant."""
    exchange: Any = "an Exchange"
    return exchange.handler(exchange.original, *arguments, **keywords)


class Exchange:
    """A function whose calls a handler answers, from `make` until `undo`.

    The function keeps its name, documentation, signature and identity. This object is a constant of the new code,
    because the globals of a foreign module have no names of ours. A default argument would be a second thing to
    exchange, and without the GIL a call could see only one of them. Everything that needs memory is done before the
    function changes, so a lack of memory leaves it as it was.
    """

    def __init__(self, function: FunctionType, handler: Handler) -> None:
        self.function, self.handler = function, handler
        self.code = function.__code__
        self.attributes = vars(function)  # made by this, where the function had none yet
        self.signature = self.attributes.get("__signature__")
        self.original = FunctionType(
            self.code, function.__globals__, function.__name__, function.__defaults__, function.__closure__
        )
        self.original.__kwdefaults__ = function.__kwdefaults__
        constants = tuple(self if each == "an Exchange" else each for each in forward.__code__.co_consts)
        self.new_code = forward.__code__.replace(co_freevars=self.code.co_freevars, co_consts=constants)
        self.new_signature = inspect.signature(function)

    def make(self) -> None:
        """Let the handler answer. A thread that calls the function meanwhile finds either code complete."""
        self.attributes["__signature__"] = self.new_signature
        self.function.__code__ = self.new_code

    def undo(self) -> None:
        """Restore the function's own code. A call that has already begun is not changed."""
        self.function.__code__ = self.code
        if self.signature is None:
            self.attributes.pop("__signature__", None)
        else:
            self.attributes["__signature__"] = self.signature


class Rebinding:
    """An object that replaces another, from `make` until `undo`, in all loaded modules that have it by its own name.

    Modules whose names begin with one of `homes` are not changed, because they define the two objects, and pickle looks
    for them there. No other code may hold the replacement, because `undo` replaces it wherever it finds it.
    """

    def __init__(self, name: str, original: object, replacement: object, homes: tuple[str, ...]) -> None:
        self.name, self.original, self.replacement, self.homes = name, original, replacement, homes

    def make(self) -> None:
        """Bind the name to the replacement."""
        self.rebind(self.original, self.replacement)

    def undo(self) -> None:
        """Bind the name to the original again, also in modules that were loaded in the meantime."""
        self.rebind(self.replacement, self.original)

    def rebind(self, old: object, new: object) -> None:
        for module_name, module in list(sys.modules.items()):
            try:
                names = object.__getattribute__(module, "__dict__")  # without loading lazy modules
            except AttributeError:
                continue
            if names.get(self.name) is old and not module_name.startswith(self.homes):
                names[self.name] = new
