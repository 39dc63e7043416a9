"""Check with Zig's cross compiler that the C code of smoothmax compiles for other systems.

    pip install ziglang
    python setup.py build_ext --inplace                 # writes the C
    python tools/zig.py                                 # every target
    python tools/zig.py aarch64-macos x86_64-windows-gnu

NumPy's headers come from its wheel for the target. For Windows, Python's headers come from CPython's sources with
PC/pyconfig.h, which are in Debian's archive (`apt-get source --download-only`); for other systems they are those of the
running Python, whose types have the same sizes. Objects are compiled, but nothing is linked or run: all modules for
macOS and musl, and only the kernels for Windows, whose other modules need Microsoft's headers.
"""

from __future__ import annotations

import argparse
import pathlib
import shutil
import subprocess
import sys
import sysconfig

TREE = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = TREE / "src/smoothmax"
FOLDER = TREE / "build/zig"
# The tag of NumPy's wheels, and the variants of the kernels with their flags.
X86 = {"baseline": (), "x86_64_v3": ("-mcpu=x86_64_v3",), "x86_64_v4": ("-mcpu=x86_64_v4",)}
TARGETS = {
    "aarch64-macos": ("macosx_14_0_arm64", {"baseline": ()}),
    "x86_64-macos": ("macosx_14_0_x86_64", X86),
    "x86_64-windows-gnu": ("win_amd64", X86),
    "aarch64-windows-gnu": ("win_arm64", {"baseline": ()}),
    "x86_64-linux-musl": ("musllinux_1_2_x86_64", X86),
}
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
FLAGS = ("-O3", "-g0", "-fno-trapping-math", "-fno-math-errno", "-ffp-contract=fast", "-Wall", "-Werror",
         "-Wno-unused-function", "-Wno-pass-failed", "-DNPY_NO_DEPRECATED_API=NPY_1_7_API_VERSION")  # fmt: skip
INLINE = "-DCYTHON_INLINE=inline __attribute__((always_inline))"


def numpy_headers(tag: str) -> pathlib.Path:
    folder = FOLDER / tag
    if not folder.is_dir():
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--only-binary", ":all:",
                   f"--platform={tag}", f"--python-version={VERSION}", f"--target={folder}", "numpy"]  # fmt: skip
        subprocess.run(command, check=True)
    return folder / "numpy/_core/include"


def python_headers(target: str) -> pathlib.Path:
    """The folder of Python.h for the target. CPython's sources are in build/zig/python, if they were downloaded."""
    own = pathlib.Path(sysconfig.get_path("include"))
    if "windows" not in target:
        return own
    source = FOLDER / "python"
    if not (source / "PC").is_dir():
        raise SystemExit(f"{target} needs the sources of CPython {VERSION}, unpacked, as {source}")
    folder = FOLDER / "include-windows"
    if not folder.is_dir():
        shutil.copytree(source / "Include", folder)
        config = next(source.glob("PC/pyconfig.h*"))
        shutil.copyfile(config, folder / "pyconfig.h")
    return folder


def modules(target: str, variants: dict[str, tuple[str, ...]]) -> list[tuple[str, list[str]]]:
    """C files and the flags of each."""
    found = [(f"_kernels/{name}", [INLINE, *flags]) for name, flags in variants.items()]
    found.append(("_kernels/dispatch", []))
    if "windows" not in target:
        names = [str(path.relative_to(PACKAGE).with_suffix("")) for path in sorted(PACKAGE.rglob("*.pyx"))]
        found += [(name, []) for name in names if not name.startswith("_kernels/")]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", help=f"some of {', '.join(TARGETS)}; all unless given")
    options = parser.parse_args()
    failed = 0
    for target in options.targets or TARGETS:
        tag, variants = TARGETS[target]
        include = [f"-I{folder}" for folder in (numpy_headers(tag), python_headers(target), PACKAGE / "include")]
        for name, flags in modules(target, variants):
            source = PACKAGE / f"{name}.c"
            if not source.exists():
                raise SystemExit(f"no {source.relative_to(TREE)}: run python setup.py build_ext --inplace first")
            command = [sys.executable, "-m", "ziglang", "cc", "-target", target, *FLAGS, *flags, *include]
            result = FOLDER / f"{target}.o"
            ran = subprocess.run([*command, "-c", str(source), "-o", str(result)], capture_output=True, text=True,
                                 check=False)  # fmt: skip
            print(f"{target} {name}: {'failed' if ran.returncode else 'compiles'}", flush=True)
            if ran.returncode:
                failed += 1
                print("\n".join(ran.stderr.splitlines()[:20]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
