"""LogSumExp: any grouping is within the bound, equal groupings have equal bits; special values, refusals, pickles."""

import copy
import itertools
import pickle
import subprocess
import sys
import sysconfig

import mpmath as mp
import numpy as np
import pytest
from bounds import LOGSUMEXP, bound
from oracle import reference, reference_of_rows, ulp_error

import smoothmax
from smoothmax import LogSumExp, logsumexp
from smoothmax._schedule.explain import explain
from smoothmax._thresholds import limits

INF, NAN = np.inf, np.nan


def divided(x, axis, n, rng):
    """The array as n chunks of random lengths, which may be 0, along the axis."""
    cuts = np.sort(rng.integers(0, x.shape[axis] + 1, n - 1))
    return np.split(x, cuts, axis=axis)


def grouped(chunks, rng, **keywords):
    """The stream of all chunks, taken in random order and merged in random pairs."""
    states = [LogSumExp(**keywords).update(chunks[i]) for i in rng.permutation(len(chunks))]
    while len(states) > 1:
        one, other = (states.pop(int(rng.integers(len(states)))) for _ in range(2))
        states.append(one.merge(other))
    return states[0]


# Accuracy ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 1), (0, 2), (0, 1, 2)], ids=str)
@pytest.mark.parametrize("spread", [0.1, 5, 300, 1e5])
def test_any_grouping_is_within_the_bound(dtype, axis, spread):
    rng = np.random.default_rng(3)
    x = (rng.normal(size=(6, 40, 9)) * spread).astype(dtype)
    exact = reference("logsumexp", x, axis)
    along = 0 if axis is None else axis if isinstance(axis, int) else axis[-1]
    for n in (1, 2, 5, 30):
        chunks = divided(x, along, n, rng)
        stream = LogSumExp(axis)
        for chunk in chunks:
            stream.update(chunk)
        for state in (stream, grouped(chunks, rng, axis=axis)):
            result = state.result()
            assert result.dtype == dtype
            assert np.max(ulp_error(result, exact)) <= bound("logsumexp", x.size // result.size)
            assert np.sum(state.count) == x.size
            assert np.shape(state.count) == result.shape


def test_one_chunk_of_any_layout_is_within_the_bound(dtype):
    """The bits may differ from those of logsumexp, which may take a fused path."""
    rng = np.random.default_rng(4)
    for shape in ((5,), (1000,), (300_000,), (70, 80), (3, 200, 70)):
        x = rng.normal(size=shape).astype(dtype)
        for axis, layout in itertools.product(range(len(shape)), (np.ascontiguousarray, np.asfortranarray, np.flip)):
            for keepdims in (False, True):
                result = LogSumExp(axis, keepdims=keepdims).update(layout(x)).result()
                assert result.dtype == dtype
                exact = reference("logsumexp", layout(x), axis, keepdims)
                assert np.max(ulp_error(result, exact)) <= bound("logsumexp", shape[axis])


def test_equal_groupings_have_equal_bits(dtype):
    x = (np.random.default_rng(5).normal(size=(500_000, 2)) * 8).astype(dtype)
    chunks = np.array_split(x, 7)
    wanted = None
    for threads in (1, 2, 5):
        with smoothmax.num_threads(threads):
            result = LogSumExp(0).update(chunks[0])
            for chunk in chunks[1:]:
                result.update(chunk)
        wanted = result.result() if wanted is None else wanted
        np.testing.assert_array_equal(result.result(), wanted)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_a_short_row_has_the_bits_of_one_that_takes_the_whole_way(dtype, axis, keepdims):
    """From the second chunk on, a short contiguous row needs no plan. A strided one does."""
    rng = np.random.default_rng(4)
    block = limits()["ROW_BLOCK_BYTES"] // np.dtype(dtype).itemsize
    for lengths in ((10, 1, 3), (7, 100, block), (1, block + 1, 33)):
        stream, other = (LogSumExp(axis, keepdims=keepdims) for _ in range(2))
        for n in lengths:
            x = (3 * rng.normal(size=n)).astype(dtype)
            x[: n // 5] = rng.choice([-np.inf, 900])
            route = explain(stream.update, x)
            assert route["name"] == ("SINGLE_ROW" if n != lengths[0] and n <= block else "ONE_PASS_ROW")
            strided = explain(other.update, np.repeat(x, 2)[::2])
            assert n == 1 or strided["name"] == "ONE_PASS_ROW"
            assert stream.count == other.count
            np.testing.assert_array_equal(stream.result(), other.result())
            assert np.shape(stream.result()) == np.shape(other.result())
        assert stream.count == sum(lengths)
    with pytest.raises(np.exceptions.AxisError):
        LogSumExp(1).update(np.ones((2, 3), dtype)).update(np.ones(3, dtype))


def test_digits_near_zero_survive_chunks():
    assert LogSumExp().update([-40.0]).update([0.0]).update([-50.0]).result() == logsumexp([-40.0, 0, -50])
    assert LogSumExp().update([0.0]).update([-40.0]).result() == 4.248354255291589e-18


def test_a_billion_numbers_lose_nothing(dtype):
    """2000 different numbers, each of them half a million times, merged as a cluster would."""
    rng = np.random.default_rng(6)
    x = (rng.normal(size=2000) * 3).astype(dtype)
    parts = [LogSumExp().update(np.repeat(part, 100)) for part in np.split(x, 20)]
    stream = LogSumExp()
    for i in rng.permutation(np.repeat(np.arange(20), 5000)):
        stream.merge(parts[i])
    assert stream.count == 10**9
    exact = reference_of_rows("logsumexp", x[None].astype(np.float64), np.full(2000, 500_000))
    assert ulp_error(stream.result(), exact.reshape(())) <= bound("logsumexp", 10**9)


# Weights, masks, special values --------------------------------------------------------------------------------------


def exact_weighted(a, b):
    with mp.workprec(400):
        total = mp.fsum(mp.mpf(float(w)) * mp.exp(mp.mpf(float(x))) for x, w in zip(a, b, strict=True) if w)
        return mp.log(abs(total)), int(mp.sign(total))


@pytest.mark.parametrize("signs", [False, True])
def test_weighted_and_unweighted_chunks_mix(dtype, signs):
    rng = np.random.default_rng(7)
    for _ in range(40):
        a = (rng.normal(size=60) * rng.choice([1, 30, 2000])).astype(dtype)
        b = rng.uniform(0.2, 3, 60).astype(dtype)
        b *= rng.choice([-1, 1], 60).astype(dtype) if signs else 1
        plain = rng.random(6) < 0.5
        stream = LogSumExp()
        for i, (chunk, weights) in enumerate(zip(np.split(a, 6), np.split(b, 6), strict=True)):
            stream.update(chunk, b=None if plain[i] else weights)
        weights = np.where(np.repeat(plain, 10), 1, b)
        exact, sign = exact_weighted(a, weights)
        value, got_sign = stream.result(return_sign=True)
        terms = weights * np.exp(a.astype(np.float64) - np.max(a))
        condition = np.sum(np.abs(terms)) / np.abs(np.sum(terms))
        unit = max(np.spacing(np.max(np.abs([*a, value]))), (condition - 1) * np.finfo(dtype).eps)
        assert got_sign == sign
        assert abs(float(exact - mp.mpf(float(value)))) <= LOGSUMEXP * unit
        assert np.isnan(stream.result()) == (sign < 0)


PARTS = (
    ([0.0, 1.0], None),
    ([-INF], None),
    ([-INF, -INF, -INF], [1.0, -1.0, INF]),
    ([INF, 0.0], None),
    ([INF], [-1.0]),
    ([NAN], None),
    ([NAN, INF], [0.0, 2.0]),
    ([3.0], [-2.0]),
    ([1.0], [INF]),
    ([1.0], [-INF]),
    ([INF, INF], [0.0, 0.0]),
    ([], None),
)


def test_negative_weights_after_a_large_sum_keep_its_digits(dtype):
    """A subtraction divides the error of the earlier unweighted sum by the difference, and adds no other error."""
    near = np.unique((np.log(1e-3) + np.linspace(0, 1e-2, 100_000)).astype(dtype))
    exact = np.exp(near.astype(np.longdouble))
    worst = np.argmax(np.abs(exact.astype(dtype) - exact) / exact)
    x = np.full(20_000, near[worst])
    x[0] = 2
    got = LogSumExp().update(x).update(x[:10_000], b=-1).result()
    left, taken = 10_000 * exact[worst], 9_999 * exact[worst] + np.exp(np.longdouble(2))
    eps, condition = np.finfo(dtype).eps, float((left + 2 * taken) / left)
    assert abs(got - np.log(left)) <= 1.5 * (condition - 1) * eps


@pytest.mark.parametrize("chosen", [*itertools.permutations(range(len(PARTS)), 2), *[(0, i, 7) for i in range(12)]])
def test_special_values_across_chunks_as_in_one_call(dtype, chosen):
    parts = [(np.array(a, dtype), None if b is None else np.array(b, dtype)) for a, b in (PARTS[i] for i in chosen)]
    stream, merged = LogSumExp(), LogSumExp()
    for a, b in parts:
        stream.update(a, b)
        merged.merge(LogSumExp().update(a, b))
    a = np.concatenate([a for a, _ in parts])
    weighted = any(b is not None for _, b in parts)
    b = np.concatenate([np.ones_like(a) if b is None else b for a, b in parts]) if weighted else None
    value, sign = logsumexp(a, b=b, return_sign=True)
    for state in (stream, merged):
        got, got_sign = state.result(return_sign=True)
        np.testing.assert_allclose(got, value, rtol=4 * np.finfo(dtype).eps)
        np.testing.assert_array_equal(got_sign, sign)
        np.testing.assert_allclose(state.result(), logsumexp(a, b=b), rtol=4 * np.finfo(dtype).eps)


def test_masks_and_broadcasting_are_those_of_logsumexp():
    rng = np.random.default_rng(8)
    x, mask = rng.normal(size=(4, 30)), rng.random((4, 30)) < 0.6
    weights = rng.normal(size=(4, 1))
    stream = LogSumExp(1)
    for part in (slice(0, 7), slice(7, 30)):
        stream.update(x[:, part], weights, mask[:, part])
    wanted = logsumexp(x, axis=1, b=weights, where=mask, return_sign=True)
    np.testing.assert_allclose(stream.result(return_sign=True), wanted, rtol=1e-15)
    np.testing.assert_array_equal(stream.count, mask.sum(axis=1))
    assert LogSumExp().update(np.zeros((1, 3)), where=np.ones((5, 1), bool)).count == 15
    assert LogSumExp().update([1.0], where=False).result() == -INF


def test_results_of_no_elements():
    assert LogSumExp().result() == -INF
    assert LogSumExp().result(return_sign=True) == (-INF, 0)
    assert type(LogSumExp(dtype=np.float32).result()) is np.float32
    assert LogSumExp().update([]).update(np.zeros((0, 3))).result() == -INF
    np.testing.assert_array_equal(LogSumExp(0).update(np.zeros((0, 3))).result(), [-INF] * 3)
    np.testing.assert_array_equal(LogSumExp(0).update(np.zeros((5, 0))).result(), [])
    for stream in (LogSumExp(0), LogSumExp(keepdims=True)):
        with pytest.raises(ValueError, match=r"^there is no result before the first chunk: its shape depends on that$"):
            stream.result()


# Weights out of float32's range ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("b", [1e-60, 1e300, -1e300, 1e-320, 5e-324, 1e-45, 3.5e38, 1e39])
@pytest.mark.parametrize("result", ["float32", "float16"])
def test_weights_keep_their_own_range(b, result):
    """As numbers, and as arrays of float64 where dtype= says that the result is narrower."""
    x = np.array([10, 20], result)
    with mp.workprec(200):
        weighted = mp.fsum(mp.exp(int(v)) for v in x) * mp.mpf(b)
        plain = mp.fsum(mp.exp(int(v)) for v in x)
        sums = [weighted, weighted + plain, 2 * weighted + plain]
        exact = [float(mp.log(abs(total))) for total in sums]
        signs = [int(mp.sign(total)) for total in sums]
    array = np.full(2, float(b))
    streams = [
        LogSumExp().update(x, b=b),
        LogSumExp(dtype=result).update(x, b=array),
        LogSumExp().update(x, b=b).update(x),
        LogSumExp().update(x).update(x, b=b),
        LogSumExp().update(x).merge(LogSumExp().update(x, b=b)),
        LogSumExp().update(x, b=b).merge(LogSumExp().update(x)),
        pickle.loads(pickle.dumps(LogSumExp().update(x, b=b))).update(x),
        LogSumExp(dtype=result).update(x, b=array).update(x).update(x, b=b),
        LogSumExp().update(x, b=b).merge(LogSumExp().update(x).merge(LogSumExp().update(x, b=b))),
    ]
    for stream, i in zip(streams, [0, 0, 1, 1, 1, 1, 1, 2, 2], strict=True):
        value, sign = stream.result(return_sign=True)
        assert value.dtype == sign.dtype == stream.dtype == result
        assert sign == signs[i]
        assert abs(float(value) - exact[i]) <= np.spacing(np.abs(value), dtype=result)


@pytest.mark.parametrize("special", [0.0, np.inf, -np.inf, np.nan])
def test_special_values_meet_wide_weights(special):
    """Sums of float32 that are empty, infinite or nan become sums of float64 and keep their values."""
    for x, b in (([special], None), ([special, 1.0], None), ([1.0], special), ([1.0, 2.0], [special, 0.0])):
        x = np.array(x, np.float32)
        b = np.float32(b) if b is not None else None
        held = LogSumExp().update(x, b=b)
        wanted = LogSumExp().update(x.astype(float), b=b).update([5.0], b=1e-60)
        got = LogSumExp().merge(held).update(np.float32([5]), b=1e-60)
        for one, other in zip(got.result(return_sign=True), wanted.result(return_sign=True), strict=True):
            np.testing.assert_allclose(one, np.float32(other), rtol=1e-6)


def test_weights_within_range_leave_the_bits_alone():
    """Numbers that float32 holds are weights of float32, as before."""
    x = np.random.default_rng(10).normal(size=1000).astype(np.float32)
    for b in (0.3, 7, True, 1e-37, 3e38):
        assert LogSumExp().update(x, b=b).result() == LogSumExp().update(x, b=np.float32(b)).result()


# Types and shapes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "chunks", "result"),
    [
        (None, ("float32", "float32"), "float32"),
        (None, ("float32", "float16"), "float32"),
        (None, ("float64", "float32", "int8", "bool"), "float64"),
        (None, ("int64", "float32"), "float64"),
        (None, ("float16", "float16"), "float16"),
        (None, (">f4", "float32"), "float32"),
        ("float64", ("float32", "float16", "int64"), "float64"),
        ("float32", ("float64", "int64"), "float32"),
        ("float16", ("float64",), "float16"),
    ],
)
def test_the_type_is_that_of_the_first_chunk_or_dtype(given, chunks, result):
    stream = LogSumExp(dtype=given)
    assert stream.dtype == given
    for dtype in chunks:
        stream.update(np.ones(3, dtype))
    assert stream.dtype == stream.result().dtype == result
    assert stream.result() == logsumexp(np.ones(3 * len(chunks), result))


@pytest.mark.parametrize(("first", "second"), [("float32", "float64"), ("float32", "int8"), ("float16", "float32")])
def test_a_chunk_that_needs_a_wider_type_is_refused(first, second):
    stream = LogSumExp().update(np.ones(3, first))
    got = "float64" if second == "int8" else second
    text = (
        f"chunk must be of a type that promotes to {first}, which the first chunk was, got {got}; "
        "dtype= of LogSumExp chooses another from the start"
    )
    narrow = np.result_type(first, second) == first  # then it does not change the type as b
    for arguments in ((np.ones(3, second),), (np.ones(3, first), np.ones(3, second)))[: 1 if narrow else 2]:
        with pytest.raises(TypeError) as caught:
            stream.update(*arguments)
        assert str(caught.value) == text
    assert stream.count == 3


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: LogSumExp("0"), TypeError, "axis must be None, an int or a tuple of ints, got '0'"),
        (lambda: LogSumExp(dtype=int), TypeError, "dtype must be float32, float64, float16 or bfloat16, got int64"),
        (
            lambda: LogSumExp(dtype="D"),
            TypeError,
            "dtype must be float32, float64, float16 or bfloat16, got complex128",
        ),
        (
            lambda: LogSumExp(dtype="f8").update([0.0], b=np.ones(1, "g")),
            TypeError,
            f"b must be of float64 or a narrower type, got dtype {np.dtype('g')}",
        ),
        (
            lambda: LogSumExp(dtype="g"),
            TypeError,
            f"dtype must be float32, float64, float16 or bfloat16, got {np.dtype('g')}",
        ),
        (
            lambda: LogSumExp().update([1j]),
            TypeError,
            "dtype must be float32, float64, float16 or bfloat16, got complex128",
        ),
        (
            lambda: LogSumExp(1).update(np.ones((2, 3))).update(np.ones((3, 3))),
            ValueError,
            "chunk must have the shape of the first but along axis=1, (2, 3), got (3, 3)",
        ),
        (
            lambda: LogSumExp((0, 2)).update(np.ones((2, 3, 1))).update(np.ones((3, 3))),
            np.exceptions.AxisError,
            "axis 2 is out of bounds for array of dimension 2",
        ),
        (
            lambda: LogSumExp().update(np.ones(3), b=np.ones(2)),
            ValueError,
            "b of shape (2,) does not broadcast with the input of shape (3,)",
        ),
        (
            lambda: LogSumExp(1).merge(LogSumExp(0)),
            ValueError,
            "other must have axis=1 and keepdims=False, got axis=0 and keepdims=False",
        ),
        (
            lambda: LogSumExp(1).update(np.ones((2, 3))).merge(LogSumExp(1).update(np.ones((4, 3)))),
            ValueError,
            "other must have results of shape (2,), got (4,)",
        ),
        (
            lambda: LogSumExp(dtype="f4").merge(LogSumExp().update([1.0])),
            TypeError,
            "other must have dtype float32, got float64",
        ),
        (lambda: LogSumExp().merge(3), TypeError, "other must be a LogSumExp, got int"),
    ],
)
def test_refusals_say_what_was_needed_and_what_came(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == text


def test_a_refused_chunk_changes_nothing():
    stream = LogSumExp(0).update(np.ones((4, 3)))
    before = pickle.dumps(stream)
    for chunk in (np.ones((4, 2)), [[1j]], [["a"]], 3.0):
        with pytest.raises((TypeError, ValueError)):
            stream.update(chunk)
    assert pickle.dumps(stream) == before


def test_streams_without_chunks_merge():
    empty, stream = LogSumExp(), LogSumExp().update(np.ones(3, np.float32))
    assert stream.merge(empty).count == 3
    assert empty.merge(stream) is empty
    assert (empty.dtype, empty.count, empty.result()) == (np.float32, 3, stream.result())
    stream.update(np.ones(3, np.float32))
    assert empty.count == 3
    assert stream.merge(stream).count == 12
    assert stream.result() == logsumexp(np.ones(12, np.float32))


# Memory --------------------------------------------------------------------------------------------------------------

# Each child may map less memory than the next. The first have no memory to load LogSumExp, later ones have a part of
# it.
FIRST_USE = """if True:
    import os, resource, sys
    import numpy.typing, smoothmax

    def size():
        return int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()

    # Compile the imported modules before: CPython's compiler raises other errors if it gets no memory.
    sys.dont_write_bytecode = False
    if os.fork() == 0:
        smoothmax.LogSumExp
        os._exit(0)
    os.wait()
    outcomes = []
    for more in range(0, 3_000_000, 60_000):
        if os.fork() == 0:
            code = 3
            spare = [bytes(400) for _ in range(4000)]   # Python's own memory, from which modules are not loaded
            del spare
            limit = resource.getrlimit(resource.RLIMIT_AS)
            resource.setrlimit(resource.RLIMIT_AS, (size() + more, limit[1]))
            try:
                smoothmax.LogSumExp
                code = 0
            except MemoryError:
                code = 1
            except BaseException as error:
                resource.setrlimit(resource.RLIMIT_AS, limit)
                print(more, repr(error), file=sys.stderr, flush=True)
            finally:
                os._exit(code)
        outcomes.append(os.waitstatus_to_exitcode(os.wait()[1]))
    print(sorted(set(outcomes)))
"""


@pytest.mark.unsanitized
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/statm")
@pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")), reason="its allocator keeps no spare memory: no module loads"
)
def test_the_first_use_without_memory_is_a_memory_error():
    run = subprocess.run([sys.executable, "-c", FIRST_USE], capture_output=True, text=True, timeout=100)
    assert (run.stdout, run.stderr) == ("[0, 1]\n", "")


