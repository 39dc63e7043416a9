"""What pyproject.toml cannot say: the extension modules, and switches for building them otherwise.

SMOOTHMAX_DEBUG=1            no optimisation, debugging symbols
SMOOTHMAX_SANITIZE=address   any value of -fsanitize=
SMOOTHMAX_BUILD_KERNELS=x86_64_v3,...   build these variants of the kernels only; the baseline is always among them
SMOOTHMAX_COVERAGE=1         line tracing of the Cython code, for coverage's Cython plugin
"""

import os
import platform

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

DEBUG = os.environ.get("SMOOTHMAX_DEBUG", "0") not in ("", "0")
COVERAGE = os.environ.get("SMOOTHMAX_COVERAGE", "0") not in ("", "0")
SANITIZE = os.environ.get("SMOOTHMAX_SANITIZE", "")

# Compiled the same for every processor.
PORTABLE = (
    "_api.functions", "_api.losses", "_arrays.call", "_arrays.elements", "_arrays.losses", "_kernels.dispatch",
    "_partial.states", "_schedule.narrow", "_schedule.pool", "_schedule.results", "_schedule.route",
    "_schedule.rows", "_schedule.scratch", "_schedule.threads", "_schedule.tiles", "_schedule.units", "_schedule.walk",
    "_thresholds",
)  # fmt: skip
# The kernels, once for each instruction set. _kernels/dispatch.pyx says what each needs to run.
VARIANTS = {"baseline": []}
if platform.machine().lower() in ("x86_64", "amd64"):
    VARIANTS["x86_64_v3"] = ["-march=x86-64-v3"]
    VARIANTS["x86_64_v4"] = ["-march=x86-64-v4", "-mprefer-vector-width=512"]
wanted = [name for name in os.environ.get("SMOOTHMAX_BUILD_KERNELS", "").split(",") if name]
if unknown := set(wanted) - set(VARIANTS):
    raise SystemExit(f"SMOOTHMAX_BUILD_KERNELS names {', '.join(sorted(unknown))}: there are {', '.join(VARIANTS)}")
VARIANTS = {name: flags for name, flags in VARIANTS.items() if not wanted or name in wanted or name == "baseline"}

# Memory filled and copied by calls of the C library costs a call of ten elements more than all its exponentials.
# Python's own flags have -g: five sixths of a kernel module's size, a third of the time to compile it (2026-11).
PORTABLE_FLAGS = ["-O3", "-fno-tree-loop-distribute-patterns", "-g0"]
# Without -fno-trapping-math the clamps stay scalar; -ffast-math and its parts would cancel the rounding constants.
# Scheduling mixes the instructions of several exponentials, each of which is one long chain: GCC does not by itself.
# Loops over 16 lanes would be unrolled whole before they could be vectorised, and stay scalar: all of what float64 does
# between blocks, a sixth of its time.
KERNEL_FLAGS = [
    *PORTABLE_FLAGS, "-fno-trapping-math", "-fno-math-errno", "-ffp-contract=fast", "-fschedule-insns",
    "-fsched-pressure", "--param=max-completely-peel-times=8",
]  # fmt: skip


# What the kernels call inline must be: the lanes are local arrays that no pointer may reach, and widths are constants.
ALWAYS_INLINE = () if os.name == "nt" else (("CYTHON_INLINE", "inline __attribute__((always_inline))"),)


class BuildExtensions(build_ext):
    """Compile side by side; give MSVC its own flags, and the baseline alone."""

    def finalize_options(self) -> None:
        """As many compilers as processors, unless -j says otherwise: half the time on two."""
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def build_extensions(self) -> None:
        """Called by setuptools once the compiler is known."""
        if self.compiler.compiler_type == "msvc":
            self.extensions = [e for e in self.extensions if not e.optional]
            for extension in self.extensions:
                extension.extra_compile_args = ["/O2", "/fp:precise"]
        super().build_extensions()


def extension(name: str, flags: list[str], macros: tuple[tuple[str, str], ...] = ()) -> Extension:
    if DEBUG:
        flags = [*flags, "-O0", "-g"]
    if SANITIZE:
        # Kernels at -O3 take the sanitizers half an hour; -O1 finds the same.
        optimisation = ["-O1"] if name.startswith("_kernels.") else []
        flags = [*flags, *optimisation, f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer", "-g"]
    return Extension(
        f"smoothmax.{name}",
        [f"src/smoothmax/{name.replace('.', '/')}.pyx"],
        include_dirs=[numpy.get_include()],
        extra_compile_args=flags,
        optional=any(flag.startswith("-march") for flag in flags),  # a compiler without the flag builds the rest
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
