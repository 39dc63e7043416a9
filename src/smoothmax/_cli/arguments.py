"""The arguments of the command line."""

import argparse
import re
import sys
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NoReturn

from smoothmax import __version__
from smoothmax._scale.errors import Refused

__all__ = ["parse"]

FUNCTIONS = {
    "logsumexp": "logarithm of the sum of exponentials",
    "softmax": "exponentials divided by their sum",
    "log_softmax": "logarithm of softmax",
    "logmeanexp": "logarithm of the mean of exponentials",
    "logcumsumexp": "logarithm of the cumulative sum of exponentials",
    "segment_logsumexp": "logsumexp of each segment of an axis",
    "segment_softmax": "softmax within each segment of an axis",
    "segment_log_softmax": "log_softmax within each segment of an axis",
}
REDUCTIONS = ("logsumexp", "logmeanexp", "segment_logsumexp")  # their results are printed if there is no output
DTYPES = ("float32", "float64", "float16", "longdouble")
UNITS = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}


class Parser(argparse.ArgumentParser):
    """A parser that reports an error in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        raise Refused(message)

    def print_help(self, file: Any = None) -> None:
        print(self.format_help(), end="", file=file)  # argparse's own method ignores a full disk


class Version(argparse.Action):
    """--version, printed like the help."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        print("smoothmax", __version__)
        parser.exit()


def parse_axis(text: str) -> int | tuple[int, ...] | None:
    if text.strip().lower() == "none":
        return None
    try:
        axes = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise Refused(f"axis must be none, an integer, or integers separated by commas, got {text!r}") from None
    return axes if len(axes) > 1 else axes[0]


def parse_one_axis(text: str) -> int:
    axis = parse_one_or_none(text)
    if axis is None:
        raise Refused(f"axis must be an integer, got {text!r}")
    return axis


def parse_one_or_none(text: str) -> int | None:
    axis = parse_axis(text)
    if isinstance(axis, tuple):
        raise Refused(f"axis must be one integer, got {text!r}")
    return axis


def parse_scale(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Refused(f"scale must be a number, got {text!r}") from None


def parse_dtype(text: str) -> str:
    if text not in DTYPES:
        raise Refused(f"dtype must be {', '.join(DTYPES[:-1])} or {DTYPES[-1]}, got {text!r}")
    return text


def parse_shape(text: str) -> tuple[int, ...]:
    try:
        shape = tuple(int(part) for part in text.split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise Refused(f"shape must be positive integers separated by commas, got {text!r}")
    return shape


def parse_size(text: str) -> int:
    """A number of bytes, at least a million; numbers beyond any memory are limited to the largest size of an array."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?)\s*([kmg]i?b|)", text.strip().lower())
    size = min(int(Decimal(match[1]) * UNITS[match[2]]), sys.maxsize) if match else 0
    if size < UNITS["mb"]:
        raise Refused(f"max-memory must be a size such as 512MB or 2GiB, 1MB at least, got {text!r}")
    return size


def make_parser() -> Parser:
    parser = Parser(
        prog="python -m smoothmax",
        description="Without arguments: print the configuration, and a comparison with NumPy and SciPy. With the name "
        "of a function: apply it to an array in a file.",
        epilog="python -m smoothmax run program.py: run a program with these functions in the place of SciPy's; see "
        "run --help.",
    )
    parser.add_argument("--version", action=Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(dest="function", title="functions", metavar="function", required=True)
    for name, summary in FUNCTIONS.items():
        add_function(commands, name, summary)
    add_bench(commands)
    return parser


def add_function(commands: Any, name: str, summary: str) -> None:
    command = commands.add_parser(name, help=summary, description=f"The {summary}, of an array in a file.")
    command.add_argument("input", help="a .npy file, a .zarr store, or - for standard input (.npy)")
    printed = "; without it, the result is printed" if name in REDUCTIONS else ""
    command.add_argument(
        "-o", "--output", required=not printed, help=f"where to write the result, of the same kind, - for standard "
        f"output{printed}",
    )  # fmt: skip
    if name.startswith("segment_"):
        command.add_argument("--axis", type=parse_one_axis, default=0, help="the axis that is divided (the first)")
        command.add_argument(
            "--offsets", required=True, help="a .npy file of integers: segment i goes from the i-th to the next"
        )
    elif name == "logcumsumexp":
        command.add_argument(
            "--axis", type=parse_one_or_none, help="an integer, or none: all elements in C's order (the default)"
        )
        command.add_argument("--reverse", action="store_true", help="sum from each position to the end")
        command.add_argument("--exclusive", action="store_true", help="leave the position itself out")
    else:
        command.add_argument(
            "--axis", type=parse_axis, help="an integer, integers separated by commas, or none: all axes (the default)"
        )
        command.add_argument("--scale", type=parse_scale, default=1.0, help="multiply the elements by this number")
    command.add_argument("--dtype", type=parse_dtype, help=f"of the result: {', '.join(DTYPES)}")
    if name in ("logsumexp", "logmeanexp"):
        command.add_argument("--keepdims", action="store_true", help="keep the reduced axes, with length 1")
    command.add_argument(
        "--max-memory", type=parse_size, default="512MB", help="of elements and results: 512MB unless given"
    )
    command.add_argument("--quiet", action="store_true", help="no progress bar, on a terminal too")
    command.add_argument("--force", action="store_true", help="replace the output if it exists")


def add_bench(commands: Any) -> None:
    summary = "comparison with NumPy and SciPy on shapes of your choice"
    command = commands.add_parser("bench", help=summary, description=f"The {summary}.")
    command.add_argument("--shape", type=parse_shape, action="append", required=True, help="as 64,50257; repeatable")
    command.add_argument("--axis", type=parse_axis, default=-1, help="one axis (the last)")
    command.add_argument(
        "--dtype", action="append", choices=("float64", "float32"), help="repeatable; both unless given"
    )
    command.add_argument("--json", action="store_true", help="print the figures as JSON, and no table")
    command.add_argument("--plot", metavar="FILE", help="draw a picture; needs Matplotlib")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The arguments of a command; Refused if they are wrong."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] in ("--axis", "--scale"):  # argparse takes -2,-1 of `--axis -2,-1` for an option
            joined[-1] = f"{joined[-1]}={argument}"
        else:
            joined.append(argument)
    return make_parser().parse_args(joined)