# Objects -------------------------------------------------------------------------------------------------------------


def test_repr_shows_axis_type_and_shape():
    assert repr(LogSumExp()) == "<smoothmax.LogSumExp axis=None keepdims=False dtype=None: no chunk>"
    stream = LogSumExp((0, 2), keepdims=True).update(np.ones((2, 3, 4), np.float32))
    assert repr(stream) == ("<smoothmax.LogSumExp axis=(0, 2) keepdims=True dtype=float32: results of shape (1, 3, 1)>")
    assert (stream.axis, stream.keepdims) == ((0, 2), True)


@pytest.mark.parametrize("double", [copy.copy, copy.deepcopy, LogSumExp.copy, lambda s: pickle.loads(pickle.dumps(s))])
@pytest.mark.parametrize("weighted", [False, True])
def test_copies_and_pickles_go_on_alone(dtype, double, weighted):
    x = np.random.default_rng(9).normal(size=(4, 3)).astype(dtype)
    stream = LogSumExp(1).update(x, b=-x if weighted else None)
    before = stream.result(return_sign=True)
    other = double(stream)
    np.testing.assert_array_equal(other.result(return_sign=True), before)
    other.update(x)
    np.testing.assert_array_equal(stream.result(return_sign=True), before)
    np.testing.assert_array_equal(other.result(return_sign=True), stream.update(x).result(return_sign=True))
    np.testing.assert_array_equal(other.count, stream.count)


