"""Choose, at import, the variant of the kernels for this processor; SMOOTHMAX_KERNEL overrides the choice.

This module is compiled for the baseline, so that the code up to the choice runs on any processor.
"""

import importlib
import importlib.util
import os

from cpython.pycapsule cimport PyCapsule_GetPointer

from smoothmax._kernels.interface cimport Table

cdef extern from "cpu_features.h" nogil:
    bint cpu_has "smoothmax_cpu_has"(const char *feature)

cdef extern from * nogil:
    """
    #if defined(__clang__)
    #define SMOOTHMAX_COMPILER "clang " __clang_version__
    #elif defined(__GNUC__)
    #define SMOOTHMAX_COMPILER "gcc " __VERSION__
    #elif defined(_MSC_VER)
    #define SMOOTHMAX_STRING_(x) #x
    #define SMOOTHMAX_STRING(x) SMOOTHMAX_STRING_(x)
    #define SMOOTHMAX_COMPILER "msvc " SMOOTHMAX_STRING(_MSC_FULL_VER)
    #else
    #define SMOOTHMAX_COMPILER "unknown"
    #endif
    """
    const char *COMPILER "SMOOTHMAX_COMPILER"


# Best first. The features that the compiler may use in the variant, and some processors do not have.
VARIANTS = {
    "x86-64-v4": ("avx2", "fma", "bmi", "bmi2", "f16c", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"),
    "x86-64-v3": ("avx2", "fma", "bmi", "bmi2", "f16c"),
    "baseline": (),
}

FEATURES = {name: bool(cpu_has(name.encode())) for name in VARIANTS["x86-64-v4"]}
compiler = COMPILER.decode()


def module_of(variant):
    return f"smoothmax._kernels.{variant.replace('-', '_')}"


def is_built(variant):
    return importlib.util.find_spec(module_of(variant)) is not None


def missing_features(variant):
    return [feature for feature in VARIANTS[variant] if not FEATURES[feature]]


def choose(wanted):
    """The name of the variant to use: `wanted`, or the best if that is None or empty."""
    if not wanted:
        return next(name for name in VARIANTS if not missing_features(name) and is_built(name))
    if wanted not in VARIANTS:
        raise ImportError(f"SMOOTHMAX_KERNEL={wanted!r} is not a variant of smoothmax: {', '.join(VARIANTS)}")
    if not is_built(wanted):
        raise ImportError(f"SMOOTHMAX_KERNEL={wanted!r} was not built with this installation of smoothmax")
    if missing_features(wanted):
        raise ImportError(
            f"SMOOTHMAX_KERNEL={wanted!r} needs a processor with {', '.join(missing_features(wanted))}"
        )
    return wanted


variant = choose(os.environ.get("SMOOTHMAX_KERNEL"))
_module = importlib.import_module(module_of(variant))
fuses = _module.fuses       # whether fma is one instruction; all variants where it is give the same bits
table = <const Table *>PyCapsule_GetPointer(_module.table, "smoothmax._kernels")
