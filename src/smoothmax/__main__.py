"""python -m smoothmax: choose the job, and return the exit code. The jobs are in _cli."""

import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn, TextIO

from smoothmax import show_config
from smoothmax._cli.arguments import parse
from smoothmax._cli.compare import compare
from smoothmax._cli.program import run_program
from smoothmax._cli.run import run
from smoothmax._scale.errors import Refused, reason

INTERRUPTED = 128 + signal.SIGINT


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says. Returns the exit code: 0, 2 if the request was refused, 130 after Ctrl-C."""
    try:
        try:
            if arguments:
                run(parse(arguments))
            else:
                show_config()
                compare()
        finally:
            sys.stdout.flush()
    except Refused as refusal:
        return complain(str(refusal), 2)
    except KeyboardInterrupt:
        return complain("interrupted", INTERRUPTED)
    except BrokenPipeError:  # `python -m smoothmax | head`
        discard(sys.stdout)
        return 1
    except OSError as error:  # errors of files have become Refused before
        discard(sys.stdout)
        return complain(f"cannot write to standard output: {reason(error)}", 2)
    return 0


def complain(message: str, code: int) -> int:
    try:
        print("smoothmax: error:", " ".join(message.splitlines()), file=sys.stderr, flush=True)
    except OSError:  # for example a full disk behind stderr: the exit code still tells
        discard(sys.stderr)
    return code


def discard(stream: TextIO) -> None:
    """Drop the rest of a stream's buffer, because writing it would fail again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def open_closed_streams() -> None:
    """Open /dev/null as stdin, stdout and stderr if they are closed.

    Otherwise the next file that is opened would get the number of one of them, and receive what C libraries print.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 (open until the end)


def terminate(number: int, _: object) -> NoReturn:
    """Exit as after Ctrl-C, so that no temporary file is left."""
    raise SystemExit(128 + number)


def let_signals_terminate() -> None:
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores SIGHUP
            signal.signal(number, terminate)


def main_of_program(arguments: Sequence[str]) -> int:
    """Run a program. It handles its own exceptions, signals and streams."""
    try:
        run_program(arguments)
    except Refused as refusal:
        return complain(str(refusal), 2)
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        sys.exit(main_of_program(sys.argv[2:]))
    open_closed_streams()
    let_signals_terminate()
    sys.exit(main(sys.argv[1:]))