def test_pickles_pass_between_processes(tmp_path):
    (tmp_path / "state").write_bytes(pickle.dumps(LogSumExp().update([1.0, 2.0])))
    script = (
        "import pickle, sys; stream = pickle.load(open('state', 'rb')).update([3.0]);"
        "sys.stdout.buffer.write(pickle.dumps(stream))"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, check=True)
    assert pickle.loads(run.stdout).result() == LogSumExp().update([1.0, 2.0]).update([3.0]).result()


STATE = {
    "version": 2,
    "axis": None,
    "keepdims": False,
    "dtype": "float64",
    "given": False,
    "weighted": False,
    "wide": False,
    "states": np.array([2.0, 1.0, 4.555775081929006e153, 2.558e137]),
    "shape": (2,),
    "count": 2,
    "attributes": {},
}


def from_state(state):
    stream = LogSumExp.__new__(LogSumExp)
    stream.__setstate__(state)
    return stream


def test_a_pickle_is_plain_numbers_of_a_version():
    """Pickles of today must be readable as long as their version is listed."""
    state = LogSumExp().update([1.0, 2.0]).__getstate__()
    assert state.keys() == STATE.keys()
    assert all(type(state[key]) is type(STATE[key]) for key in STATE)
    assert from_state(STATE).result() == logsumexp([1.0, 2.0])
    with pytest.raises(ValueError, match=r"^a LogSumExp of version 2 was expected, got one of version 3$"):
        from_state(STATE | {"version": 3})


