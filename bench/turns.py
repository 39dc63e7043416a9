"""Contenders take turns, each after a pause, so that a disturbance of the machine affects all of them."""

import argparse
import importlib.util
import time
from collections.abc import Callable
from typing import Any

from bench import contenders

__all__ = ["PAUSE", "Calls", "best_in_turns", "installed", "options"]

PAUSE = 0.1  # seconds before each turn: OpenMP's threads spin for a while after a call of PyTorch
Calls = dict[str, Callable[[], Any]]


def installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def seconds_of(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def best_in_turns(
    calls: Calls, rounds: int, seconds: Callable[[Callable[[], Any]], float] = seconds_of
) -> dict[str, float]:
    """The shortest time of each call, in seconds; `seconds` says how a turn is timed."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(rounds):
        for name, call in calls.items():
            time.sleep(PAUSE)
            best[name] = min(best[name], seconds(call))
    return best


def options(description: str | None) -> argparse.Namespace:
    """Parse --only and --threads, and set the number of threads for all contenders."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default="", help="the cells whose name has this text")
    given = parser.parse_args()
    contenders.use_cores(given.threads)
    contenders.keep_freed_memory()
    return given
