"""Time every contender on every case. A contender is checked with the reference before it is timed.

The machine may be noisy, so the whole grid is timed SWEEPS times, minutes apart, and the contenders of a cell one after
the other, each after a pause. The report takes the best time of all sweeps, so a disturbance of seconds spoils no
figure.
"""

import functools
import itertools
import time
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench import contenders
from bench.cases import CASES, DTYPES, FUNCTIONS, Case
from bench.reference import Reference, largest_error, reference
from bench.turns import PAUSE

SWEEPS = 3


@functools.lru_cache(maxsize=1)
def case_input(case: Case, dtype: str) -> contenders.Array:
    return case.make(dtype)


@functools.lru_cache(maxsize=1)
def case_reference(case: Case, dtype: str) -> Reference:
    return reference(case_input(case, dtype), case.axis)


@functools.cache
def error_of(contender: str, function: str, case: Case, dtype: str) -> float:
    """The largest error in ULP, which is computed in the first sweep and cached for the others."""
    call = contenders.prepare(contender, function, case_input(case, dtype), case.axis)
    result = np.asarray(call())
    assert result.dtype == dtype
    return largest_error(result, case_reference(case, dtype), function)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    quick = metafunc.config.getoption("--quick")
    cells = itertools.product(
        range(1 if quick else SWEEPS),
        [case for case in CASES if case.quick or not quick],
        DTYPES,
        FUNCTIONS,
        contenders.names(),
    )
    metafunc.parametrize(
        ("sweep", "case", "dtype", "function", "contender"),
        [pytest.param(*c, id=f"{c[3]}-{c[2]}-{c[1].name}-{c[4]}-{c[0]}") for c in cells],
    )


@pytest.mark.benchmark(disable_gc=True, min_rounds=2, max_time=0.08, min_time=2e-5, warmup=False)
def test_speed(benchmark: BenchmarkFixture, sweep: int, case: Case, dtype: str, function: str, contender: str) -> None:
    info: dict[str, Any] = {"sweep": sweep, "case": case.name, "dtype": dtype, "function": function}
    benchmark.extra_info.update(info, contender=contender, error_ulp=error_of(contender, function, case, dtype))
    call = contenders.prepare(contender, function, case_input(case, dtype), case.axis)
    time.sleep(PAUSE)
    benchmark(call)
