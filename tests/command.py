"""python -m smoothmax in a process of its own, with what a test wants to be different there."""

import subprocess
import sys

WITHOUT_SCIPY = "sys.modules['scipy'] = sys.modules['scipy.special'] = None\n"


def python(script, arguments, timeout=120):
    """`python -m smoothmax`, after a script in the same process."""
    script = (
        f"import runpy, sys\nsys.argv[1:] = {arguments!r}\n{script}\nrunpy.run_module('smoothmax', run_name='__main__')"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=timeout)
    return run.returncode, run.stdout, run.stderr
