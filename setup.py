"""The extension modules, and switches for other builds of them. pyproject.toml cannot state these.

The flags and the variants of the kernels depend on what the compiler accepts, not on its name.

SMOOTHMAX_DEBUG=1            no optimisation, debugging symbols
SMOOTHMAX_OPTIMISATION=1     -O1 instead of -O3. CFLAGS cannot do this: the flags of the package come after it
SMOOTHMAX_SANITIZE=address   any value of -fsanitize=
SMOOTHMAX_BUILD_KERNELS=x86_64_v3,...   builds only the baseline and these variants of the kernels
SMOOTHMAX_COVERAGE=1         line tracing of the Cython code, for coverage's Cython plugin
"""

import copy
import os
import re
import subprocess
import tempfile
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

DEBUG = os.environ.get("SMOOTHMAX_DEBUG", "0") not in ("", "0")
COVERAGE = os.environ.get("SMOOTHMAX_COVERAGE", "0") not in ("", "0")
SANITIZE = os.environ.get("SMOOTHMAX_SANITIZE", "")
OPTIMISATION = "0" if DEBUG else os.environ.get("SMOOTHMAX_OPTIMISATION", "") or "3"
SANITIZE_FLAGS = [f"-fsanitize={SANITIZE}"] if SANITIZE else []

# Modules that are compiled once, for every processor.
PORTABLE = (
    "_api.functions", "_api.losses", "_api.products", "_api.scans", "_api.scores", "_api.segments", "_arrays.call",
    "_arrays.elements", "_arrays.elementwise", "_arrays.losses", "_arrays.products", "_arrays.scans", "_arrays.scores",
    "_arrays.segments", "_c.functions", "_kernels.dispatch", "_partial.states", "_schedule.candidates",
    "_schedule.drawn_rows", "_schedule.narrow", "_schedule.pool", "_schedule.products", "_schedule.results",
    "_schedule.route", "_schedule.rows", "_schedule.score_rows", "_schedule.scores", "_schedule.scratch",
    "_schedule.segments", "_schedule.strided", "_schedule.threads", "_schedule.tiles", "_schedule.top_rows",
    "_schedule.units", "_schedule.walk", "_thresholds",
)  # fmt: skip
# The kernels are compiled once for each instruction set. _kernels/dispatch.pyx states the features that each needs. If
# a compiler does not accept the flags of a variant, the variant is not built.
VARIANTS = {
    "baseline": (),
    "x86_64_v3": ("-march=x86-64-v3",),
    "x86_64_v4": ("-march=x86-64-v4", "-mprefer-vector-width=512"),
}
wanted = [name for name in os.environ.get("SMOOTHMAX_BUILD_KERNELS", "").split(",") if name]
if unknown := set(wanted) - set(VARIANTS):
    raise SystemExit(f"SMOOTHMAX_BUILD_KERNELS names {', '.join(sorted(unknown))}: there are {', '.join(VARIANTS)}")
VARIANTS = {name: flags for name, flags in VARIANTS.items() if not wanted or name in wanted or name == "baseline"}

# An entry has the spellings of a flag, or of several that belong together; the first that the compiler accepts is used.
#
# GCC would replace loops that fill or copy memory by calls of the C library. With ten elements these cost a call more
# than all its exponentials.
# Python's flags include -g, which makes up five sixths of the size of a kernel module and a third of its compile time
# (2026-11).
PORTABLE_FLAGS = [("-fno-tree-loop-distribute-patterns",), ("-g0",), ("/fp:precise",)]
# GCC vectorises clamps only with -fno-trapping-math. -ffast-math would cancel the rounding constants. Clang contracts
# products and sums within an expression unless it is told to do so across expressions, as GCC does.
# An exponential is one long chain of instructions. Only with these flags of scheduling does GCC mix several chains.
# Compilers would unroll loops over 16 lanes completely before they vectorise them, and leave them scalar. In float64
# all that happens between blocks is such loops, a sixth of its time. Clang would leave softmax itself scalar. It also
# leaves loops of fewer than 16 turns scalar if their arrays might overlap, and so sums of float64, which has 8 lanes.
# A function of the kernels that is not inline has registers and a stack frame of its own, even if it is called from one
# place only. GCC would inline it there, and then spill more registers of its caller's loops.
KERNEL_FLAGS = [
    *PORTABLE_FLAGS, ("-fno-trapping-math", "/clang:-fno-trapping-math"), ("-fno-math-errno", "/clang:-fno-math-errno"),
    ("-ffp-contract=fast", "/clang:-ffp-contract=fast"), ("-fschedule-insns",), ("-fsched-pressure",),
    ("-fno-inline-functions-called-once",),
    ("--param=max-completely-peel-times=8", "-mllvm -unroll-full-max-count=8"),
    ("-mllvm -vectorizer-min-trip-count=8",),
]  # fmt: skip
# GCC's scheduler has two ways to save registers. By the first, it does not mix exponentials in a loop that is short of
# registers, although a few spills would cost less. The second is faster with 32 registers, and slower with 16 (P33).
KERNEL_FLAGS_OF_VARIANT = {"x86_64_v4": [("--param=sched-pressure-algorithm=2",)]}
# We cannot fix Cython's output, which has helpers that a module does not use.
WARNING_FLAGS = [("-Wno-unused-function",), ("-Wno-pass-failed",)]  # a loop that stays scalar is not an error
# At -O1, and only there, GCC 12 drops calls of functions that write through pointers unless it leaves out the first two
# analyses: tools/gcc12_o1.c shows it. Without the third flag it fuses no multiplication with an addition, so that bits
# would differ.
FLAGS_AT_O1 = [("-fno-ipa-modref",), ("-fno-ipa-pure-const",), ("-fexpensive-optimizations",)]

