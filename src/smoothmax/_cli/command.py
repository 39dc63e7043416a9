"""The file command: arguments of the command line, a .npy file in, a .npy file out. _blocks goes through them.

An output appears under its name whole or not at all: it is written under another name in the same folder, and renamed.
"""

import argparse
import contextlib
import importlib.util
import math
import os
import re
import stat
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np

import smoothmax
from smoothmax._partial import states as _states
from smoothmax._scale import blocks as _blocks
from smoothmax._scale import zarr as _zarr

__all__ = ["Refused", "parse", "run"]

FUNCTIONS: dict[str, tuple[Callable[..., Any], str]] = {
    "logsumexp": (smoothmax.logsumexp, "logarithm of the sum of exponentials"),
    "softmax": (smoothmax.softmax, "exponentials divided by their sum"),
    "log_softmax": (smoothmax.log_softmax, "logarithm of softmax"),
}
DTYPES = ("float32", "float64", "float16", "longdouble")
UNITS = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
SMALL_RESULT = 1 << 24  # bytes of a result that is kept until it is written


class Refused(Exception):  # noqa: N818 (it is no error of the program's)
    """What was asked for cannot be done; the message is the line that the user sees."""


# Arguments -----------------------------------------------------------------------------------------------------------


class Parser(argparse.ArgumentParser):
    """One that says what is wrong in one line, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        raise Refused(message)


class Version(argparse.Action):
    """--version, which reads the metadata when it is asked for and not whenever a parser is made."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        print("smoothmax", smoothmax.__version__)
        parser.exit()


def parse_axis(text: str) -> int | tuple[int, ...] | None:
    if text.strip().lower() == "none":
        return None
    try:
        axes = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise Refused(f"axis must be none, an integer, or integers separated by commas, got {text!r}") from None
    return axes if len(axes) > 1 else axes[0]


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
    """A number of bytes, a million at least."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?)\s*([kmg]i?b|)", text.strip().lower())
    size = int(float(match[1]) * UNITS[match[2]]) if match else 0
    if size < UNITS["mb"]:
        raise Refused(f"max-memory must be a size such as 512MB or 2GiB, 1MB at least, got {text!r}")
    return size


def make_parser() -> Parser:
    parser = Parser(
        prog="python -m smoothmax",
        description="Without arguments: print the configuration, and a comparison with NumPy and SciPy. With the name "
        "of a function: apply it to an array in a .npy file.",
    )
    parser.add_argument("--version", action=Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(dest="function", title="functions", metavar="function", required=True)
    for name, (_, summary) in FUNCTIONS.items():
        command = commands.add_parser(name, help=summary, description=f"The {summary}, of a .npy file.")
        command.add_argument("input", help="a .npy file, or a .zarr store")
        command.add_argument("-o", "--output", required=True, help="where to write the result, of the same kind")
        command.add_argument(
            "--axis", type=parse_axis, help="an integer, integers separated by commas, or none: all axes (the default)"
        )
        command.add_argument("--dtype", type=parse_dtype, help=f"of the result: {', '.join(DTYPES)}")
        if name == "logsumexp":
            command.add_argument("--keepdims", action="store_true", help="keep the reduced axes, with length 1")
        command.add_argument(
            "--max-memory",
            type=parse_size,
            default=parse_size("512MB"),
            help="of elements and results: 512MB unless given",
        )
        command.add_argument("--quiet", action="store_true", help="no progress bar, on a terminal too")
        command.add_argument("--force", action="store_true", help="replace the output file where it exists")
    add_bench(commands)
    return parser


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
    """The arguments of a command; Refused where they are wrong."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] == "--axis":  # argparse takes the -2,-1 of `--axis -2,-1` for an option
            joined[-1] = f"--axis={argument}"
        else:
            joined.append(argument)
    return make_parser().parse_args(joined)


# Files ---------------------------------------------------------------------------------------------------------------


def reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


