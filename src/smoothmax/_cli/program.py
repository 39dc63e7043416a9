"""python -m smoothmax run: run a program in which smoothmax replaces SciPy's functions."""

import os
import runpy
import sys
from collections.abc import Sequence
from types import ModuleType

from smoothmax._scale.errors import Refused
from smoothmax._switch.children import announce, follow

__all__ = ["run_program"]

USAGE = """usage: python -m smoothmax run [--scikit-learn] (script.py | -m module | -c code) [arguments ...]

Run a Python program in which smoothmax answers calls of scipy.special's logsumexp, softmax, log_softmax and log_expit,
in this process and in all processes that it starts. Everything after the program's name is passed to the program.

options:
  -h, --help      show this help message and exit
  --scikit-learn  answer for scikit-learn's own copies of these functions, too
  -m module       run a module, as python -m does
  -c code         run a text, as python -c does
"""


def run_program(arguments: Sequence[str]) -> None:
    """Run the program like Python itself: with its own sys.argv, sys.path, exceptions and exit code."""
    rest, scikit_learn = list(arguments), False
    while rest and rest[0] in ("-h", "--help", "--scikit-learn"):
        if rest.pop(0) != "--scikit-learn":
            print(USAGE, end="")
            return
        scikit_learn = True
    option = rest.pop(0) if rest[:1] in (["-m"], ["-c"]) else None
    if not rest:
        raise Refused("run needs a script, -m module or -c code")
    if option is None and rest[0].startswith("-"):
        raise Refused(f"run has no option {rest[0]!r}; it knows --scikit-learn, -m and -c")
    if option is None and not os.path.exists(rest[0]):
        raise Refused(f"cannot run {rest[0]!r}: No such file or directory")
    announce(os.environ, scikit_learn=scikit_learn)
    follow("scikit-learn" if scikit_learn else "scipy")
    program, sys.argv = rest[0], rest
    if option == "-m":
        sys.path[0] = os.getcwd()
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    elif option == "-c":
        sys.path[0], sys.argv = "", ["-c", *rest[1:]]
        main = sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(program, "<string>", "exec"), vars(main))
    else:
        if not os.path.isdir(program):  # run_path adds the entry of a folder or an archive
            sys.path[0] = os.path.dirname(os.path.abspath(program))
        runpy.run_path(program, run_name="__main__")
