"""The route that a call takes, for tests and for readers of the code."""

from collections.abc import Callable
from typing import Any

from smoothmax._schedule import walk

__all__ = ["explain"]


def explain(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Call a function of smoothmax and return the route that the call took.

    Parameters
    ----------
    function : callable
        A function of smoothmax, or one that calls a function of smoothmax once.
    *args, **kwargs
        Its arguments.

    Returns
    -------
    dict
        The name of the route (see ``_schedule/route.pxd``) and its parameters. ``shared`` is what threads share:
        nothing ("alone"), "units" or "pieces".

    Raises
    ------
    ValueError
        The call took no route or several, so it did not call exactly one function of smoothmax.

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
