"""Report what is installed, where its header is, and what it runs on. _kernels/dispatch makes the choice."""

import contextlib
import os
import sys
from typing import Any

import numpy as np

from smoothmax._kernels import dispatch as _dispatch

__all__ = ["get_include", "show_config"]


def get_include() -> str:
    """The folder with ``smoothmax.h``, for compilers of C and Cython modules that use the C interface.

    Returns
    -------
    str
        An absolute path, for ``include_dirs`` of an extension or ``-I`` of a compiler.

    See Also
    --------
    numpy.get_include : the same of NumPy.

    Notes
    -----
    ``cimport smoothmax`` needs the folder as well, since Cython writes C that includes ``smoothmax.h``. Nothing is
    linked: at run time ``smoothmax_import()`` of the header finds the functions in the installed smoothmax.

    Examples
    --------
    >>> import os
    >>> import smoothmax
    >>> os.listdir(smoothmax.get_include())
    ['smoothmax.h']
    """
    import smoothmax

    return os.path.join(os.path.dirname(os.path.abspath(smoothmax.__file__)), "include")


def show_config(mode: str = "stdout") -> dict[str, dict[str, Any]] | None:
    """Show which kernels of smoothmax run, what they were built with and what they run on.

    Parameters
    ----------
    mode : {'stdout', 'dicts'}, optional
        'stdout' (the default) prints, 'dicts' returns the same as a dictionary of dictionaries.

    Returns
    -------
    dict or None
        With ``mode='dicts'``, the configuration; otherwise None.

    Raises
    ------
    AttributeError
        A `mode` that is neither, like `numpy.show_config`.
    ImportError
        Raised on import, not here: the environment variable SMOOTHMAX_KERNEL names a variant that does not exist, was
        not built, or cannot run on this processor.

    See Also
    --------
    numpy.show_config : the same of NumPy.

    Notes
    -----
    "SIMD Extensions" lists what the variants of the kernels need, not everything that the processor has. If a variant
    is built and none of its extensions is "not found", ``SMOOTHMAX_KERNEL=<variant>`` selects it.

    Examples
    --------
    >>> import smoothmax
    >>> config = smoothmax.show_config(mode="dicts")
    >>> config["Kernels"]["variant"] in config["Kernels"]["built"]
    True
    """
    if mode == "dicts":
        return configuration()
    if mode != "stdout":
        raise AttributeError(f"mode must be 'stdout' or 'dicts', got {mode!r}")
    for title, entries in configuration().items():
        print(f"{title}:")
        for name, entry in entries.items():
            print(f"  {name}: {', '.join(entry) or '-' if isinstance(entry, list) else entry}")
    return None


def configuration() -> dict[str, dict[str, Any]]:
    """Everything that show_config shows, by title and name."""
    import platform

    import smoothmax

    return {
        "Versions": {
            "smoothmax": smoothmax.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "Kernels": {
            "variant": _dispatch.variant,
            "built": [name for name in _dispatch.VARIANTS if _dispatch.is_built(name)],
            "compiler": _dispatch.compiler,
        },
        "Machine Information": {
            "processor": processor_model(),
            "architecture": platform.machine(),
            "system": platform.system(),
        },
        "SIMD Extensions": {
            "found": [name for name, found in _dispatch.FEATURES.items() if found],
            "not found": [name for name, found in _dispatch.FEATURES.items() if not found],
        },
    }


def processor_model() -> str:
    """The name that the manufacturer gives, or that of platform.processor() if the system does not say."""
    import platform

    if sys.platform == "linux":
        with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                key, _, model = line.partition(":")
                if key.strip() == "model name":
                    return model.strip()
    elif sys.platform == "darwin":
        import subprocess

        with contextlib.suppress(OSError):
            asked = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True)
            if asked.returncode == 0:
                return asked.stdout.strip()
    return platform.processor() or "unknown"
