"""Two outputs of which both appear under their names or none, as one appears whole or not at all.

No system renames two files in one step. So the first takes its name, and gives it back if the other does not get its
own. If the process dies between the two, the next run for the first output gives it back.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import IO

from smoothmax._scale.output import flush, flush_folder, keep_permissions, new_folder, open_output, unwritable
from smoothmax._scale.rename import rename_new
from smoothmax._scale.workspace import Workspace, workspace

__all__ = ["new_folders", "open_outputs"]


@contextlib.contextmanager
def open_outputs(paths: Sequence[str], *, replace: bool) -> Iterator[Sequence[IO[bytes]]]:
    """A file to write for each of one or two paths. Errors of writing a file of two must name it by `unwritable`."""
    if len(paths) == 1:
        with open_output(paths[0], replace=replace) as file:
            yield [file]
        return
    first, last = paths if paths[1] == "-" else reversed(paths)  # what is written to a pipe cannot be taken back
    with open_pair(first, last, replace=replace) as files:
        yield files if paths[1] == "-" else files[::-1]


@contextlib.contextmanager
def open_pair(first: str, last: str, *, replace: bool) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    with contextlib.ExitStack() as stack:
        with unwritable(first):
            space = stack.enter_context(workspace(os.path.realpath(first)))
            file = open(space.new, "xb")  # noqa: SIM115 (closed by the stack)
            stack.callback(close_anyway, file)
            keep_permissions(space)
        with open_output(last, replace=replace) as other:
            yield file, other
            if last != "-":
                flush(other)
            with unwritable(first):
                flush(file)
                file.close()
                space.bind(None if last == "-" else (os.path.realpath(last), other.name))
                rename_keeping_former(space, replace=replace)
        space.unbind()


@contextlib.contextmanager
def new_folders(paths: Sequence[str], *, replace: bool) -> Iterator[Sequence[str]]:
    """The path of a folder to make for each of one or two paths."""
    if len(paths) == 1:
        with new_folder(paths[0], replace=replace) as folder:
            yield [folder]
        return
    last, first = paths
    with contextlib.ExitStack() as stack:
        with unwritable(first):
            space = stack.enter_context(workspace(os.path.realpath(first)))
        with new_folder(last, replace=replace) as other:
            yield [other, space.new]
            flush_folder(other)
            with unwritable(first):
                keep_permissions(space)
                flush_folder(space.new)
                space.bind((os.path.realpath(last), other))
                rename_keeping_former(space, replace=replace)
        space.unbind()


def close_anyway(file: IO[bytes]) -> None:
    """Close a file that is to be removed, though its buffer may not fit on the disk."""
    with contextlib.suppress(OSError):
        file.close()


def rename_keeping_former(space: Workspace, *, replace: bool) -> None:
    """Give the new output its name, and keep the former one until the workspace is cleared."""
    if not replace:
        rename_new(space.new, space.target)
        return
    if os.path.exists(space.target):
        try:
            os.link(space.target, space.former)
        except (OSError, NotImplementedError):  # folders and FAT have no links
            os.rename(space.target, space.former)
    os.replace(space.new, space.target)
