"""Switch the interpreters that a program under `python -m smoothmax run` starts; PYTHONPATH makes them import this.

Then import the sitecustomize that would have been imported without this one.
"""

import importlib.machinery
import importlib.util
import os
import sys

here = os.path.dirname(__file__)
kind = os.environ.get("SMOOTHMAX_PATCH_SCIPY")
if kind:
    try:
        from smoothmax._switch.children import follow
    except ImportError:  # an interpreter without smoothmax, or without NumPy
        pass
    else:
        follow(kind)
spec = importlib.machinery.PathFinder.find_spec("sitecustomize", [path for path in sys.path if path != here])
if spec is not None and spec.loader is not None:
    module = importlib.util.module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)
