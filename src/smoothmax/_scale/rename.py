"""Atomic renames: exchange two names, or give a new name that must not exist yet.

Linux has one system call for both, renameat2. Each function says what it does if the system or the file system does not
have it.
"""

import ctypes
import errno
import os
import sys

__all__ = ["exchange", "rename_new"]

NOREPLACE, EXCHANGE = 1, 2  # RENAME_NOREPLACE and RENAME_EXCHANGE of <linux/fs.h>
AT_FDCWD = -100
# The errors of old kernels, other file systems and the filters of sandboxes. If EPERM means that the rename itself is
# not allowed, the other way fails, too.
UNSUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM)


def renameat2(source: str, target: str, flags: int) -> bool:
    """Whether the rename was done; False if it is not supported. Raises OSError if it failed."""
    if sys.platform != "linux":
        return False
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):  # a C library without it
        return False
    if function(AT_FDCWD, os.fsencode(source), AT_FDCWD, os.fsencode(target), flags) == 0:
        return True
    number = ctypes.get_errno()
    if number in UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number), source, None, target)


def exchange(first: str, second: str) -> bool:
    """Exchange two existing files or folders; False if that is not supported."""
    return renameat2(first, second, EXCHANGE)


def rename_new(source: str, target: str) -> None:
    """Rename a file or a folder to a name that does not exist; FileExistsError if it does."""
    if renameat2(source, target, NOREPLACE):
        return
    if not os.path.isdir(source):
        try:
            os.link(source, target)  # the source is temporary, and will be removed with its folder
            return
        except FileExistsError:
            raise
        except (OSError, NotImplementedError):  # FAT has no links
            pass
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
    os.rename(source, target)
