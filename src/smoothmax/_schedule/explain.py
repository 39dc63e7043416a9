"""Which route a call takes, for tests and for readers who wonder."""

from collections.abc import Callable
from typing import Any

from smoothmax._schedule import walk

__all__ = ["explain"]


def explain(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Call a function of smoothmax and return the route that the call took.

    Parameters
    ----------
    function : callable
        A function of smoothmax, or any other that calls one of them once.
    *args, **kwargs
        Its arguments.

    Returns
    -------
    dict
        The name of the route (see ``_schedule/route.pxd``) and its parameters. ``shared`` says what threads share:
        nothing ("alone"), "units" or "pieces".

    Raises
    ------
    ValueError
        The call took no route, or several: it is no call of one function of smoothmax.

    Notes
    -----
    Calls that other threads make meanwhile are noted too.

    Examples
    --------
    >>> import numpy as np
    >>> import smoothmax
    >>> from smoothmax._schedule.explain import explain
    >>> explain(smoothmax.softmax, np.zeros((1000, 10)), axis=1)["name"]
    'FUSED_DIFFERENCES_TILE'
    """
    routes: list[dict[str, Any]] = []
    before = walk.collect(routes)
    try:
        function(*args, **kwargs)
    finally:
        walk.collect(before)
    if len(routes) != 1:
        raise ValueError(f"a call must take one route, this one took {[route['name'] for route in routes]}")
    return routes[0]
