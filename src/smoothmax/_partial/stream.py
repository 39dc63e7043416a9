"""LogSumExp: what it takes, keeps and gives. The states it keeps, and all mathematics, are the kernels'."""

import copy
import math
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from smoothmax._partial import states as _states

__all__ = ["LogSumExp"]

Axis = int | tuple[int, ...] | None
VERSION = 1  # of pickles: to be raised whenever the numbers of a state, or their meaning, change


class LogSumExp:
    """`logsumexp` of data that arrives in pieces: a running state that takes chunks and merges with others.

    Parameters
    ----------
    axis : None, int or tuple of ints, optional
        What is summed over in every chunk, as in `logsumexp`. Chunks may differ in length along these axes, and only
        there.
    keepdims : bool, optional
        Keep the reduced axes in the result, with length 1.
    dtype : {float32, float64, float16}, optional
        The type of the computation and of the result, for chunks of any type. Unless given: that which `logsumexp`
        returns for the first chunk. A later chunk may then be of any type that promotes to it.

    See Also
    --------
    logsumexp : the same of an array.

    Notes
    -----
    The state holds, for each result, the largest element, how many equal it, and the sum over the others in two parts:
    32 bytes, however many elements there were. States are merged without rounding but in the sum, which is
    compensated. So the result has the error of `logsumexp`, whatever the order and the grouping of updates and merges,
    and the same bits if they are the same. Types without a state, longdouble and complex, are refused.

    Two threads must not update the same object at once: let each have its own, and merge them.

    Examples
    --------
    >>> import numpy as np
    >>> from smoothmax import LogSumExp
    >>> stream = LogSumExp()
    >>> for chunk in np.split(np.zeros(1000), 8):
    ...     stream = stream.update(chunk)
    >>> stream.result()
    np.float64(6.907755278982137)
    >>> stream.count
    1000
    """

    __module__ = "smoothmax"

    def __init__(self, axis: Axis = None, *, keepdims: bool = False, dtype: DTypeLike | None = None) -> None:
        _states.check_axis(axis)
        self._axis = axis
        self._keepdims = bool(keepdims)
        self._given = dtype is not None
        self._dtype: np.dtype[Any] | None = None if dtype is None else _states.dtype_of((), dtype=dtype)
        self._weighted = False
        self._states: NDArray[Any] | None = None  # in the shape of the result
        self._shape: tuple[int, ...] = ()  # of the first chunk
        self._count: Any = 0

    @property
    def axis(self) -> Axis:
        """What is summed over in every chunk."""
        return self._axis

    @property
    def keepdims(self) -> bool:
        """Whether the result has the reduced axes."""
        return self._keepdims

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """The type of the result; None as long as that depends on the first chunk."""
        return self._dtype

    @property
    def count(self) -> int | NDArray[np.intp]:
        """How many elements there were: for each result, in an array of its shape; an int if it is a scalar.

        Elements that `where` leaves out do not count; those of weight 0 do.
        """
        if self._states is None or not self._states.ndim:
            return int(self._count)
        return np.broadcast_to(self._count, self._states.shape).astype(np.intp)

    def update(self, chunk: ArrayLike, b: ArrayLike | None = None, where: ArrayLike = True) -> Self:
        """Take in a chunk of the data.

        Parameters
        ----------
        chunk : array_like
            The numbers to exponentiate and add; it may be empty.
        b : array_like, optional
            Their weights, as in `logsumexp`; 1 unless given.
        where : array_like of bool, optional
            The elements that take part.

        Returns
        -------
        LogSumExp
            This object. If anything is raised, it is as before.

        Raises
        ------
        ValueError
            A chunk whose shape differs from that of the first along an axis that is kept; shapes that do not
            broadcast; an axis given twice.
        numpy.exceptions.AxisError
            An axis that the chunk does not have.
        TypeError
            A chunk, or weights, of a type that does not promote to that of the state; one that is not numeric.

        Examples
        --------
        >>> from smoothmax import LogSumExp
        >>> LogSumExp(axis=1).update([[0.0, 1.0], [2.0, 3.0]]).update([[4.0], [5.0]]).result()
        array([4.06588493, 5.16984602])
        """
        dtype = self._dtype_with(chunk, b)
        operation = "logsumexp" if b is None else "weighted_logsumexp"
        states, shape = _states.reduced(operation, chunk, self._axis, b, where, dtype)
        axes = _states.axes_of(self._axis, len(shape))
        result_shape = states.shape if self._keepdims else tuple(n for i, n in enumerate(shape) if i not in axes)
        if self._states is not None and self._states.shape != result_shape:
            raise ValueError(
                f"chunk must have the shape of the first but along axis={self._axis}, {self._shape}, got {shape}"
            )
        if where is True:
            count: Any = math.prod([shape[i] for i in axes])
        else:
            taken = np.broadcast_to(np.asarray(where), shape)
            count = np.sum(taken, axis=axes, dtype=np.intp, keepdims=self._keepdims)
        self._join(states.reshape(result_shape), b is not None, dtype)
        self._count = self._count + count
        self._shape = self._shape if self._shape else shape
        return self

    def merge(self, other: "LogSumExp") -> Self:
        """Take in all that another state has seen.

        Parameters
        ----------
        other : LogSumExp
            A state of the same `axis`, `keepdims`, dtype and shape of the result. It stays as it is.

        Returns
        -------
        LogSumExp
            This object.

        Raises
        ------
        TypeError
            An `other` that is no LogSumExp, or of another dtype.
        ValueError
            An `other` with another `axis`, `keepdims` or shape.

        Examples
        --------
        >>> from smoothmax import LogSumExp
        >>> LogSumExp().update([1.0, 2.0]).merge(LogSumExp().update([3.0])).result()
        np.float64(3.40760596444438)
        """
        if not isinstance(other, LogSumExp):
            raise TypeError(f"other must be a LogSumExp, got {type(other).__name__}")
        if (self._axis, self._keepdims) != (other._axis, other._keepdims):
            raise ValueError(
                f"other must have axis={self._axis} and keepdims={self._keepdims}, "
                f"got axis={other._axis} and keepdims={other._keepdims}"
            )
        if self._dtype is not None and other._dtype is not None and self._dtype != other._dtype:
            raise TypeError(f"other must have dtype {self._dtype}, got {other._dtype}")
        if other._states is None or other._dtype is None:
            return self
        if self._states is not None and self._states.shape != other._states.shape:
            raise ValueError(f"other must have results of shape {self._states.shape}, got {other._states.shape}")
        self._join(other._states, other._weighted, other._dtype)
        self._count = self._count + other._count
        self._shape = self._shape if self._shape else other._shape
        return self

    def result(self, *, return_sign: bool = False) -> Any:
        """The logarithm of the sum of the exponentials of all elements so far.

        Parameters
        ----------
        return_sign : bool, optional
            Also return the sign of the sum. Without it a negative sum gives nan.

        Returns
        -------
        ndarray or scalar
            What `logsumexp` would return for all chunks in one array, within its error; with `return_sign`, the pair
            of that and of the signs.

        Raises
        ------
        ValueError
            No chunk so far, where the shape of the result depends on it.

        Examples
        --------
        >>> from smoothmax import LogSumExp
        >>> LogSumExp().update([1.0], b=3.0).update([2.0], b=-1.0).result(return_sign=True)
        (np.float64(-0.26520243063728455), np.float64(1.0))
        """
        states, dtype = self._states, self._dtype or np.dtype(np.float64)
        if states is None:
            if self._axis is not None or self._keepdims:
                raise ValueError("there is no result before the first chunk: its shape depends on that")
            states = _states.reduced("logsumexp", (), None, None, True, dtype)[0].reshape(())
        operation = "weighted_logsumexp" if self._weighted else "logsumexp"
        if return_sign:
            value, sign = _states.finished(operation, states, dtype, True)
            return value[()], sign[()]
        return _states.finished(operation, states, dtype)[()]

    def copy(self) -> Self:
        """Another object in the same state.

        Examples
        --------
        >>> from smoothmax import LogSumExp
        >>> stream = LogSumExp().update([1.0, 2.0])
        >>> stream.copy().update([3.0]).count, stream.count
        (3, 2)
        """
        return copy.copy(self)

    def _dtype_with(self, chunk: ArrayLike, b: ArrayLike | None) -> np.dtype[Any]:
        """The state's type; refused where the chunk's does not promote to it."""
        if self._given:
            return _states.dtype_of(chunk, b, self._dtype)
        dtype = _states.dtype_of(chunk, b)
        if self._dtype is None or np.result_type(self._dtype, dtype) == self._dtype:
            return self._dtype or dtype
        raise TypeError(
            f"chunk must be of a type that promotes to {self._dtype}, which the first chunk was, got {dtype}; "
            f"dtype= of LogSumExp chooses another from the start"
        )

    def _join(self, states: NDArray[Any], weighted: bool, dtype: np.dtype[Any]) -> None:
        """Merge states into those that are held; weights of 1 are implied once there are any."""
        held, both = self._states, self._weighted or weighted
        if held is not None:
            held = _states.weighed(held, dtype) if both and not self._weighted else held
            states = _states.weighed(states, dtype) if both and not weighted else states
            states = _states.joined("weighted_logsumexp" if both else "logsumexp", held, states, dtype)
        self._states, self._weighted, self._dtype = states, both, dtype

    def __getstate__(self) -> dict[str, Any]:
        """Plain numbers, a dictionary that any version with the same VERSION understands."""
        numbers = None
        if self._states is not None:
            numbers = np.array(self._states).reshape(-1).view(np.float64).reshape(*self._states.shape, 4)
        return {
            "version": VERSION,
            "axis": self._axis,
            "keepdims": self._keepdims,
            "dtype": None if self._dtype is None else self._dtype.name,
            "given": self._given,
            "weighted": self._weighted,
            "states": numbers,
            "shape": self._shape,
            "count": self._count,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        if state["version"] != VERSION:
            raise ValueError(f"a LogSumExp of version {VERSION} was expected, got one of version {state['version']}")
        self._axis, self._keepdims, self._given = state["axis"], state["keepdims"], state["given"]
        self._dtype = None if state["dtype"] is None else np.dtype(state["dtype"])
        self._weighted, self._shape, self._count = state["weighted"], state["shape"], state["count"]
        numbers = state["states"]
        self._states = (
            None if numbers is None else np.array(numbers).reshape(-1).view(_states.STATE).reshape(numbers.shape[:-1])
        )

    def __repr__(self) -> str:
        seen = "no chunk" if self._states is None else f"results of shape {self._states.shape}"
        return f"<smoothmax.LogSumExp axis={self._axis} keepdims={self._keepdims} dtype={self._dtype}: {seen}>"