# Functions of the kernels must be inlined: lanes are local arrays that no pointer may reach, and widths are constants.
ALWAYS_INLINE = "inline __attribute__((always_inline))"
# A line of code to try that with. Python's flags include -Wall, and Clang would warn of a function that nobody calls.
INLINED_LINE = f"static {ALWAYS_INLINE} int f(void) {{ return 0; }} int g(void); int g(void) {{ return f(); }}"


class BuildExtensions(build_ext):
    """Compile modules in parallel, with those of their flags that the compiler takes."""

    def finalize_options(self) -> None:
        """Run one compiler for each processor, unless -j says otherwise."""
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def build_extensions(self) -> None:
        """Choose flags. setuptools calls this once the compiler is known."""
        self.is_microsofts = self.compiler.compiler_type == "msvc"
        if self.is_microsofts:
            self.compiler.initialize()
            # CC may name clang-cl, which has Microsoft's flags and its own.
            self.compiler.cc = os.environ.get("CC", self.compiler.cc)
        self.taken: dict[tuple[str, str], bool] = {}
        self.extensions = [each for each in self.extensions if all(map(self.takes, VARIANTS.get(variant_of(each), ())))]
        for each in self.extensions:
            variant = variant_of(each)
            chosen = [next(filter(self.takes, spellings), "") for spellings in wanted_flags(each)]
            each.extra_compile_args = " ".join([*chosen, *VARIANTS.get(variant, ()), *SANITIZE_FLAGS]).split()
            if variant and self.takes("", INLINED_LINE):
                each.define_macros.append(("CYTHON_INLINE", ALWAYS_INLINE))
        super().build_extensions()

    def takes(self, flags: str, code: str = "") -> bool:
        """Whether the compiler compiles a line of code with these flags without a word of warning."""
        if (flags, code) not in self.taken:
            with tempfile.TemporaryDirectory() as folder:
                Path(folder, "line.c").write_text(f"{code}\nint main(void) {{ return 0; }}\n")
                strict = [self.compiler.cc, "/WX"] if self.is_microsofts else [*self.compiler.compiler_so, "-Werror"]
                command = [*strict, *flags.split(), "-c", "line.c"]
                ran = subprocess.run(command, cwd=folder, capture_output=True, check=False)
                ignored = b"D9002" in ran.stdout + ran.stderr  # MSVC ignores an unknown flag with this warning
                self.taken[flags, code] = not ran.returncode and not ignored
        return self.taken[flags, code]


def variant_of(module: Extension) -> str:
    """The variant of the kernels that a module holds; empty for other modules."""
    room, _, name = module.name.removeprefix("smoothmax.").rpartition(".")
    return name if room == "_kernels" and name in VARIANTS else ""


def wanted_flags(module: Extension) -> list[tuple[str, ...]]:
    """The flags that a module is compiled with if the compiler takes them."""
    # At -O3 the sanitizers take half an hour to compile the kernels. At -O1 they find the same.
    optimisation = "1" if SANITIZE and variant_of(module) else OPTIMISATION
    flags = [(f"-O{optimisation}", "/Od" if DEBUG else "/O2")]
    flags += [*(KERNEL_FLAGS if variant_of(module) else PORTABLE_FLAGS), *WARNING_FLAGS]
    flags += KERNEL_FLAGS_OF_VARIANT.get(variant_of(module), [])
    if optimisation == "1":
        flags += FLAGS_AT_O1
    if DEBUG:
        flags += [("-g", "/Z7")]
    if SANITIZE:
        flags += [("-fno-omit-frame-pointer",), ("-g1",)]  # lines for reports; -g takes a third longer
    return flags


def extension(name: str) -> Extension:
    return Extension(
        f"smoothmax.{name}",
        [f"src/smoothmax/{name.replace('.', '/')}.pyx"],
        include_dirs=[numpy.get_include(), "src/smoothmax/include"],
        extra_link_args=SANITIZE_FLAGS,
        define_macros=[
            ("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION"),
            *[("CYTHON_TRACE_NOGIL", "1")] * COVERAGE,
        ],
    )


def variant(name: str, kernels: Extension) -> Extension:
    """The module of a variant: its file names it and includes what Cython made of kernels.pyx."""
    module = copy.deepcopy(kernels)
    module.name = f"smoothmax._kernels.{name}"
    module.sources = [f"src/smoothmax/_kernels/{name}.c"]
    module.depends += kernels.sources
    return module


def description() -> str:
    """README.md for PyPI, where a path within the repository leads nowhere: no pictures, and links as paths to read."""
    text = Path("README.md").read_text(encoding="utf-8")
    text = re.sub(r"^!\[[^]]*\]\((?!https?:)[^)]*\)\n\n\*[^*]*\*\n\n", "", text, flags=re.M)  # and what stands below
    link = r"\[([^]]*)\]\((?!https?:)([^)#]*)(?:#[^)]*)?\)"
    return re.sub(link, lambda found: found[1] if found[1] == found[2] else f"{found[1]} ({found[2]})", text)


kernels, *portable = cythonize(
    [extension(name) for name in ("_kernels.kernels", *PORTABLE)],
    include_path=["src"],
    compiler_directives={
        "language_level": 3,
        "boundscheck": False,
        "wraparound": False,
        "cdivision": True,
        "initializedcheck": False,
        "linetrace": COVERAGE,
        "freethreading_compatible": True,  # see docs/architecture.md, "Threads"
    },
)
setup(
    long_description=description(),
    long_description_content_type="text/markdown",
    # The variants come first because each takes a fifth of the time; the other modules then fill the processors.
    ext_modules=[*(variant(name, kernels) for name in VARIANTS), *portable],
    cmdclass={"build_ext": BuildExtensions},
)
