"""Build with sanitizers in a separate folder, and run the suite and the fuzzer there.

    python tools/sanitize.py address                    # memory and undefined behaviour, by the best variant
    python tools/sanitize.py address --kernel baseline --seconds 600 tests/test_layouts.py
    python tools/sanitize.py address --kernels baseline --calls 5000 -      # the shortest build, and no tests
    python tools/sanitize.py thread                     # data races: threads, forks and a changing number of them

`address` runs the named tests (all, if none is named) and the fuzzer for --seconds; `thread` runs eight threads that
call all functions at once. The script needs GCC or Clang with their sanitizers, and this Python with the test extra.
Reports go to standard error and make the exit code 1. Everything is compiled with -O1, unless SMOOTHMAX_OPTIMISATION is
set. The build takes a minute or two of processor time for each variant, and is kept in build/sanitize-*; only changed
files are built again.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig

TREE = pathlib.Path(__file__).resolve().parents[1]
SANITIZERS = {"address": "address,undefined", "thread": "thread"}
# Leaks are not reported: we cannot fix what Python and other libraries leave behind at exit.
OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:detect_stack_use_after_return=1:handle_segv=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=0",
    "TSAN_OPTIONS": "halt_on_error=0:exitcode=66:history_size=4:report_signal_unsafe=0:die_after_fork=0",
}
# Tests of forks must fork in a process with threads. By default pytest captures file descriptor 2, and with it reports
# of undefined behaviour in tests that pass.
PYTEST = ("-q", "-p", "no:cacheprovider", "-n", "0", "-W", "ignore::DeprecationWarning", "--capture=sys")


def copied(folder: pathlib.Path) -> None:
    """Copy the tree's files. Unchanged files are not touched, so that they are not compiled again."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=TREE, capture_output=True, check=True).stdout
    for name in listed.decode().split("\0"):
        source, target = TREE / name, folder / name
        if not name or not source.is_file():
            continue
        if not target.exists() or target.read_bytes() != source.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def runtime(name: str) -> str:
    """The sanitizer's library, which has to be loaded before Python is."""
    compiler = os.environ.get("CC", "cc").split()[-1]
    found = subprocess.run([compiler, f"-print-file-name=lib{name}.so"], capture_output=True, text=True, check=True)
    path = found.stdout.strip()
    if not os.path.isabs(path):
        raise SystemExit(f"{compiler} has no lib{name}.so")
    return str(pathlib.Path(path).resolve())


def build(kind: str, kernels: str) -> pathlib.Path:
    folder = TREE / f"build/sanitize-{kind}"
    copied(folder)
    fast = {"SMOOTHMAX_OPTIMISATION": "1"}  # fast to compile: with -O3 the rest takes longer than the kernels
    environment = fast | os.environ | {"SMOOTHMAX_SANITIZE": SANITIZERS[kind], "SMOOTHMAX_BUILD_KERNELS": kernels}
    print(f"building in {folder}", flush=True)
    with (folder / "build.log").open("w") as log:
        command = [sys.executable, "setup.py", "build_ext", "--inplace"]
        if subprocess.run(command, cwd=folder, env=environment, stdout=log, stderr=log, check=False).returncode:
            raise SystemExit(f"the build failed: {folder / 'build.log'}")
    return folder


def run(folder: pathlib.Path, kind: str, kernel: str, arguments: list[str]) -> int:
    """Run Python with the build, under the sanitizer."""
    library = {"address": "asan", "thread": "tsan"}[kind]
    environment = os.environ | OPTIONS | {
        # The sanitizer looks up the function that throws exceptions of C++ when it starts, so libstdc++ must be loaded
        # by then: matplotlib throws one.
        "LD_PRELOAD": f"{runtime(library)} {runtime('stdc++')}",
        "PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1",
    }  # fmt: skip
    if not sysconfig.get_config_var("Py_GIL_DISABLED"):  # free-threaded CPython refuses it
        environment["PYTHONMALLOC"] = "malloc"
    if kernel:
        environment["SMOOTHMAX_KERNEL"] = kernel
    with (folder / "reports.log").open("w+") as log:
        code = subprocess.run(
            [sys.executable, *arguments], cwd=folder, env=environment, stderr=log, check=False
        ).returncode
        log.seek(0)
        said = log.read()
    reports = [line for line in said.splitlines() if "runtime error:" in line or "ERROR: AddressSanitizer" in line
               or "WARNING: ThreadSanitizer" in line]  # fmt: skip
    print("\n".join(sorted(set(reports))))
    print(f"{' '.join(arguments[:3])}: exit code {code}, {len(reports)} reports ({folder / 'reports.log'})", flush=True)
    return 1 if code or reports else 0


