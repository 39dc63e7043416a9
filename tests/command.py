"""Run python -m smoothmax in a process of its own, after a script that changes that process, and read its errors."""

import subprocess
import sys

from smoothmax.__main__ import main

WITHOUT_SCIPY = "sys.modules['scipy'] = sys.modules['scipy.special'] = None\n"

# A background job of a script, or under nohup, ignores signals. Without this, the processes that it starts would, too.
RESTORE_SIGNALS = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
for name in ("SIGTERM", "SIGHUP"):
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.SIG_DFL)
"""


def python(script, arguments, timeout=120):
    """`python -m smoothmax`, after a script in the same process."""
    script = (
        f"import runpy, sys\nsys.argv[1:] = {arguments!r}\n{RESTORE_SIGNALS}\n{script}\n"
        "runpy.run_module('smoothmax', run_name='__main__')"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=timeout)
    return run.returncode, run.stdout, run.stderr


def error_of(capsys, arguments, code=2):
    """The message of a command that ends with this code. Asserts that it is one line of stderr, and stdout is empty."""
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("smoothmax: error: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    return err[len("smoothmax: error: ") : -1]
