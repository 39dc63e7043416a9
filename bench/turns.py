"""Contenders take turns, each after a pause, so that a disturbance of the machine affects all of them."""

import time
from collections.abc import Callable
from typing import Any

__all__ = ["PAUSE", "best_in_turns"]

PAUSE = 0.1  # seconds before each turn: OpenMP's threads spin for a while after a call of PyTorch
TURN = 0.02  # seconds that a turn takes at least
BATCH = 5e-5  # seconds of calls that are timed together: a clock is too coarse for one small call
Call = Callable[[], Any]


def seconds_of(call: Call, number: int = 1) -> float:
    start = time.perf_counter()
    for _ in range(number):
        call()
    return (time.perf_counter() - start) / number


def best_of_turn(call: Call) -> float:
    """The least time of a call, of two at least. Threads that wake up late delay some calls of a turn, seldom all."""
    end = time.perf_counter() + TURN
    best = min(seconds_of(call), seconds_of(call))
    while time.perf_counter() < end:
        best = min(best, seconds_of(call, max(1, int(BATCH / best))))
    return best


def best_in_turns(
    calls: dict[str, Call], rounds: int, seconds: Callable[[Call], float] = best_of_turn
) -> dict[str, float]:
    """The shortest time of each call, in seconds; `seconds` says how a turn is timed."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(rounds):
        for name, call in calls.items():
            time.sleep(PAUSE)
            best[name] = min(best[name], seconds(call))
    return best
