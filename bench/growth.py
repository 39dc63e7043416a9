"""The time per element of one row of 10^3 to 10^9 float32. It changes only where the row exceeds a cache.

    python -m bench.growth               write bench/growth.png and the table in docs/benchmarks.md: 6 GB, minutes
    python -m bench.growth --up-to 7     stop at 10^7 elements

The script measures with one thread, and with as many as there are cores. To save memory, softmax and log_softmax
overwrite their input; their time does not depend on the numbers. The script needs matplotlib.
"""

import argparse
import functools
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.cases import FUNCTIONS
from bench.contenders import all_cores, load, use_cores
from bench.pages import PAGE, put, table
from bench.yardsticks import BENCH, best_seconds, processor

PLOT = BENCH / "growth.png"
STYLES = {"logsumexp": "#0072B2", "softmax": "#D55E00", "log_softmax": "#009E73"}
SPENT = 2e9  # elements that are timed at each size, in all rounds; there are at least two rounds

Times = dict[str, list[float]]  # of a function, ns an element


def sizes(largest: int) -> list[int]:
    """The sizes of rows: two for each power of ten."""
    return [digit * 10**power for power in range(3, largest) for digit in (1, 3)] + [10**largest]


def measure(threads: int, largest: int) -> Times:
    """The times of all sizes, in this process, which is restricted to a number of cores."""
    use_cores(threads)
    import numpy as np

    pattern = (3 * np.random.default_rng(20240229).standard_normal(10**6)).astype(np.float32)
    longest = np.empty(10**largest, np.float32)
    times: Times = {function: [] for function in FUNCTIONS}
    for n in sizes(largest):
        for function in FUNCTIONS:
            for first in range(0, n, pattern.size):
                longest[first : min(n, first + pattern.size)] = pattern[: n - first]
            times[function].append(nanoseconds(function, longest[:n]))
        print(n, *(f"{times[function][-1]:.3f}" for function in FUNCTIONS), file=sys.stderr, flush=True)
    return times


def nanoseconds(function: str, x: Any) -> float:
    """The best time for each element. A call is repeated until it can be timed."""
    call = functools.partial(getattr(load("smoothmax"), function), x, **({} if function == "logsumexp" else {"out": x}))
    number = max(1, 10**6 // x.size)
    rounds = max(2, min(50, int(SPENT / (x.size * number))))
    call()
    return best_seconds([call], number, rounds)[0] * 1e9 / x.size


def in_process(threads: int, largest: int) -> Times:
    answer = subprocess.run(
        [sys.executable, "-m", "bench.growth", "--part", str(threads), "--up-to", str(largest)],
        cwd=BENCH.parent,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    times: Times = json.loads(answer.stdout)
    return times


def caches() -> dict[str, int]:
    """The bytes of the data caches of the first core, on Linux."""
    found = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        if (index / "type").read_text().strip() != "Instruction":
            size = re.fullmatch(r"(\d+)K", (index / "size").read_text().strip())
            if size:
                found[f"L{(index / 'level').read_text().strip()}"] = int(size[1]) * 1024
    return found


def draw(figures: dict[int, Times], largest: int) -> None:
    """Draw solid lines for one thread, and dashed lines for all threads."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    mpl.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    figure = Figure(figsize=(9, 5), layout="constrained")
    panel = figure.subplots()
    for times, style in zip(figures.values(), ("-", "--"), strict=False):
        for function, color in STYLES.items():
            panel.plot(sizes(largest), times[function], style, color=color, marker="o", markersize=3.5)
    panel.set_xscale("log")
    panel.set_ylim(bottom=0)
    panel.set_xlabel("elements of one row, float32")
    panel.set_ylabel("ns an element")
    panel.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    top = panel.get_ylim()[1]
    for name, size in caches().items():
        panel.axvline(size / 4, color="#999999", linewidth=0.8, linestyle=":")
        panel.text(size / 4, top, f" {name}", color="#666666", va="top")
    handles = [Line2D([], [], color=color, label=function) for function, color in STYLES.items()]
    for threads, style in zip(figures, ("-", "--"), strict=False):
        handles.append(Line2D([], [], color="#333333", linestyle=style, label=in_words(threads)))
    panel.legend(handles=handles, frameon=False)
    figure.suptitle(f"Time per element of one row ({processor()}); dotted: the input fills a cache", fontsize=11)
    figure.savefig(PLOT, dpi=110, metadata={"Software": None})


def in_words(threads: int) -> str:
    return "one thread" if threads == 1 else f"{threads} threads"


def lines(figures: dict[int, Times], largest: int) -> list[str]:
    head = ["", *(f"{f}, {in_words(threads)}" for threads in figures for f in FUNCTIONS)]
    rows = [
        [f"{n:.0e}", *(f"{times[f][i]:.2f}" for times in figures.values() for f in FUNCTIONS)]
        for i, n in enumerate(sizes(largest))
    ]
    return [f"ns an element, {processor()}:", "", *table(head, rows), "", "![Time per element](../bench/growth.png)"]


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure and draw the time per element of rows of float32.")
    parser.add_argument("--up-to", type=int, default=9, help="power of ten of the largest number of elements")
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        print(json.dumps(measure(arguments.part, arguments.up_to)))
        return 0
    figures = {threads: in_process(threads, arguments.up_to) for threads in sorted({1, all_cores()})}
    draw(figures, arguments.up_to)
    put(PAGE, "growth", lines(figures, arguments.up_to))
    print("\n".join(lines(figures, arguments.up_to)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
