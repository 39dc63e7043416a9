"""Let smoothmax answer calls of SciPy's functions: patch_scipy() and its companions.

Only an act of the user switches a program (NEP 36); importing smoothmax changes nothing. SciPy still answers calls that
smoothmax refuses, so a program that runs without the switch also runs with it.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from smoothmax._api.elementwise import log_expit
from smoothmax._api.functions import log_softmax, logsumexp, softmax
from smoothmax._switch.exchange import Exchange, Handler, Rebinding

__all__ = ["is_patched", "patch_scipy", "patched_scipy", "unpatch_scipy"]


# What answers ---------------------------------------------------------------------------------------------------------


def has_plain_numbers(value: Any) -> bool:
    """Whether the value has real numbers of NumPy or Python: not masked, labelled or an array of another library."""
    if type(value) in (list, tuple):
        value = np.asarray(value)
    if type(value) is np.ndarray or isinstance(value, np.generic):
        return value.dtype.kind in "biuf"
    return type(value) in (bool, int, float)


def answered_by(function: Callable[..., Any]) -> Handler:
    """Call the function for plain arrays. SciPy answers everything else, and calls that the function refuses.

    SciPy also answers for complex numbers, because the libraries have different conventions for infinite ones.
    """

    def answer(original: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        arrays = [*arguments[:1], *arguments[2:3], *(keywords[name] for name in ("a", "x", "b") if name in keywords)]
        try:
            if all(array is None or has_plain_numbers(array) for array in arrays):
                return function(*arguments, **keywords)
        except (TypeError, ValueError):
            pass
        return original(*arguments, **keywords)

    return answer


def answer_softmax(original: Callable[..., Any], X: Any, copy: bool = True) -> Any:
    """Answer for sklearn.utils.extmath.softmax, which takes rows and, without `copy`, overwrites them."""
    if type(X) is np.ndarray and X.ndim == 2 and X.dtype.kind == "f":
        return softmax(X, axis=1, out=None if copy else X)
    return original(X, copy)


def answer_logsumexp(original: Callable[..., Any], array: Any, axis: Any = None, xp: Any = None) -> Any:
    """Answer for sklearn.utils._array_api._logsumexp."""
    if type(array) is np.ndarray and array.dtype.kind == "f":
        return logsumexp(array, axis=axis)
    return original(array, axis, xp)


SCIPY: dict[tuple[str, str], Handler] = {
    ("scipy.special", "logsumexp"): answered_by(logsumexp),
    ("scipy.special", "softmax"): answered_by(softmax),
    ("scipy.special", "log_softmax"): answered_by(log_softmax),
    ("scipy.special", "log_expit"): answered_by(log_expit),  # where it is a function and not a ufunc
}
STAND_INS = "smoothmax._switch.stand_ins"  # for ufuncs, which have no code to exchange; this module imports SciPy
# scikit-learn's own copies of SciPy's functions. Not every version has both.
SCIKIT_LEARN: dict[tuple[str, str], Handler] = {
    ("sklearn.utils.extmath", "softmax"): answer_softmax,
    ("sklearn.utils._array_api", "_logsumexp"): answer_logsumexp,
}


# The switch -----------------------------------------------------------------------------------------------------------

lock = threading.RLock()
exchanges: dict[tuple[str, str], Exchange | Rebinding] = {}  # of the functions that smoothmax answers now
on = dict.fromkeys(("scipy", "scikit-learn"), False)  # by patch_scipy
entered = dict.fromkeys(on, 0)  # contexts of patched_scipy that are entered now


def update() -> None:
    """Make the exchanges that are wanted now, and undo all others."""
    wanted = SCIPY if on["scipy"] or entered["scipy"] else {}
    if on["scikit-learn"] or entered["scikit-learn"]:
        wanted = wanted | SCIKIT_LEARN
    for place in exchanges.keys() - wanted.keys():
        exchanges[place].undo()
        del exchanges[place]
    for place in wanted.keys() - exchanges.keys():
        module, name = place
        function = getattr(importlib.import_module(module), name, None)
        if isinstance(function, np.ufunc):
            stand_in = getattr(importlib.import_module(STAND_INS), name)
            exchanges[place] = Rebinding(name, function, stand_in, homes=(f"{module}._", STAND_INS))
        elif function is not None:
            exchanges[place] = Exchange(function, wanted[place])
        else:
            continue
        exchanges[place].make()  # it is noted by now, so that it is undone if there is no memory for the others


def patch_scipy(*, scikit_learn: bool = False) -> None:
    """Let smoothmax answer calls of SciPy's functions in this process.

    They are `scipy.special.logsumexp`, `softmax`, `log_softmax` and `log_expit`. This includes names that a module
    bound before, by ``from scipy.special import logsumexp``: the functions stay the same objects, and their code is
    exchanged. SciPy's own code still answers for arrays of other libraries, for subclasses such as masked arrays, for
    arrays of objects and of complex numbers, and for calls that smoothmax refuses.

    Parameters
    ----------
    scikit_learn : bool, optional
        Also answer for scikit-learn's copies of these functions, ``sklearn.utils.extmath.softmax`` and, in the versions
        that have it, ``sklearn.utils._array_api._logsumexp``.

    Raises
    ------
    ImportError
        SciPy, or scikit-learn where it is asked for, is not installed.

    See Also
    --------
    unpatch_scipy : undoes this.
    patched_scipy : does it for a block of code.
    is_patched : whether it is done.

    Notes
    -----
    A second call changes nothing, except that it may add scikit-learn. A forked process inherits the switch; a process
    that is started anew does not. ``python -m smoothmax run program.py`` switches both. Results differ from SciPy's
    within the bounds of both libraries, and where smoothmax's documentation lists a difference. Without the GIL, switch
    before other threads call these functions (`patched_scipy` says why).

    `scipy.special.log_expit` is a ufunc, which has no code to exchange. Instead smoothmax's ufunc replaces it in every
    loaded module that has it by that name, with SciPy's types (float16 gives float64); containers, closures and other
    names keep SciPy's. `numpy.logaddexp` is not changed.

    Examples
    --------
    >>> import numpy as np
    >>> import smoothmax
    >>> from scipy.special import log_softmax
    >>> smoothmax.patch_scipy()
    >>> log_softmax(np.array([20.0, 0.0]))[0]
    np.float64(-2.061153620314381e-09)
    >>> smoothmax.unpatch_scipy()
    """
    switch({"scipy": True, "scikit-learn": scikit_learn or on["scikit-learn"]})


def unpatch_scipy() -> None:
    """Restore the code of SciPy's functions, and of scikit-learn's.

    Inside of contexts of `patched_scipy` the switch stays on until they are left. Without a former `patch_scipy` this
    does nothing.

    Examples
    --------
    >>> import smoothmax
    >>> smoothmax.patch_scipy()
    >>> smoothmax.unpatch_scipy()
    >>> smoothmax.is_patched()
    False
    """
    switch(dict.fromkeys(on, False))


def is_patched() -> bool:
    """Whether smoothmax answers calls of SciPy's functions now.

    Returns
    -------
    bool
        True after `patch_scipy`, in a context of `patched_scipy`, and under ``python -m smoothmax run``.

    Examples
    --------
    >>> import smoothmax
    >>> smoothmax.is_patched()
    False
    """
    return bool(exchanges)


@contextmanager
def patched_scipy(*, scikit_learn: bool = False) -> Iterator[None]:
    """Do what `patch_scipy` does, for the time of a ``with`` block.

    The switch holds for the whole process, also for threads outside of the block. Blocks may be nested, and entered by
    several threads; the end of the last block restores SciPy's functions, unless `patch_scipy` was called. Without the
    GIL, no thread may call SciPy's functions while another switches them: CPython would mix the two codes of a function
    (its issue 145272).

    Parameters
    ----------
    scikit_learn : bool, optional
        As in `patch_scipy`.

    Raises
    ------
    ImportError
        SciPy, or scikit-learn where it is asked for, is not installed.

    Examples
    --------
    >>> import smoothmax
    >>> with smoothmax.patched_scipy():
    ...     smoothmax.is_patched()
    True
    >>> smoothmax.is_patched()
    False
    """
    kinds = ["scipy", *["scikit-learn"] * scikit_learn]
    count_blocks(kinds, 1)
    try:
        yield
    finally:
        count_blocks(kinds, -1)


def switch(kinds: dict[str, bool]) -> None:
    with lock:
        before = dict(on)
        on.update(kinds)
        try:
            update()
        except BaseException:
            on.update(before)
            update()
            raise


def count_blocks(kinds: list[str], change: int) -> None:
    with lock:
        for kind in kinds:
            entered[kind] += change
        try:
            update()
        except BaseException:
            if change > 0:  # a block that has ended does not begin again
                for kind in kinds:
                    entered[kind] -= change
            update()
            raise