# Under the thread sanitizer -------------------------------------------------------------------------------------------

RACES = """
import ctypes, os, sys, threading, time
import numpy as np
import smoothmax
from smoothmax._c.functions import addresses

rng = np.random.default_rng(0)
rows = rng.standard_normal((300, 1000))
columns = rng.standard_normal((40_000, 7)).astype("f4")
long = rng.standard_normal(400_000)
halves = rows.astype("f2")
classes, offsets = np.arange(300) % 1000, np.arange(0, long.size + 1, 8)
number, pointer = ctypes.c_ssize_t, ctypes.c_void_p
in_c = ctypes.CFUNCTYPE(ctypes.c_double, pointer, number, number)(addresses()["smoothmax_logsumexp_f64"])
CALLS = [
    lambda: smoothmax.softmax(rows, axis=1),
    lambda: smoothmax.logsumexp(columns, axis=0),
    lambda: smoothmax.log_softmax(long),
    lambda: smoothmax.logsumexp(rows, axis=0, b=rows),
    lambda: smoothmax.logmeanexp(halves, axis=1, scale=0.5, add=halves[0]),
    lambda: smoothmax.cross_entropy_and_grad(rows, classes)[1],
    lambda: smoothmax.logcumsumexp(long),
    lambda: smoothmax.logcumsumexp(columns, axis=0),
    lambda: smoothmax.segment_softmax(long, offsets),
    lambda: smoothmax.segment_logsumexp(rows, [0, 3, 150, 300]),
    lambda: smoothmax.logmatmulexp(rows[:40], rows[:60].T),
    lambda: smoothmax.logmatmulexp(rows[:40], rows[:9].T, exact=True),
    lambda: smoothmax.top_log_probs(rows, 20)[0],
    lambda: smoothmax.categorical(rows, rng=1),
    lambda: smoothmax.logaddexp(rows, rows[0]),
    lambda: in_c(long.ctypes.data, long.size, 1),
]
WANTED = [call() for call in CALLS]
stop = time.monotonic() + float(sys.argv[1])
failures, made = [], [0] * len(CALLS)


def is_right(which):
    made[which] += 1
    return np.array_equal(CALLS[which](), WANTED[which])


def call(i):
    order = np.random.default_rng(i)
    stream = smoothmax.LogSumExp()
    while time.monotonic() < stop and not failures:
        right = True
        which = int(order.integers(len(CALLS) + 3))
        if which < len(CALLS):
            right = is_right(which)
        elif which == len(CALLS):
            smoothmax.set_num_threads(int(order.integers(1, 6)))
        elif which == len(CALLS) + 1:
            with smoothmax.num_threads(int(order.integers(1, 4))):
                right = is_right(0)
        else:
            stream.update(long)
        if not right:
            failures.append(which)


threads = [threading.Thread(target=call, args=(i,)) for i in range(8)]
for thread in threads:
    thread.start()
forks = 0
while time.monotonic() < stop and not failures:
    child = os.fork()
    if child == 0:
        os._exit(0 if all(map(is_right, (0, 6, 8, 12))) else 1)
    if os.waitpid(child, 0)[1]:
        failures.append("fork")
    forks += 1
    time.sleep(0.2)
for thread in threads:
    thread.join()
print(forks, "forks, calls:", made, "failures:", failures)
sys.exit(1 if failures else 0)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=SANITIZERS)
    parser.add_argument("tests", nargs="*", help="files of tests; all unless given, none with a single -")
    parser.add_argument("--kernel", default="", help="the variant that runs; by default the best")
    parser.add_argument("--kernels", default="", help="the variants that are built besides the baseline, as x86_64_v3")
    parser.add_argument("--seconds", type=float, default=120, help="how long the fuzzer runs, or the threads do")
    parser.add_argument("--calls", default="", help="of the fuzzer, in the place of seconds")
    parser.add_argument("--seed", default="", help="of the fuzzer")
    options = parser.parse_intermixed_args()  # tests may follow options
    folder = build(options.kind, options.kernels)
    if options.kind == "thread":
        script = folder / "races.py"
        script.write_text(RACES)
        return run(folder, "thread", options.kernel, [str(script), str(options.seconds)])
    code = 0
    if options.tests != ["-"]:
        code |= run(folder, "address", options.kernel, ["-m", "pytest", *PYTEST, *options.tests])
    if options.seconds:
        seed = [f"--seed={options.seed}"] if options.seed else []
        length = f"--calls={options.calls}" if options.calls else f"--seconds={options.seconds}"
        code |= run(folder, "address", options.kernel, ["tools/fuzz.py", length, *seed])
    return code


if __name__ == "__main__":
    sys.exit(main())
