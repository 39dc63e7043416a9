"""An output appears under its name complete or not at all. Until then, a former file keeps the name.

The output is written in a workspace beside its place, flushed to the disk, and renamed. Symbolic links are followed, as
by other programs that write files.
"""

import contextlib
import os
import stat
import sys
from collections.abc import Iterator
from typing import IO

from smoothmax._scale.errors import Unwritable, reason
from smoothmax._scale.rename import exchange, rename_new
from smoothmax._scale.spool import copy_stream, open_spool
from smoothmax._scale.workspace import Workspace, clear_abandoned, workspace

__all__ = [
    "flush", "flush_folder", "keep_permissions", "new_file", "new_folder", "open_output", "prepare_output",
    "unwritable",
]  # fmt: skip

EXISTS = "it exists, and --force is not given"
FLUSHING_THREADS = 8


def prepare_output(path: str, *, folder: bool, replace: bool) -> None:
    """Raise Unwritable now for errors that would occur after the work, and remove what killed runs left for this
    output.

    `folder` says whether the output is a folder or a file.
    """
    if path == "-":
        if sys.stdout.isatty():
            raise Unwritable(path, "standard output is a terminal; without -o a reduction prints its result")
        return
    if not os.path.basename(path.rstrip(os.sep + (os.altsep or "")) if folder else path):
        raise Unwritable(path, "it names no file")
    target = os.path.realpath(path)
    parent = os.path.dirname(target)
    try:
        os.stat(target)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:  # a name that is too long, or a cycle of symbolic links
        raise Unwritable(path, reason(error)) from error
    if not os.path.isdir(parent):
        raise Unwritable(path, f"there is no folder {parent!r}")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise Unwritable(path, f"the folder {parent!r} is not writable")
    clear_abandoned(target)
    if not os.path.exists(target):
        return
    if not (os.path.isdir(target) if folder else os.path.isfile(target)):
        raise Unwritable(path, f"it exists and is not {'a folder' if folder else 'a regular file'}")
    if not replace:
        raise Unwritable(path, EXISTS)


@contextlib.contextmanager
def open_output(path: str, *, replace: bool) -> Iterator[IO[bytes]]:
    """A new file to write in any order. "-" is standard output, which gets everything at the end."""
    if path != "-":
        with new_file(path, replace=replace) as file:
            yield file
        return
    with open_spool() as file:
        with unwritable(path):  # here only the disk of the temporary file may fail
            yield file
            file.seek(0)
        copy_stream(file, sys.stdout.buffer)


@contextlib.contextmanager
def new_file(path: str, *, replace: bool) -> Iterator[IO[bytes]]:
    """A file to write. It gets its name when the block ends without an exception."""
    with unwritable(path), workspace(os.path.realpath(path)) as space:
        with open(space.new, "xb") as file:
            keep_permissions(space)
            yield file
            flush(file)
        if replace:
            os.replace(space.new, space.target)
        else:
            rename_new(space.new, space.target)


@contextlib.contextmanager
def new_folder(path: str, *, replace: bool) -> Iterator[str]:
    """The path of a folder to make. It gets its name when the block ends without an exception."""
    with unwritable(path), workspace(os.path.realpath(path)) as space:
        yield space.new
        keep_permissions(space)
        flush_folder(space.new)
        if not (replace and os.path.isdir(space.target)):
            rename_new(space.new, space.target)
        elif not exchange(space.new, space.target):
            # If the process dies between the two, a later run finds the former output and restores its name.
            os.rename(space.target, space.former)
            os.rename(space.new, space.target)


@contextlib.contextmanager
def unwritable(path: str) -> Iterator[None]:
    """Turn errors of the system into Unwritable. Errors of the input are no longer OSErrors here."""
    try:
        yield
    except FileExistsError as error:
        raise Unwritable(path, EXISTS) from error
    except OSError as error:
        raise Unwritable(path, reason(error)) from error


def flush(file: IO[bytes]) -> None:
    """Make the system write the file to the disk."""
    file.flush()
    os.fsync(file.fileno())


def keep_permissions(space: Workspace) -> None:
    """Keep the permissions of the former output, if there is one."""
    if os.path.exists(space.target):
        os.chmod(space.new, stat.S_IMODE(os.stat(space.target).st_mode))


def flush_folder(folder: str) -> None:
    """Make the system write all files of the folder to the disk."""
    from concurrent.futures import ThreadPoolExecutor  # slow to import

    paths = [os.path.join(parent, name) for parent, _, names in os.walk(folder) for name in names]
    # File systems combine flushes that arrive at the same time: 1025 chunks take 0.2 s, and 5 s one by one (P43).
    with ThreadPoolExecutor(FLUSHING_THREADS) as pool:
        for _ in pool.map(flush_file, paths):
            pass


def flush_file(path: str) -> None:
    with open(path, "rb+", buffering=0) as file:
        os.fsync(file.fileno())
