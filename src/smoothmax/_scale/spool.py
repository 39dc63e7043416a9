"""Hold what comes through a pipe, or goes into one, in memory or on disk: files are read and written in any order."""

import shutil
import tempfile
from typing import IO

__all__ = ["copy_stream", "open_spool"]

SPOOL_BYTES = 32 << 20  # held in memory; more goes to a temporary file
COPY_BYTES = 1 << 20


def open_spool() -> IO[bytes]:
    """An empty file to write and read, which is gone once it is closed."""
    return tempfile.SpooledTemporaryFile(SPOOL_BYTES)


def copy_stream(source: IO[bytes], target: IO[bytes]) -> None:
    shutil.copyfileobj(source, target, COPY_BYTES)