def test_a_pickle_of_version_1_can_be_read():
    stored = {name: value for name, value in STATE.items() if name not in ("wide", "attributes")} | {"version": 1}
    assert from_state(stored).update([3.0]).result() == LogSumExp().update([1.0, 2.0]).update([3.0]).result()


class Named(LogSumExp):
    """A subclass with a parameter, a slot and an attribute of its own."""

    __slots__ = ("__secret", "slot")

    def __init__(self, name):
        super().__init__(dtype=np.float32)
        self.name, self.slot, self.__secret = name, [1], "hidden"

    def secret(self):
        """The value of a slot whose name Python changes."""
        return self.__secret


@pytest.mark.parametrize("double", [copy.copy, copy.deepcopy, LogSumExp.copy, lambda s: pickle.loads(pickle.dumps(s))])
def test_copies_and_pickles_keep_class_and_attributes(double):
    stream = Named("a name").update([1.0, 2.0])
    stream.later = {"key": [3]}
    other = double(stream)
    assert type(other) is Named
    assert (other.name, other.slot, other.secret(), other.later) == ("a name", [1], "hidden", {"key": [3]})
    assert (other.later is stream.later) == (double in (copy.copy, LogSumExp.copy))  # of a copy that is not deep
    assert (other.dtype, other.count, other.result()) == (np.float32, 2, stream.result())
    plain = LogSumExp().update([1.0])
    plain.label = "kept"
    assert double(plain).label == "kept"


def test_pickles_do_not_name_modules_that_may_move():
    assert b"_stream" not in pickle.dumps(LogSumExp().update([1.0]))
