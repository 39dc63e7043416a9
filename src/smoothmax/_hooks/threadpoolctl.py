"""smoothmax among the libraries whose threads threadpoolctl limits."""

from importlib import import_module
from types import ModuleType
from typing import Any

from smoothmax._schedule.threads import get_setting, put_setting, threads_of_process

__all__ = ["register_threadpoolctl"]

_registered_with: ModuleType | None = None


class Setting(int):
    """A number of threads, and what was set when it was asked for: 0 for nothing, so that the system decides.

    threadpoolctl stores the number at the beginning of a limit and sets it again at the end. As a bare number it would
    stay set, and smoothmax would no longer follow the processors that it may run on.
    """

    of_process: int

    @classmethod
    def current(cls) -> "Setting":
        before = get_setting()
        found = cls(before or threads_of_process())
        found.of_process = before
        return found


def register_threadpoolctl() -> None:
    """Let threadpoolctl limit the threads of smoothmax as it limits those of BLAS and OpenMP.

    ``import smoothmax`` calls this where threadpoolctl has been imported before, as scikit-learn does. A program that
    imports threadpoolctl later, or that does not know the order, calls it once; further calls do nothing.

    Raises
    ------
    ModuleNotFoundError
        Where threadpoolctl is not installed.
    ImportError
        Where it is older than 3.2, the first version that other libraries can register with.

    See Also
    --------
    set_num_threads : what a limit of threadpoolctl sets.
    num_threads : a limit for one thread, which goes before that of the process.

    Notes
    -----
    A limit holds for the process, as `set_num_threads` does, not for the thread that sets it. When it ends, what was
    set before is set again. ``user_api`` and ``internal_api`` are ``"smoothmax"``, so ``threadpool_limits(1,
    user_api="blas")`` leaves smoothmax alone. Limits of more than 1024 are taken as 1024.

    smoothmax does not import threadpoolctl by itself, and does not watch the imports of a program.

    Examples
    --------
    >>> import smoothmax
    >>> from threadpoolctl import threadpool_limits
    >>> smoothmax.register_threadpoolctl()
    >>> with threadpool_limits(1):
    ...     smoothmax.get_num_threads()
    1
    """
    threadpoolctl: Any = import_module("threadpoolctl")
    if not hasattr(threadpoolctl, "register"):
        raise ImportError(
            f"smoothmax needs threadpoolctl 3.2 or newer to register with, found {threadpoolctl.__version__}"
        )
    global _registered_with
    if _registered_with is not threadpoolctl:
        _registered_with = threadpoolctl
        threadpoolctl.register(controller_class(threadpoolctl.LibController))


def register_if_whole(loaded: ModuleType) -> None:
    """Register, unless threadpoolctl is too old for that, or is being imported at this moment."""
    if hasattr(loaded, "register") and hasattr(loaded, "ThreadpoolController"):
        register_threadpoolctl()


def get_num_threads(_: object) -> Setting:
    return Setting.current()


def set_num_threads(_: object, num_threads: int) -> None:
    put_setting(num_threads.of_process if isinstance(num_threads, Setting) else max(num_threads, 1))


def get_version(_: object) -> str:
    import smoothmax

    return smoothmax.__version__


def controller_class(base: type) -> type:
    """A subclass of threadpoolctl's LibController."""
    content = {
        "user_api": "smoothmax",
        "internal_api": "smoothmax",
        # threadpoolctl looks for loaded libraries, by the beginning of their names and a function that they have.
        "filename_prefixes": ("threads.",),
        "check_symbols": ("smoothmax_has_threads",),
        "get_num_threads": get_num_threads,
        "set_num_threads": set_num_threads,
        "get_version": get_version,
    }
    return type("SmoothmaxController", (base,), content)
