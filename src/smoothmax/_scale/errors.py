"""The errors of jobs on files. The message of each is the whole line that the user sees."""

__all__ = ["Refused", "Unreadable", "Unwritable", "reason"]


class Refused(Exception):  # noqa: N818 (the program is right, the request is not)
    """The request cannot be carried out."""


class Unreadable(Refused):
    """The input cannot be read. This is not an OSError, so that it is never mistaken for an error of the output."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(path, why)  # with both arguments, so that the exception can be pickled

    def __str__(self) -> str:
        return f"cannot read {self.args[0]!r}: {self.args[1]}"


class Unwritable(Refused):
    """The output cannot be written."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(path, why)

    def __str__(self) -> str:
        return f"cannot write {self.args[0]!r}: {self.args[1]}"


def reason(error: BaseException) -> str:
    """The text of the error without its number and the path, which is in the line already."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
