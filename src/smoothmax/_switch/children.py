"""Processes that a switched program starts are switched too.

Two environment variables tell them: SMOOTHMAX_PATCH_SCIPY says what to exchange, and PYTHONPATH contains the folder
`site` beside this file, whose sitecustomize.py every new interpreter imports. Nothing is written to site-packages, and
a process without the two variables is not switched.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Callable, MutableMapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType

from smoothmax._hooks.threadpoolctl import register_if_whole
from smoothmax._switch.scipy import patch_scipy

__all__ = ["VARIABLE", "announce", "follow"]

Action = Callable[[], None]
VARIABLE = "SMOOTHMAX_PATCH_SCIPY"  # "scipy", or "scikit-learn" for both
SITE = str(Path(__file__).with_name("site"))


def announce(environment: MutableMapping[str, str], *, scikit_learn: bool) -> None:
    """Set the variables for the processes that will get this environment."""
    environment[VARIABLE] = "scikit-learn" if scikit_learn else "scipy"
    path = [part for part in environment.get("PYTHONPATH", "").split(os.pathsep) if part and part != SITE]
    environment["PYTHONPATH"] = os.pathsep.join([SITE, *path])


def follow(kind: str) -> None:
    """Switch this process now if it has already imported the modules to switch, otherwise as soon as it does.

    SciPy is not imported for this, because that takes a tenth of a second. smoothmax is imported before the program
    begins, and so before threadpoolctl; therefore this waits for threadpoolctl, too.
    """
    patch = {"scipy": ["scipy.special"], "scikit-learn": ["scipy.special", "sklearn.utils.extmath"]}.get(kind)
    if patch is None:
        return
    actions: dict[str, Action] = dict.fromkeys(patch, partial(switch_loaded, kind))
    actions["threadpoolctl"] = register_limits
    for name in actions.keys() & sys.modules.keys():
        actions.pop(name)()
    if actions:
        sys.meta_path.insert(0, Finder(actions))


def switch_loaded(kind: str) -> None:
    """Exchange the functions of loaded modules: those of scikit-learn only if it is loaded."""
    patch_scipy(scikit_learn=kind == "scikit-learn" and "sklearn.utils.extmath" in sys.modules)


def register_limits() -> None:
    """Let threadpoolctl limit the threads of smoothmax, unless it is too old."""
    register_if_whole(sys.modules["threadpoolctl"])


class Finder(importlib.abc.MetaPathFinder):
    """Finds the modules it waits for by the other finders, and acts after they are executed."""

    def __init__(self, actions: dict[str, Action]) -> None:
        self.actions = actions

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find one of the modules by the finders after this one."""
        if name not in self.actions:
            return None
        for finder in sys.meta_path:
            if finder is not self and (spec := finder.find_spec(name, path, target)) is not None:
                if spec.loader is not None:
                    spec.loader = Loader(spec.loader, partial(self.act, name))
                return spec
        return None

    def act(self, name: str) -> None:
        """Act once. A module that was only looked for, or failed to import, may still be imported later."""
        action = self.actions.pop(name, None)
        if action is None:
            return
        if not self.actions:
            sys.meta_path.remove(self)
        action()


class Loader(importlib.abc.Loader):
    """Loads a module as another loader does, and then acts."""

    def __init__(self, loader: importlib.abc.Loader, action: Action) -> None:
        self.loader, self.action = loader, action

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """Create the module as its own loader does."""
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module with its own loader, which the module keeps, and act."""
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self.loader
        self.loader.exec_module(module)
        self.action()
