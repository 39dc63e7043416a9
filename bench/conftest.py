"""Options of the benchmarks, and the cores that they may use. Both are set before any contender is loaded."""

import os
from typing import Any

import pytest

from bench import contenders


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("smoothmax")
    group.addoption("--quick", action="store_true", help="time a few cases once, in less than a minute")
    group.addoption(
        "--threads", type=int, default=contenders.all_cores(), help="cores that every contender may use (default: all)"
    )


def pytest_configure(config: pytest.Config) -> None:
    contenders.use_cores(config.getoption("--threads"))
    contenders.keep_freed_memory()


def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """Add what the figures depend on to the JSON, and remove the hundreds of single times behind each figure."""
    dispatch = contenders.load("smoothmax._kernels.dispatch")
    for entry in output_json["benchmarks"]:
        entry["stats"].pop("data", None)
    output_json["smoothmax"] = {
        "threads": config.getoption("--threads"),
        "kernel": dispatch.variant,
        "compiler": dispatch.compiler,
        "versions": contenders.versions(),
        "cores": os.cpu_count(),
    }
