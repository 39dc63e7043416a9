"""The ufuncs that replace SciPy's, by SciPy's names.

Pickle finds a ufunc by its name in a module. Here it finds ufuncs that a program still holds after SciPy's are
restored.
"""

import importlib

from smoothmax._arrays.elementwise import make_stand_in

__all__ = ["log_expit"]

log_expit = make_stand_in(importlib.import_module("scipy.special").log_expit)
