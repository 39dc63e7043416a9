"""LogSumExp: the logsumexp of data that arrives in chunks, as an array of partial sums.

A partial sum describes the elements so far. Partial sums form a monoid: merging two gives the partial sum of all their
elements, for any grouping. states.pyx makes, merges and finishes them; this file is about the object and its promises.
"""

import copy
import math
from typing import Any, Self, SupportsFloat, cast

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from smoothmax._partial import states
from smoothmax._partial.weights import dtype_with_weights

__all__ = ["LogSumExp"]

Axis = int | tuple[int, ...] | None
VERSION = 2  # of pickles: raise it whenever the numbers in them, or their meaning, change
READABLE = (1, 2)  # version 1 does not have "wide" and "attributes"
FLOAT64 = np.dtype(np.float64)


def operation_of(weighted: bool) -> str:
    return "weighted_logsumexp" if weighted else "logsumexp"


def number_of_true(where: ArrayLike, shape: tuple[int, ...], axes: tuple[int, ...], keepdims: bool) -> Any:
    """How many elements of a mask, broadcast to the shape, are True along the axes."""
    try:
        return np.sum(np.broadcast_to(np.asarray(where), shape), axis=axes, dtype=np.intp, keepdims=keepdims)
    except SystemError as error:  # nditer and reduce of NumPy 2.4 set no error if an allocation fails
        raise MemoryError("no memory to count the elements of where") from error