@contextlib.contextmanager
def reading(path: str) -> Iterator[tuple[Any, tuple[int, ...], bool, np.dtype[Any]]]:
    """The open .npy file at its data, and its header. np.load takes zip archives and pickles, and pads no sentence."""
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open(path, "rb", buffering=0))
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Refused(f"cannot read {path!r}: not a regular file")
            shape, fortran_order, dtype = read_header(path, file)
            np.empty((0,) * len(shape))  # NumPy says how many axes are too many
            if dtype.hasobject:
                raise Refused(f"cannot read {path!r}: it must hold an array of numbers, got dtype {dtype}")
            needed = math.prod(shape) * dtype.itemsize
            there = os.fstat(file.fileno()).st_size - file.tell()
            if there < needed:
                raise Refused(f"cannot read {path!r}: truncated, {needed} bytes of data needed, got {there}")
        except (OSError, ValueError) as error:
            raise Refused(f"cannot read {path!r}: {reason(error)}") from error
        yield file, shape, fortran_order, dtype


def read_header(path: str, file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    layout = np.lib.format
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of files that Python 2 wrote
            if layout.read_magic(file) == (1, 0):
                shape, fortran_order, dtype = layout.read_array_header_1_0(file)
            else:  # 3.0 encodes the names of fields otherwise than 2.0, and whatever has fields is refused anyway
                shape, fortran_order, dtype = layout.read_array_header_2_0(file)
        if min(shape, default=0) < 0:
            raise ValueError(f"negative shape {shape}")
    except OSError:
        raise
    except Exception as error:  # whatever NumPy's parsers raise at arbitrary bytes, which is more than ValueError
        raise Refused(f"cannot read {path!r}: not a .npy file") from error
    return shape, fortran_order, dtype


def is_zarr(path: str) -> bool:
    return path.rstrip(os.sep).endswith(".zarr")


def check_output(path: str, force: bool) -> None:
    """Refuse before anything is computed what would be refused after it."""
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if not os.path.basename(path):
        raise Refused(f"cannot write {path!r}: it names no file")
    if not os.path.isdir(folder):
        raise Refused(f"cannot write {path!r}: there is no folder {folder!r}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Refused(f"cannot write {path!r}: the folder {folder!r} is not writable")
    if os.path.exists(target) and not (os.path.isdir(target) if is_zarr(path) else os.path.isfile(target)):
        raise Refused(
            f"cannot write {path!r}: it exists and is not {'a folder' if is_zarr(path) else 'a regular file'}"
        )
    if os.path.exists(target) and not force:
        raise Refused(f"cannot write {path!r}: it exists, and --force is not given")


@contextlib.contextmanager
def writing(path: str) -> Iterator[Any]:
    """A new file that takes its name when all is written, or goes; through a symbolic link, as any program would."""
    target = os.path.realpath(path)
    temporary = os.path.join(os.path.dirname(target), f".smoothmax-{os.urandom(8).hex()}.tmp")
    try:
        with open(temporary, "xb") as file:
            if os.path.exists(target):
                os.chmod(temporary, stat.S_IMODE(os.stat(target).st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            raise Refused(f"cannot write {path!r}: {reason(error)}") from error
        raise


def write(path: str, array: np.ndarray[Any, Any]) -> None:
    """Write a .npy file, whole or not at all."""
    with writing(path) as file:
        # Without the shell np.save's tofile writes, whose last buffer a full disk loses in silence (NumPy 2.4).
        np.lib.format.write_array(SimpleNamespace(write=file.write), array, allow_pickle=False)


# Functions -----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def progress_bar(total: int, quiet: bool) -> Iterator[Callable[[int], object]]:
    """What to tell how many bytes were read: a bar on a terminal where tqdm is installed, else nothing."""
    if quiet or not sys.stderr.isatty() or importlib.util.find_spec("tqdm") is None:
        yield int
        return
    tqdm = importlib.import_module("tqdm").tqdm
    with tqdm(total=total, unit="B", unit_scale=True, leave=False, file=sys.stderr) as bar:
        yield bar.update


def computed_dtype(dtype: np.dtype[Any], wanted: str | None) -> np.dtype[Any] | None:
    """The type of the result, or None where no part of an array can be taken alone: such types have no kernels."""
    try:
        return _states.dtype_of(np.empty(0, dtype), dtype=wanted)
    except TypeError:
        return None


def run_file(options: argparse.Namespace) -> None:
    function, keepdims = FUNCTIONS[options.function][0], getattr(options, "keepdims", False)
    with reading(options.input) as (file, shape, fortran_order, dtype):
        reversed_order = fortran_order and sum(n != 1 for n in shape) > 1
        source = _blocks.NpyReader(file, shape[::-1] if reversed_order else shape, dtype)
        result_dtype = computed_dtype(dtype, options.dtype)
        if result_dtype is None or not math.prod(shape):
            array = source[tuple(slice(0, n) for n in source.shape)]
            keywords = {"keepdims": True} if keepdims else {}
            array = array.T if reversed_order else array
            write(options.output, np.asarray(function(array, axis=options.axis, dtype=options.dtype, **keywords)))
            return
        axis = _states.axes_of(options.axis, len(shape))
        result_shape = shape
        if options.function == "logsumexp":
            result_shape = tuple(1 if i in axis else n for i, n in enumerate(shape) if keepdims or i not in axis)
        along = tuple(len(shape) - 1 - i for i in axis) if reversed_order else axis
        passes = 1 if math.prod(shape) * dtype.itemsize <= options.max_memory else 2
        with progress_bar(passes * math.prod(shape) * dtype.itemsize, options.quiet) as progress:
            job = _blocks.Job(options.function, function, along, keepdims, result_dtype, options.max_memory, progress)
            if options.function == "logsumexp" and math.prod(result_shape) * result_dtype.itemsize <= SMALL_RESULT:
                values = np.empty(result_shape[::-1] if reversed_order else result_shape, result_dtype)
                _blocks.transform(job, source, values)
                write(options.output, np.array(values.T if reversed_order else values, order="C"))
                return
            with writing(options.output) as output:
                _blocks.write_header(output, result_shape, reversed_order, result_dtype)
                in_file = result_shape[::-1] if reversed_order else result_shape
                _blocks.transform(job, source, _blocks.NpyWriter(output, in_file, result_dtype))


def run_zarr(options: argparse.Namespace) -> None:
    if not is_zarr(options.input) or not is_zarr(options.output):
        raise Refused(f"input and output must both be .zarr or both be .npy, got {options.input!r}, {options.output!r}")
    keywords = {"keepdims": True} if getattr(options, "keepdims", False) else {}
    if not os.path.isdir(options.input):
        raise Refused(f"cannot read {options.input!r}: No such folder")
    try:
        _zarr.transform(
            options.function, options.input, options.output, axis=options.axis, dtype=options.dtype, **keywords
        )
    except ImportError as error:
        raise Refused(f".zarr needs zarr and dask, pip install 'smoothmax[files]': {error}") from error
    except OSError as error:
        raise Refused(f"cannot write {options.output!r}: {reason(error)}") from error


def run_bench(options: argparse.Namespace) -> None:
    if not isinstance(options.axis, int):
        raise Refused("axis must be one integer")
    try:
        from smoothmax._cli import bench as _bench

        _bench.run(options.shape, options.axis, options.dtype or ["float64", "float32"], options.json, options.plot)
    except ImportError as error:
        raise Refused(f"--plot needs Matplotlib: {error}") from error
    except MemoryError as error:
        raise Refused("not enough memory for this shape") from error
    except (OSError, ValueError) as error:
        raise Refused(reason(error)) from error


def run(options: argparse.Namespace) -> None:
    """Carry out a parsed command; Refused where it cannot be."""
    if options.function == "bench":
        run_bench(options)
        return
    check_output(options.output, options.force)
    try:
        if is_zarr(options.input) or is_zarr(options.output):
            run_zarr(options)
        else:
            run_file(options)
    except _blocks.Unreadable as error:
        raise Refused(f"cannot read {options.input!r}: {error}") from error
    except MemoryError as error:
        raise Refused(f"not enough memory for {options.function} of {options.input!r}") from error
    except (TypeError, ValueError, OverflowError, NotImplementedError) as error:
        raise Refused(reason(error)) from error
