"""The arguments of the command line."""

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from smoothmax import __version__
from smoothmax._cli.values import (
    DTYPES,
    parse_axis,
    parse_dtype,
    parse_k,
    parse_lengths,
    parse_one_axis,
    parse_one_or_none,
    parse_scale,
    parse_seed,
    parse_shape,
    parse_size,
)  # fmt: skip
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
    "logaddexp": "logarithm of the sum of two exponentials",
    "logsubexp": "logarithm of the difference of two exponentials",
    "log1mexp": "logarithm of one minus an exponential",
    "log1pexp": "logarithm of one plus an exponential, the softplus",
    "log_expit": "logarithm of the logistic function",
    "logmatmulexp": "product of two matrices in log space",
    "top_log_probs": "largest log-probabilities of each row of logits, and where they are",
    "categorical": "indices drawn with the probabilities of logits",
}
INPUTS = {"logaddexp": ("x1", "x2"), "logsubexp": ("x1", "x2"), "logmatmulexp": ("a", "b")}  # of the others: input
# Functions whose results are printed where there is no output.
PRINTED = {
    "logsumexp": "the result is printed",
    "logmeanexp": "the result is printed",
    "segment_logsumexp": "the result is printed",
    "categorical": "the indices are printed",
    "top_log_probs": "and without --indices, those of one row are printed: an index and a log-probability on each line",
}


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
    inputs = INPUTS.get(name, ("input",))
    of_what = "an array in a file" if len(inputs) == 1 else "arrays in two files"
    command = commands.add_parser(name, help=summary, description=f"The {summary}, of {of_what}.")
    kinds = "a .npy file, a .zarr store, or - for standard input (.npy)"
    for dest, metavar in zip(("input", "second"), inputs, strict=False):
        command.add_argument(dest, metavar=metavar, help=kinds)
    printed = f"; without it, {PRINTED[name]}" if name in PRINTED else ""
    command.add_argument(
        "-o", "--output", required=not printed, help=f"where to write the result, of the same kind, - for standard "
        f"output{printed}",
    )  # fmt: skip
    ARGUMENTS_OF.get(name, add_nothing)(command)
    if name not in ("top_log_probs", "categorical"):
        command.add_argument("--dtype", type=parse_dtype, help=f"of the result: {', '.join(DTYPES)}")
    command.add_argument(
        "--max-memory", type=parse_size, default="512MB", help="of elements and results: 512MB unless given"
    )
    command.add_argument("--quiet", action="store_true", help="no progress bar, on a terminal too")
    command.add_argument("--force", action="store_true", help="replace the output if it exists")


def add_nothing(command: Any) -> None:
    pass


def add_axes_and_scale(command: Any) -> None:
    command.add_argument(
        "--axis", type=parse_axis, help="an integer, integers separated by commas, or none: all axes (the default)"
    )
    add_scale(command)


def add_scale(command: Any) -> None:
    command.add_argument("--scale", type=parse_scale, default=1.0, help="multiply the elements by this number")


def add_reduction(command: Any) -> None:
    add_axes_and_scale(command)
    command.add_argument("--keepdims", action="store_true", help="keep the reduced axes, with length 1")


def add_scan(command: Any) -> None:
    command.add_argument(
        "--axis", type=parse_one_or_none, help="an integer, or none: all elements in C's order (the default)"
    )
    command.add_argument("--reverse", action="store_true", help="sum from each position to the end")
    command.add_argument("--exclusive", action="store_true", help="leave the position itself out")


def add_segments(command: Any) -> None:
    command.add_argument("--axis", type=parse_one_axis, default=0, help="the axis that is divided (the first)")
    command.add_argument(
        "--offsets", required=True, help="a .npy file of integers: segment i goes from the i-th to the next"
    )


def add_exact(command: Any) -> None:
    command.add_argument("--exact", action="store_true", help="sum each element by itself, within 2 ULP")


def add_row_axis(command: Any) -> None:
    command.add_argument("--axis", type=parse_one_axis, default=-1, help="the axis of the probabilities (the last)")


def add_top(command: Any) -> None:
    command.add_argument("-k", type=parse_k, required=True, metavar="K", help="how many of each row")
    command.add_argument("--indices", metavar="FILE", help="where to write the indices; -o writes log-probabilities")
    add_row_axis(command)


def add_categorical(command: Any) -> None:
    add_row_axis(command)
    command.add_argument(
        "--size", type=parse_lengths, help="the shape of the result, to which that of the rows broadcasts: as 1000,64"
    )
    add_scale(command)
    command.add_argument("--seed", dest="rng", type=parse_seed, help="an integer: equal seeds give equal draws")


ARGUMENTS_OF = {
    "logsumexp": add_reduction,
    "logmeanexp": add_reduction,
    "softmax": add_axes_and_scale,
    "log_softmax": add_axes_and_scale,
    "logcumsumexp": add_scan,
    "segment_logsumexp": add_segments,
    "segment_softmax": add_segments,
    "segment_log_softmax": add_segments,
    "logmatmulexp": add_exact,
    "top_log_probs": add_top,
    "categorical": add_categorical,
}


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