class LogSumExp:
    """`logsumexp` of data that arrives in chunks: an object that takes chunks and merges with others.

    Parameters
    ----------
    axis : None, int or tuple of ints, optional
        The axes to sum over in every chunk, as in `logsumexp`. Chunks may differ in length along these axes only.
    keepdims : bool, optional
        Keep the reduced axes in the result, with length 1.
    dtype : {float32, float64, float16, bfloat16}, optional
        The type of the computation and of the result, for chunks of any type. By default it is the type that
        `logsumexp` returns for the first chunk; a later chunk may then be of any type that promotes to it.

    Raises
    ------
    TypeError
        An `axis` that is not an integer or a tuple of integers; a `dtype` that is none of the four.

    See Also
    --------
    logsumexp : the same for an array.

    Notes
    -----
    For each result the object holds a partial sum of 32 bytes, for any number of elements: the largest element, how
    many elements equal it, and the sum over the others in two parts. Merging two of them rounds only the sum, which is
    compensated. So the result has the error of `logsumexp` for any order and grouping of updates and merges, and the
    same bits if order and grouping are the same.

    Weights keep their own range: from the first weights on that may not fit in float32, a stream of float32 is computed
    in float64. Such weights are arrays of float64, if ``dtype=`` is given, and numbers such as ``b=1e-60``.

    longdouble and complex numbers are refused, also as weights.

    Two threads must not update the same object at the same time: give each thread its own object, and merge them.

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
        states.check_axis(axis)
        self._axis = axis
        self._keepdims = bool(keepdims)
        self._given = dtype is not None
        self._dtype: np.dtype[Any] | None = None if dtype is None else states.dtype_of((), dtype=dtype)
        self._weighted = False
        self._wide = False  # the partial sums are of float64 and have weights, although the result is not float64
        self._sums: NDArray[Any] | None = None  # partial sums in the shape of the result
        self._shape: tuple[int, ...] = ()  # of the first chunk
        self._count: Any = 0

    @property
    def axis(self) -> Axis:
        """The axes to sum over in every chunk."""
        return self._axis

    @property
    def keepdims(self) -> bool:
        """Whether the result keeps the reduced axes, with length 1."""
        return self._keepdims

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """The type of the result; None while it depends on the first chunk."""
        return self._dtype

    @property
    def count(self) -> int | NDArray[np.intp]:
        """The number of elements so far: an int for a scalar result, else an array with a number for each result.

        Elements that `where` leaves out do not count; those of weight 0 do.
        """
        if self._sums is None or not self._sums.ndim:
            return int(self._count)
        return np.broadcast_to(self._count, self._sums.shape).astype(np.intp)

    def update(
        self,
        chunk: ArrayLike,
        b: ArrayLike | None = None,
        where: ArrayLike = True,
        *,
        scale: SupportsFloat = 1.0,
        add: ArrayLike | None = None,
    ) -> Self:
        """Add a chunk of the data.

        Parameters
        ----------
        chunk : array_like
            The numbers to exponentiate and add; it may be empty.
        b : array_like, optional
            The weights, as in `logsumexp`; 1 by default.
        where : array_like of bool, optional
            The elements that take part.
        scale : number, optional
            A factor of the numbers, as in `logsumexp`.
        add : array_like, optional
            Numbers to add to the products, as in `logsumexp`.

        Returns
        -------
        LogSumExp
            This object. An update that raises an error does not change it.

        Raises
        ------
        ValueError
            A chunk whose shape differs from that of the first chunk along an axis that is not reduced; shapes that do
            not broadcast; an axis given twice.
        numpy.exceptions.AxisError
            An axis that the chunk does not have.
        TypeError
            A chunk, weights or addends of a type that does not promote to that of the result; one that is not numeric;
            a `scale` that is not a real number.

        Examples
        --------
        >>> from smoothmax import LogSumExp
        >>> LogSumExp(axis=1).update([[0.0, 1.0], [2.0, 3.0]]).update([[4.0], [5.0]]).result()
        array([4.0658839 , 5.16984602])
        """
        if b is None and where is True and add is None and not self._weighted:
            joined = states.updated(self._sums, chunk, self._axis, self._keepdims, self._dtype, scale)
            if joined is not None:
                self._sums, self._count = joined[0], self._count + joined[1]
                return self
        dtype = self._dtype_with(chunk, b, scale, add)
        operation = operation_of(b is not None)
        computing = FLOAT64 if self._wide else dtype_with_weights(dtype, b)
        sums, shape = states.reduced(operation, chunk, self._axis, b, where, computing, scale, add)
        axes = states.axes_of(self._axis, len(shape))
        result_shape = sums.shape if self._keepdims else tuple(n for i, n in enumerate(shape) if i not in axes)
        if self._sums is not None and self._sums.shape != result_shape:
            raise ValueError(
                f"chunk must have the shape of the first but along axis={self._axis}, {self._shape}, got {shape}"
            )
        if where is True:
            count: Any = math.prod([shape[i] for i in axes])
        else:
            count = number_of_true(where, shape, axes, self._keepdims)
        count, first = self._count + count, self._shape if self._shape else shape
        self._join(sums.reshape(result_shape), b is not None, dtype, computing)
        self._count, self._shape = count, first
        return self

    def merge(self, other: "LogSumExp") -> Self:
        """Add all elements of another object.

        Parameters
        ----------
        other : LogSumExp
            An object with the same `axis`, `keepdims`, dtype and shape of the result. It is not changed.

        Returns
        -------
        LogSumExp
            This object. A merge that raises an error does not change it.

        Raises
        ------
        TypeError
            An `other` that is not a LogSumExp, or has another dtype.
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
        if other._sums is None or other._dtype is None:
            return self
        if self._sums is not None and self._sums.shape != other._sums.shape:
            raise ValueError(f"other must have results of shape {self._sums.shape}, got {other._sums.shape}")
        count, first = self._count + other._count, self._shape if self._shape else other._shape
        self._join(other._sums, other._weighted, other._dtype, FLOAT64 if other._wide else other._dtype)
        self._count, self._shape = count, first
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
            The result of `logsumexp` for all chunks in one array, within its error; with `return_sign`, the pair of
            this and the signs.

        Raises
        ------
        ValueError
            There was no chunk so far, but the shape of the result depends on it.

        Examples
        --------
        >>> from smoothmax import LogSumExp
        >>> LogSumExp().update([0.0], b=1.0).update([0.0], b=-3.0).result(return_sign=True)
        (np.float64(0.6931471805599453), np.float64(-1.0))
        """
        sums, dtype = self._sums, self._dtype or FLOAT64
        if sums is None:
            if self._axis is not None or self._keepdims:
                raise ValueError("there is no result before the first chunk: its shape depends on that")
            sums = states.empty_states(())
        operation = operation_of(self._weighted)
        computing = FLOAT64 if self._wide else dtype
        if return_sign:
            value, sign = states.finished(operation, sums, computing, signed=True, result=dtype)
            return value[()], sign[()]
        return states.finished(operation, sums, computing, signed=False, result=dtype)[()]

    def copy(self) -> Self:
        """A separate object with the same chunks and attributes.

        Examples
        --------
        >>> from smoothmax import LogSumExp
        >>> stream = LogSumExp().update([1.0, 2.0])
        >>> stream.copy().update([3.0]).count, stream.count
        (3, 2)
        """
        return copy.copy(self)

    def _dtype_with(
        self, chunk: ArrayLike, b: ArrayLike | None, scale: SupportsFloat, add: ArrayLike | None
    ) -> np.dtype[Any]:
        """The type of the result with this chunk. Refuses a chunk whose type does not promote to the object's."""
        if self._given:
            return states.dtype_of(chunk, b, self._dtype, scale, add)
        dtype = states.dtype_of(chunk, b, None, scale, add)
        if self._dtype is None or states.promotes_to(dtype, self._dtype):
            return self._dtype or dtype
        raise TypeError(
            f"chunk must be of a type that promotes to {self._dtype}, which the first chunk was, got {dtype}; "
            f"dtype= of LogSumExp chooses another from the start"
        )

    def _join(self, sums: NDArray[Any], weighted: bool, dtype: np.dtype[Any], computing: np.dtype[Any]) -> None:
        """Merge partial sums into those of this object, or raise and change nothing.

        Sums without weights become sums with the weight 1 before they are merged with sums that have weights. Sums of
        float32 become sums of float64 before they are merged with sums of float64. `dtype` is the type of the result.
        """
        held, both, own = self._sums, self._weighted or weighted, FLOAT64 if self._wide else dtype
        if held is not None:
            held_is_weighted = self._weighted
            if own != computing:
                if own != FLOAT64:
                    held, held_is_weighted = states.widened_sums(operation_of(self._weighted), held, own), True
                else:
                    sums, weighted = states.widened_sums(operation_of(weighted), sums, computing), True
                computing, both = FLOAT64, True
            held = states.weighed(held, computing) if both and not held_is_weighted else held
            sums = states.weighed(sums, computing) if both and not weighted else sums
            sums = states.joined(operation_of(both), held, sums, computing)
        self._sums, self._weighted, self._wide, self._dtype = sums, both, computing != dtype, dtype

    def __getstate__(self) -> dict[str, Any]:
        """A dictionary of plain numbers, which every version of smoothmax that knows its "version" can read.

        Attributes that a subclass or a user has added are under "attributes".
        """
        numbers = None
        if self._sums is not None:
            numbers = np.array(self._sums).reshape(-1).view(np.float64).reshape(*self._sums.shape, 4)
        plain = cast("Any", object.__getstate__(self))  # with slots, a pair of dictionaries
        everything: dict[str, Any] = {**(plain[0] or {}), **plain[1]} if isinstance(plain, tuple) else plain
        return {
            "version": VERSION,
            "axis": self._axis,
            "keepdims": self._keepdims,
            # The name of a type that is not NumPy's own is unknown until its module is imported.
            "dtype": self._dtype.name if self._dtype is not None and self._dtype.kind == "f" else self._dtype,
            "given": self._given,
            "weighted": self._weighted,
            "wide": self._wide,
            "states": numbers,
            "shape": self._shape,
            "count": self._count,
            "attributes": {name: value for name, value in everything.items() if name not in OWN},
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        if state["version"] not in READABLE:
            raise ValueError(f"a LogSumExp of version {VERSION} was expected, got one of version {state['version']}")
        self._axis, self._keepdims, self._given = state["axis"], state["keepdims"], state["given"]
        self._dtype = None if state["dtype"] is None else np.dtype(state["dtype"])
        self._weighted, self._wide = state["weighted"], state.get("wide", False)
        self._shape, self._count = state["shape"], state["count"]
        numbers = state["states"]
        self._sums = (
            None if numbers is None else np.array(numbers).reshape(-1).view(states.STATE).reshape(numbers.shape[:-1])
        )
        for name, value in state.get("attributes", {}).items():
            object.__setattr__(self, name, value)  # as in pickle, because a subclass may override setattr

    def __repr__(self) -> str:
        seen = "no chunk" if self._sums is None else f"results of shape {self._sums.shape}"
        return f"<smoothmax.LogSumExp axis={self._axis} keepdims={self._keepdims} dtype={self._dtype}: {seen}>"


OWN = frozenset(vars(LogSumExp()))  # the attributes that __getstate__ stores under their own names
