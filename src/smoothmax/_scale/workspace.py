"""A temporary folder beside an output: files written there get the output's name when they are complete.

It holds
    lock    locked by the process that writes, as long as it lives: what a killed one leaves behind is unlocked
    new     the output to be
    former  the output before, for the moment in which the name belongs to neither, or in which it can still come back
    bond    of an output that appears together with another: how to tell whether each of them has appeared

The name of the folder contains a digest of the output's name, so that a later run for the same output finds what an
earlier one left. A file without a name (O_TMPFILE) would leave nothing behind. But folders cannot have this, not every
file system supports it, and such a file cannot replace an existing one without a temporary name.
"""

import atexit
import contextlib
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["Workspace", "clear_abandoned", "workspace"]


class Workspace:
    """The paths of a workspace for an output."""

    def __init__(self, folder: str, target: str) -> None:
        self.folder, self.target = folder, target
        names = ("lock", "new", "former", "bond")
        self.lock, self.new, self.former, self.bond = (os.path.join(folder, name) for name in names)

    def open_lock(self) -> int:
        return os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o600)

    def bind(self, other: tuple[str, str] | None) -> None:
        """Let this output lose its name again if another, with this name and this new file, does not get its own.

        None is an output that is no file.
        """
        theirs = None if other is None else [other[0], identity(other[1])]
        with open(self.bond, "w") as file:
            json.dump([identity(self.new), theirs], file)

    def unbind(self) -> None:
        """Say that both outputs have appeared."""
        with contextlib.suppress(OSError):  # as clear() finds, unless the other is no file
            os.remove(self.bond)

    def is_half(self) -> bool:
        """Whether this output has appeared and the one that it is bound to has not."""
        try:
            with open(self.bond) as file:
                own, theirs = json.load(file)
        except (FileNotFoundError, ValueError):  # not bound, or killed before this output could appear
            return False
        return identity(self.target) == own and (theirs is None or identity(theirs[0]) != theirs[1])

    def clear(self) -> None:
        """Restore the name of the former output if it is free, and remove everything else as far as possible."""
        with contextlib.suppress(OSError):
            if self.is_half():
                if os.path.isdir(self.target):
                    os.rename(self.target, self.new)
                else:
                    os.remove(self.target)
            if os.path.lexists(self.former) and not os.path.lexists(self.target):
                os.rename(self.former, self.target)
            shutil.rmtree(self.folder, ignore_errors=True)

    def clear_at_exit(self, kind: type[BaseException] | None, *_: object) -> None:
        """After an exception, clear once more when the interpreter has waited for its threads.

        A signal ends the call, but not what a thread of zarr is doing: it may make the folder anew.
        """
        if kind is not None:
            atexit.register(self.clear)


def identity(path: str) -> list[int] | None:
    """What tells a file from others that have its name before or after, and follows it to another name."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return [found.st_dev, found.st_ino, found.st_mtime_ns]


def take_lock(lock: int) -> bool | None:
    """Lock an open file until it is closed. False: another process has the lock. None: the file system has no locks."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(lock, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True


def was_removed(lock: int) -> bool:
    return os.fstat(lock).st_nlink == 0


def prefix_of(target: str) -> str:
    return f".smoothmax-{hashlib.sha256(os.fsencode(os.path.basename(target))).hexdigest()[:16]}-"


@contextlib.contextmanager
def workspace(target: str) -> Iterator[Workspace]:
    """A new workspace for this output, whose path must be resolved. It is cleared at the end in any case."""
    with contextlib.ExitStack() as stack:
        while True:
            name = f"{prefix_of(target)}{os.urandom(8).hex()}.tmp"
            space = Workspace(os.path.join(os.path.dirname(target), name), target)
            stack.push(space.clear_at_exit)
            stack.callback(space.clear)
            os.mkdir(space.folder, 0o700)  # nobody else can read an incomplete output
            # Before it is locked, another run may consider it abandoned and remove it.
            with contextlib.suppress(FileNotFoundError):
                lock = space.open_lock()
                stack.callback(os.close, lock)
                if take_lock(lock) is not False and not was_removed(lock):
                    break
        yield space


def clear_abandoned(target: str) -> None:
    """Clear the workspaces of this output whose processes have died. Those that cannot be locked or removed stay."""
    with contextlib.suppress(OSError), os.scandir(os.path.dirname(target)) as entries:
        spaces = [Workspace(entry.path, target) for entry in entries if entry.name.startswith(prefix_of(target))]
        for space in spaces:
            with contextlib.suppress(OSError):
                lock = space.open_lock()
                try:
                    dead = take_lock(lock) is True and not was_removed(lock)
                    if dead:
                        space.clear()
                finally:
                    os.close(lock)
                if dead:
                    space.clear()  # again, because Windows does not remove open files
