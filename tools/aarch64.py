"""Build for aarch64 with a cross compiler, and run Python there under QEMU: the tests, or anything else.

    apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static
    python tools/aarch64.py fetch                       # Debian's arm64 Python and the wheels of what tests need
    python tools/aarch64.py build
    python tools/aarch64.py run -m pytest -q -n 0 tests/test_digests.py tests/test_special_values.py
    python tools/aarch64.py run tools/bits.py record arm.npz --only "^softmax f4 tile"

Everything is in build/aarch64. `fetch` uses Debian's archive and the package index through their ordinary clients,
apt-get and pip; nothing is installed on this machine. `run` is 10 to 50 times slower than the processor itself.
Processes that Python starts do not run unless the system can start aarch64 programs (binfmt), so leave out tests that
start processes. The script needs Python 3.11, the version of the Debian release that it uses.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import subprocess
import sys

TREE = pathlib.Path(__file__).resolve().parents[1]
FOLDER = TREE / "build/aarch64"
ROOT, SITE, SOURCE = FOLDER / "root", FOLDER / "site", FOLDER / "tree"
CROSS = "aarch64-linux-gnu-gcc"
VERSION = "3.11"
SUITE = "bookworm"
PACKAGES = (
    "libpython3.11-dev", "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libc6", "libgcc-s1",
    "libstdc++6", "libexpat1", "zlib1g", "libffi8", "libssl3", "libbz2-1.0", "liblzma5", "libsqlite3-0", "libuuid1",
    "libcrypt1",
)  # fmt: skip
WHEELS = ("numpy", "scipy", "mpmath", "pytest", "pytest-xdist", "hypothesis", "dask[array]", "tqdm", "scikit-learn")


def debian_mirror() -> str:
    """The address at which this machine's apt-get finds Debian's archive."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    found = [uri for uri in listed if uri.rstrip("/").endswith("/debian")]
    if not found:
        raise SystemExit("fetch needs a machine whose apt-get knows Debian's archive")
    return found[0]


def fetch() -> None:
    """Unpack Debian's packages into a folder that is the root of the other machine's files, and wheels beside it."""
    apt = FOLDER / "apt"
    for name in ("lists/partial", "cache/archives/partial", "state", "packages"):
        (apt / name).mkdir(parents=True, exist_ok=True)
    (apt / "state/status").touch()
    mirror = debian_mirror()
    keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (apt / "sources.list").write_text(f"deb [arch=arm64 signed-by={keys}] {mirror} {SUITE} main\n")
    (apt / "conf").write_text(
        f'APT::Architecture "arm64";\nAPT::Architectures "arm64";\nDir::Etc::sourcelist "{apt}/sources.list";\n'
        f'Dir::Etc::sourceparts "-";\nDir::State "{apt}/state";\nDir::State::lists "{apt}/lists";\n'
        f'Dir::State::status "{apt}/state/status";\nDir::Cache "{apt}/cache";\nAPT::Sandbox::User "root";\n'
    )
    environment = os.environ | {"APT_CONFIG": str(apt / "conf")}
    subprocess.run(["apt-get", "-qq", "update"], env=environment, check=True)
    subprocess.run(["apt-get", "-qq", "download", *PACKAGES], cwd=apt / "packages", env=environment, check=True)
    ROOT.mkdir(exist_ok=True)
    for package in sorted((apt / "packages").glob("*.deb")):
        subprocess.run(["dpkg", "-x", str(package), str(ROOT)], check=True)
    platforms = [f"--platform=manylinux{tag}_aarch64" for tag in ("_2_28", "_2_27", "_2_17", "2014")]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--only-binary", ":all:", f"--python-version={VERSION}",
         "--implementation=cp", *platforms, "--upgrade", f"--target={SITE}", *WHEELS],
        check=True,
    )  # fmt: skip


def copied() -> None:
    """Copy the tree's files. Unchanged files are not touched, so that they are not compiled again."""
    sys.path.insert(0, str(TREE / "tools"))
    from sanitize import copied as copied_to

    copied_to(SOURCE)


def build() -> None:
    copied()
    include = ROOT / "usr/include"
    numpy = SITE / "numpy/_core/include"
    flags = f"-O3 -Wall -I{numpy} -I{include}/python{VERSION} -I{include}"
    suffix = f".cpython-{VERSION.replace('.', '')}-aarch64-linux-gnu.so"
    compiler = f"ccache {CROSS}" if "ccache" in os.environ.get("CC", "") else CROSS
    environment = os.environ | {
        "CC": compiler, "LDSHARED": f"{CROSS} -shared", "CFLAGS": flags, "SETUPTOOLS_EXT_SUFFIX": suffix,
        "_PYTHON_HOST_PLATFORM": "linux-aarch64", "SMOOTHMAX_BUILD_KERNELS": "baseline",  # it has NEON and fma
    }  # fmt: skip
    command = [sys.executable, "setup.py", "build_ext", "--inplace"]
    subprocess.run(command, cwd=SOURCE, env=environment, check=True)


def run(arguments: list[str]) -> int:
    copied()
    environment = {
        "PYTHONPATH": f"{SOURCE / 'src'}:{SITE}", "PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1",
        "HOME": str(FOLDER), "PATH": os.environ["PATH"],
    }  # fmt: skip
    passed = {name: text for name, text in os.environ.items() if name.startswith("SMOOTHMAX_")}
    command = ["qemu-aarch64-static", "-L", str(ROOT), str(ROOT / f"usr/bin/python{VERSION}"), *arguments]
    return subprocess.run(command, cwd=SOURCE, env=environment | passed, check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("fetch", "build", "run"))
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of Python, for run")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    if options.what == "run":
        return run(options.arguments)
    fetch() if options.what == "fetch" else build()
    return 0


if __name__ == "__main__":
    sys.exit(main())
