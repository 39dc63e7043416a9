"""Make random legal and illegal calls of every public function, and compare the results with a slow twin.

    python tools/fuzz.py --seconds 120              # with a fresh seed, which is printed
    python tools/fuzz.py --seed 7 --calls 100000
    python tools/fuzz.py --case '{"do": "product", ...}'    # one call again, as a failure prints it

A legal call must return the result of tools/fuzzing/twin.py, within the bounds of tests/bounds.py, with the type, shape
and memory order that the contract promises; an illegal call must raise one of the contract's errors. No call may warn,
for any np.errstate, or write to its inputs or outside of its output. Some calls are made again at other addresses and
with other threads, and must give the same bits. Every array begins or ends at a protected page, so a read past its end
kills the process. Calls are made in child processes, each of which continues where the last one ended; the parent knows
which call a child was making when it died or hung.

Four successive calls are a family: most of them have the same numbers in other layouts, with other outputs and threads,
so that the twin computes only once for all four.

A failing call is made smaller as long as it still fails, and printed as a few lines of Python. The exit code is 1 if
any call failed.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import json
import mmap
import os
import pathlib
import random
import signal
import struct
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from fuzzing.checks import bits_of
from fuzzing.commands import run_command
from fuzzing.complexes import run_complex
from fuzzing.elementwise import run_matmul, run_ufunc
from fuzzing.losses import run_loss
from fuzzing.makers import MAKERS, random_case
from fuzzing.memory import Failure, Memory
from fuzzing.mistakes import run_mistake
from fuzzing.reductions import run_product, run_reduction
from fuzzing.rows_of_c import run_row
from fuzzing.scale import (
    run_block_losses,
    run_blocks,
    run_file,
    run_multiplied_blocks,
    run_scanned_blocks,
    run_scored_blocks,
)
from fuzzing.scans import run_ids, run_scan, run_segments
from fuzzing.scores import run_draws, run_top
from fuzzing.streams import run_stream

import smoothmax

Case = dict[str, Any]

BATCH = 8000  # calls of one child; a multiple of a family
PROGRESS = 100_000  # calls between lines of output
HANGS = 120  # seconds after which a call is considered to hang
INF, NAN = np.inf, np.nan

__all__ = ["MAKERS", "Failure", "outcome", "random_case", "run", "shrunk"]

RUNNERS: dict[str, Callable[[Memory, Case], list[Any]]] = {
    "reduction": run_reduction, "product": run_product, "loss": run_loss, "stream": run_stream, "file": run_file,
    "blocks": run_blocks, "block losses": run_block_losses, "complex": run_complex, "ufunc": run_ufunc,
    "matmul": run_matmul,
    "scan": run_scan,
    "segments": run_segments,
    "ids": run_ids,
    "row of C": run_row,
    "scanned file": run_file,
    "command": run_command,
    "scanned blocks": run_scanned_blocks,
    "multiplied blocks": run_multiplied_blocks,
    "scored blocks": run_scored_blocks,
    "mistake": run_mistake,
    "top": run_top,
    "draws": run_draws,
}  # fmt: skip


def elsewhere(case: Case) -> Case:
    """The same call of the same arrays at other addresses."""
    at = {key: case["again"][key] for key in ("guard", "shift")}
    return {
        name: part | {"how": part["how"] | at} if isinstance(part, dict) and "how" in part and name != "out" else part
        for name, part in case.items()
    }


def must_have_the_same_bits(first: list[Any], second: list[Any]) -> None:
    """A result must not depend on the address or the number of threads."""
    for one, other in zip(first, second, strict=True):
        padded = one.dtype.char in "gG"  # six of its bytes have no digits
        if not (np.array_equal(one, other, equal_nan=True) if padded else bits_of(one) == bits_of(other)):
            raise Failure("bits: another address or another number of threads shows")


def run(case: Case) -> None:
    """Make the call; raise Failure if it breaks a rule."""
    memory = Memory()
    threads = smoothmax.get_num_threads()
    try:
        if "threads" in case:
            smoothmax.set_num_threads(case["threads"])
        with np.errstate(all="ignore"):
            results = RUNNERS[case["do"]](memory, case)
            if "again" in case:
                smoothmax.set_num_threads(case["again"]["threads"])
                must_have_the_same_bits(results, RUNNERS[case["do"]](memory, elsewhere(case)))
    except Failure:
        raise
    except Warning as warning:
        raise Failure(f"warning: {warning}") from warning
    except Exception as error:
        inside = [f for f in traceback.extract_tb(error.__traceback__) if "tools" not in f.filename]
        where = f" in {os.path.basename(inside[-1].filename)}" if inside else ""
        raise Failure(f"error: {type(error).__name__}: {str(error)[:200]}{where}") from error
    finally:
        smoothmax.set_num_threads(threads)
        memory.release()


def kind_of(failure: str) -> str:
    return failure.split(":")[0] + (failure.split(":")[1] if failure.startswith(("error", "died")) else "")


def in_a_child(work: Callable[[mmap.mmap], None], seconds: float = HANGS) -> tuple[str, bytes]:
    """Do the work in a forked process, which may die. Returns how it ended ("" for success) and the shared memory."""
    shared = mmap.mmap(-1, 1 << 20)
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            faulthandler.disable()  # the parent reports signals
            work(shared)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    last, since = shared[:8], time.monotonic()
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        if shared[:8] != last:
            last, since = shared[:8], time.monotonic()
        elif time.monotonic() - since > seconds:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "died: hung", shared[:]
        time.sleep(0.002)
    if os.WIFSIGNALED(status):
        return f"died: {signal.Signals(os.WTERMSIG(status)).name}", shared[:]
    return ("" if os.WEXITSTATUS(status) == 0 else f"died: exit code {os.WEXITSTATUS(status)}"), shared[:]


def put(shared: mmap.mmap, at: int, text: str) -> None:
    octets = text.encode()
    shared[at : at + 4 + len(octets)] = struct.pack("<I", len(octets)) + octets


def text_at(memory: bytes, at: int) -> str:
    length = struct.unpack_from("<I", memory, at)[0]
    return memory[at + 4 : at + 4 + length].decode(errors="replace")


def outcome(case: Case) -> str:
    """How a call fails in a separate child process; "" if it succeeds."""

    def work(shared: mmap.mmap) -> None:
        try:
            run(case)
        except Failure as failure:
            put(shared, 16, str(failure)[:4000])

    ended, memory = in_a_child(work, 30)
    return ended or text_at(memory, 16)


def smaller(case: Case) -> Iterator[Case]:
    """Calls that are a little simpler."""
    for name in (
        "again",
        "out",
        "b",
        "where",
        "dtype",
        "keepdims",
        "return_sign",
        "threads",
        "errstate",
        "weight",
        "label_smoothing",
        "ignore_index",
        "max-memory",
    ):
        if name in case:
            yield {k: v for k, v in case.items() if k != name}
    if len(case.get("steps", ())) > 1:
        for i in range(len(case["steps"])):
            yield case | {"steps": case["steps"][:i] + case["steps"][i + 1 :]}
    for name in ("shape", "kept"):
        for i, n in enumerate(case.get(name, ())):
            for less in sorted({1, 2, 3, n // 2, n - n // 8 - 1, n - 1}):
                if 0 < less < n:
                    yield case | {name: [*case[name][:i], less, *case[name][i + 1 :]]}
    for name, part in case.items():
        if name == "steps":
            for i, step in enumerate(part):
                for one in smaller(step):
                    yield case | {"steps": [*part[:i], one, *part[i + 1 :]]}
        if not isinstance(part, dict):
            continue
        for key in ("as", "wide", "readonly"):
            if key in part:
                yield case | {name: {k: v for k, v in part.items() if k != key}}
        for key in part.get("how", {}):
            if key != "guard":
                yield case | {name: part | {"how": {k: v for k, v in part["how"].items() if k != key}}}
        if name in ("x", "g", "p") and part["numbers"] not in ("equal", "small"):
            yield case | {name: part | {"numbers": "equal"}}
            yield case | {name: part | {"numbers": "small"}}
        simple = ("D",) if case["do"] == "complex" else ("f8", "f4", "?", None)
        if part.get("dtype") not in simple and name in ("x", "b", "g", "p"):
            yield case | {name: part | {"dtype": "D" if case["do"] == "complex" else "f8"}}
        if name in ("b", "where") and not all(part.get("used", [True])):
            yield case | {name: part | {"used": [True] * len(part["used"]), "drop": 0, "how": {"guard": "end"}}}


def shrunk(case: Case, failure: str, most: int = 300) -> tuple[Case, str]:
    tries = 0
    again = True
    while again and tries < most:
        again = False
        for one in smaller(case):
            tries += 1
            found = outcome(one)
            if found and kind_of(found) == kind_of(failure):
                case, failure, again = one, found, True
                break
            if tries >= most:
                break
    return case, failure


def report(case: Case, failure: str, seed: int | None) -> None:
    print(f"\nFAILED{'' if seed is None else f' (call {seed})'}: {failure}")
    small, said = shrunk(case, failure)
    print(f"the smallest that fails: {said}")
    print('    import sys; sys.path.insert(0, "tools")\n    import fuzz')
    print(f"    fuzz.run({small!r})", flush=True)


def fuzz(seed: int, calls: float, seconds: float, most: int) -> int:
    began, made, failures, counts = time.monotonic(), 0, 0, Counter[str]()
    seen: Counter[str] = Counter()
    number = seed << 32
    while made < calls and time.monotonic() - began < seconds and failures < most:
        batch = int(min(BATCH, calls - made))

        def work(shared: mmap.mmap, first: int = number, batch: int = batch) -> None:
            counted: Counter[str] = Counter()
            for i in range(batch):
                shared[:8] = struct.pack("<q", i)
                case = random_case(first + i)
                counted[case["do"]] += 1
                try:
                    run(case)
                except Failure as found:
                    put(shared, 16, str(found)[:4000])
                    return
                finally:
                    put(shared, 8192, json.dumps(counted))
                if time.monotonic() - began > seconds:
                    break
            shared[:8] = struct.pack("<q", i + 1)

        ended, memory = in_a_child(work)
        done = struct.unpack_from("<q", memory)[0]
        failure = ended or text_at(memory, 16)
        counts.update(json.loads(text_at(memory, 8192) or "{}"))
        if failure:
            case = random_case(number + done)
            key = f"{case['do']} {kind_of(failure)} {case.get('argument', '')} {case.get('value', '')}"
            seen[key] += 1
            if seen[key] <= 3:
                failures += 1
                report(case, failure, number + done)
            done += 1
        if (made + done) // PROGRESS > made // PROGRESS:
            print(f"{made + done:,} calls in {time.monotonic() - began:.0f} s, {failures} failures", flush=True)
        made += done
        number += done
    print(f"seed {seed}: {made:,} calls in {time.monotonic() - began:.0f} s ({dict(counts)}), {failures} failures")
    for key, count in seen.items():
        print(f"  {count:5} {key}")
    return 1 if failures else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, help="a fresh one unless given")
    parser.add_argument("--calls", type=float, default=INF)
    parser.add_argument("--seconds", type=float, default=INF)
    parser.add_argument("--failures", type=int, default=20, help="end after so many")
    parser.add_argument("--case", help="make one call, as a failure prints it")
    options = parser.parse_args()
    if options.case:
        failure = outcome(eval(options.case, {"nan": NAN, "inf": INF}))
        print(failure or "as it should be")
        return 1 if failure else 0
    seed = random.SystemRandom().randrange(1 << 24) if options.seed is None else options.seed
    if options.calls == INF and options.seconds == INF:
        options.seconds = 120
    print(f"seed {seed}", flush=True)
    with contextlib.suppress(ImportError):  # once, not in each child
        import smoothmax.dask  # noqa: F401
    return fuzz(seed, options.calls, options.seconds, options.failures)


if __name__ == "__main__":
    sys.exit(main())
