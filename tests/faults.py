"""Run one command repeatedly, each time with a fault at another of its steps; test_faults.py checks the outputs.

A step is any access to the file system that Python's audit events report, so no step is forgotten when the command
changes. Each run is a fork of this process, which has imported everything.

    python faults.py KIND OUTPUTS FORMER EXCHANGE COMMAND...

KIND is the fault, a signal or ENOSPC; OUTPUTS are one or several, separated by commas; FORMER is a template of each
output before, or empty; EXCHANGE "with exchange" or "without exchange" of two names by the system.
"""

import atexit
import contextlib
import importlib
import json
import os
import shutil
import signal
import sys
import threading

from smoothmax.__main__ import let_signals_terminate, main
from smoothmax._scale import output, rename

EVENTS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.link", "os.scandir", "os.listdir"}
NO_SUCH_STEP = 55  # exit code of a run that ended before its fault


class Fault:
    """A fault at one step of this process."""

    def __init__(self, kind, step):
        self.kind, self.step, self.steps = kind, step, 0
        self.folder = os.getcwd()

    def count(self, *what):
        """Make the fault if this is its step, and write a note about what the process was doing."""
        self.steps += 1
        if self.steps != self.step:
            return
        callers, frame = set(), sys._getframe()
        while frame:
            callers.add(frame.f_code.co_name)
            frame = frame.f_back
        with open("step.json", "w") as file:
            json.dump({"what": what, "clearing": "clear" in callers}, file)
        if self.kind != "ENOSPC":
            os.kill(os.getpid(), getattr(signal, self.kind))
        elif what[-1] != "is done":
            raise OSError(28, "No space left on device")

    def audit(self, event, details):
        """Count only events in the folder, and not imports of modules."""
        if event in EVENTS:
            path = os.fsdecode(details[0]) if isinstance(details[0], (str, bytes)) else self.folder
            if path.startswith(self.folder) or not os.path.isabs(path):
                self.count(event, path)

    def counted(self, function):
        """Wrap a function that Python does not report: count a step before the call and another one after it."""

        def counting(*given):
            self.count(function.__name__, "begins")
            result = function(*given)
            self.count(function.__name__, "is done")
            return result

        return counting


def exit_code_of_fork(work):
    child = os.fork()
    if not child:
        code = 99
        try:
            code = work()
        except SystemExit as leave:
            code = leave.code
        finally:
            # What the interpreter does before it exits, but for taking modules apart, which takes longer than a run.
            threading._shutdown()
            atexit._run_exitfuncs()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def run_with_fault(kind, step, command):
    let_signals_terminate()
    fault = Fault(kind, step)
    os.fsync, rename.renameat2 = fault.counted(os.fsync), fault.counted(rename.renameat2)
    sys.addaudithook(fault.audit)
    try:
        code = main(command)
    finally:
        fault.step = 0  # none while the process exits
    return code if fault.steps >= step else NO_SUCH_STEP


def contents(path):
    """Every file below a path, or the file at the path, with its bytes; None if nothing exists there."""
    if not os.path.isdir(path):
        return open(path, "rb").read() if os.path.exists(path) else None
    files = [os.path.join(parent, name) for parent, _, names in os.walk(path) for name in names]
    return {os.path.relpath(file, path): open(file, "rb").read() for file in files}


def replace(path, template):
    """Remove the output, and copy the template if there is one."""
    if os.path.exists(path):
        (shutil.rmtree if os.path.isdir(path) else os.remove)(path)
    if template:
        (shutil.copytree if os.path.isdir(template) else shutil.copy)(template, path)


def left_behind():
    return [name for name in os.listdir() if name.startswith(".smoothmax")]


def run_all(kind, targets, former, command):
    """Print a line for each step: the exit code, the outputs and the remaining files, now and after tidying."""
    for module in ("dask.array", "distributed", "fsspec.implementations.asyn_wrapper", "zarr"):
        if targets[0].endswith(".zarr"):
            with contextlib.suppress(ImportError):
                importlib.import_module(module)  # once, and not in each run
    old = contents(former) if former else None
    assert exit_code_of_fork(lambda: main(command)) == 0
    new = {target: contents(target) for target in targets}

    def state_of(target):
        found = contents(target)
        return "new" if found == new[target] else "old" if found == old else "missing" if found is None else "broken"

    def state():
        return " and ".join(sorted({state_of(target) for target in targets}))

    step = 0
    while True:
        step += 1
        for target in targets:
            replace(target, former)
        code = exit_code_of_fork(lambda: run_with_fault(kind, step, command))  # noqa: B023
        if code == NO_SUCH_STEP:
            return
        with open("step.json") as file:
            line = {**json.load(file), "code": code, "output": state(), "left": left_behind()}
        for target in targets:  # as the next run begins
            output.prepare_output(target, folder=target.endswith(".zarr"), replace=True)
        print(json.dumps({**line, "output then": state(), "left then": left_behind()}), flush=True)


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    kind, targets, former, exchange, *command = sys.argv[1:]
    if exchange == "without exchange":

        def renameat2(*_):
            return False

        rename.renameat2 = renameat2
    run_all(kind, targets.split(","), former, command)
