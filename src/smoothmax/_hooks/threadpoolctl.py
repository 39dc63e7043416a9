"""Let threadpoolctl limit the threads of smoothmax."""

from importlib import import_module
from types import ModuleType
from typing import Any

from smoothmax._schedule.threads import get_setting, put_setting, threads_of_process

__all__ = ["register_threadpoolctl"]

_registered_with: ModuleType | None = None


class Setting(int):
    """A number of threads, and the setting at the time: 0 if nothing was set and the system decides.

    threadpoolctl stores the number at the beginning of a limit and sets it again at the end. A plain number would then
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
    """Let threadpoolctl limit the threads of smoothmax, as those of BLAS and OpenMP.

    ``import smoothmax`` calls this if threadpoolctl has been imported before, for example by scikit-learn. A program
    that imports threadpoolctl later, or does not know the order, calls this once; further calls do nothing.

    Raises
    ------
    ModuleNotFoundError
        threadpoolctl is not installed.
    ImportError
        threadpoolctl is older than 3.2, the first version with which other libraries can register.

    See Also
    --------
    set_num_threads : the setting that a limit of threadpoolctl changes.
    num_threads : a limit for one thread, which overrides that of the process.

    Notes
    -----
    A limit holds for the process, like `set_num_threads`, and not only for the thread that sets it. At its end the
    former setting is restored. ``user_api`` and ``internal_api`` are ``"smoothmax"``, so ``threadpool_limits(1,
    user_api="blas")`` leaves smoothmax alone. Limits above 1024 count as 1024.

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
    """Register, unless threadpoolctl is too old or is being imported at this moment."""
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
        # threadpoolctl finds loaded libraries by the beginning of their names and by a function that they have.
        "filename_prefixes": ("threads.",),
        "check_symbols": ("smoothmax_has_threads",),
        "get_num_threads": get_num_threads,
        "set_num_threads": set_num_threads,
        "get_version": get_version,
    }
    return type("SmoothmaxController", (base,), content)
