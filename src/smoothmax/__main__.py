"""python -m smoothmax: which job was asked for, and the exit code. The jobs are _compare's and _command's."""

import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from smoothmax import show_config
from smoothmax._cli import command as _command
from smoothmax._cli import compare as _compare

INTERRUPTED = 128 + signal.SIGINT


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says. The exit code: 0, 2 for whatever was refused, 130 after Ctrl-C."""
    try:
        if arguments:
            _command.run(_command.parse(arguments))
        else:
            show_config()
            _compare.compare()
            sys.stdout.flush()
    except _command.Refused as refusal:
        return complain(str(refusal), 2)
    except KeyboardInterrupt:
        return complain("interrupted", INTERRUPTED)
    except BrokenPipeError:  # `python -m smoothmax | head`; what is left in the buffer must not fail again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def complain(message: str, code: int) -> int:
    print("smoothmax: error:", " ".join(message.splitlines()), file=sys.stderr)
    return code


def terminate(number: int, _: object) -> NoReturn:
    """Leave as by Ctrl-C, so that no temporary file stays behind."""
    raise SystemExit(128 + number)


def let_signals_terminate() -> None:
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores SIGHUP
            signal.signal(number, terminate)


if __name__ == "__main__":
    let_signals_terminate()
    sys.exit(main(sys.argv[1:]))
