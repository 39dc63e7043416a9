"""The extension modules, and switches for other builds of them. pyproject.toml cannot state these.

SMOOTHMAX_DEBUG=1            no optimisation, debugging symbols
SMOOTHMAX_OPTIMISATION=1     -O1 in the place of -O3, which CFLAGS cannot change: the package's flags follow it
SMOOTHMAX_SANITIZE=address   any value of -fsanitize=
SMOOTHMAX_BUILD_KERNELS=x86_64_v3,...   builds only the baseline and these variants of the kernels
SMOOTHMAX_COVERAGE=1         line tracing of the Cython code, for coverage's Cython plugin
"""

import os
import pathlib
import platform
import tempfile

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

DEBUG = os.environ.get("SMOOTHMAX_DEBUG", "0") not in ("", "0")
COVERAGE = os.environ.get("SMOOTHMAX_COVERAGE", "0") not in ("", "0")
SANITIZE = os.environ.get("SMOOTHMAX_SANITIZE", "")
OPTIMISATION = "0" if DEBUG else os.environ.get("SMOOTHMAX_OPTIMISATION", "") or "3"

# Modules that are compiled once, for every processor.
PORTABLE = (
    "_api.functions", "_api.losses", "_api.scans", "_api.segments", "_arrays.call", "_arrays.elements",
    "_arrays.losses", "_arrays.scans", "_arrays.segments", "_kernels.dispatch", "_partial.states",
    "_schedule.narrow", "_schedule.pool", "_schedule.results", "_schedule.route", "_schedule.rows",
    "_schedule.scratch", "_schedule.segments", "_schedule.threads", "_schedule.tiles", "_schedule.units",
    "_schedule.walk", "_thresholds",
)  # fmt: skip
# The kernels are compiled once for each instruction set. _kernels/dispatch.pyx states the features that each needs.
VARIANTS = {"baseline": []}
if platform.machine().lower() in ("x86_64", "amd64"):
    VARIANTS["x86_64_v3"] = ["-march=x86-64-v3"]
    VARIANTS["x86_64_v4"] = ["-march=x86-64-v4", "-mprefer-vector-width=512"]
wanted = [name for name in os.environ.get("SMOOTHMAX_BUILD_KERNELS", "").split(",") if name]
if unknown := set(wanted) - set(VARIANTS):
    raise SystemExit(f"SMOOTHMAX_BUILD_KERNELS names {', '.join(sorted(unknown))}: there are {', '.join(VARIANTS)}")
VARIANTS = {name: flags for name, flags in VARIANTS.items() if not wanted or name in wanted or name == "baseline"}

# GCC would replace loops that fill or copy memory by calls of the C library. With ten elements these cost a call more
# than all its exponentials. The flags of Python have -g, which takes five sixths of the size of a kernel module and a
# third of the time to compile it (2026-11).
PORTABLE_FLAGS = ["-fno-tree-loop-distribute-patterns", "-g0"]
# GCC vectorises clamps only with -fno-trapping-math. -ffast-math would cancel the rounding constants.
# An exponential is one long chain of instructions. Only with these flags of scheduling does GCC mix several chains.
# GCC would unroll loops over 16 lanes completely before it vectorises them, and leave them scalar. In float64 all that
# happens between blocks is such loops, a sixth of its time.
KERNEL_FLAGS = [
    *PORTABLE_FLAGS, "-fno-trapping-math", "-fno-math-errno", "-ffp-contract=fast", "-fschedule-insns",
    "-fsched-pressure", "--param=max-completely-peel-times=8",
]  # fmt: skip

# At -O1, and only there, GCC 12 drops calls of functions that write through pointers unless it leaves out these two
# analyses: tools/gcc12_o1.c shows it.
MISCOMPILING_AT_O1 = ["-fno-ipa-modref", "-fno-ipa-pure-const"]

# Functions of the kernels must be inlined: lanes are local arrays that no pointer may reach, and widths are constants.
ALWAYS_INLINE = () if os.name == "nt" else (("CYTHON_INLINE", "inline __attribute__((always_inline))"),)


class BuildExtensions(build_ext):
    """Compile modules in parallel. With MSVC, use its own flags and build only the baseline."""

    def finalize_options(self) -> None:
        """Run one compiler for each processor, unless -j says otherwise."""
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def build_extensions(self) -> None:
        """Set the flags of MSVC, and those of GCC at -O1. setuptools calls this once the compiler is known."""
        if self.compiler.compiler_type == "msvc":
            self.extensions = [e for e in self.extensions if not e.optional]
            for extension in self.extensions:
                extension.extra_compile_args = ["/O2", "/fp:precise"]
        elif any("-O1" in extension.extra_compile_args for extension in self.extensions):
            flags = [flag for flag in MISCOMPILING_AT_O1 if self.takes(flag)]
            for extension in self.extensions:
                if "-O1" in extension.extra_compile_args:
                    extension.extra_compile_args += flags
        super().build_extensions()

    def takes(self, flag: str) -> bool:
        """Whether the compiler knows a flag."""
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder, "empty.c")
            source.write_text("int nothing;\n")
            try:
                self.compiler.compile([str(source)], output_dir="/", extra_postargs=[flag])
            except CompileError:
                return False
        return True


def extension(name: str, flags: list[str], macros: tuple[tuple[str, str], ...] = ()) -> Extension:
    # At -O3 the sanitizers take half an hour to compile the kernels. At -O1 they find the same.
    optimisation = "1" if SANITIZE and name.startswith("_kernels.") else OPTIMISATION
    flags = [f"-O{optimisation}", *flags]
    if DEBUG:
        flags += ["-g"]
    if SANITIZE:
        flags += [f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer", "-g"]
    return Extension(
        f"smoothmax.{name}",
        [f"src/smoothmax/{name.replace('.', '/')}.pyx"],
        include_dirs=[numpy.get_include()],
        extra_compile_args=flags,
        optional=any(flag.startswith("-march") for flag in flags),  # a compiler without the flag skips the module
        extra_link_args=[f"-fsanitize={SANITIZE}"] if SANITIZE else [],
        define_macros=[
            ("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION"),
            *macros,
            *[("CYTHON_TRACE_NOGIL", "1")] * COVERAGE,
        ],
    )


setup(
    ext_modules=cythonize(
        [extension(name, PORTABLE_FLAGS) for name in PORTABLE]
        + [extension(f"_kernels.{name}", [*KERNEL_FLAGS, *flags], ALWAYS_INLINE) for name, flags in VARIANTS.items()],
        include_path=["src"],
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "linetrace": COVERAGE,
        },
    ),
    cmdclass={"build_ext": BuildExtensions},
)
