"""Functions of segments give the results of each segment alone, for any neighbours."""

import itertools
import re
import tracemalloc

import numpy as np
import pytest
from bounds import bound
from oracle import reference, ulp_error

import smoothmax
from smoothmax import offsets_from_ids, segment_log_softmax, segment_logsumexp, segment_softmax
from smoothmax._schedule.explain import explain
from smoothmax._thresholds import limits

LIMITS = limits()
TILE = LIMITS["SEGMENT_TILE_ELEMENTS"]
RNG = np.random.default_rng(20261201)
FUNCTIONS = {
    "logsumexp": segment_logsumexp, "softmax": segment_softmax, "log_softmax": segment_log_softmax,
}  # fmt: skip
LENGTHS = {
    "none": [],
    "empty": [0, 0, 0],
    "lanes": [n + d for n in (LIMITS["LANES_F64"], LIMITS["LANES_F32"], TILE) for d in (-1, 0, 1)],
    "mixed": [1, 0, 5, 2, 300, 0, 3, 1, 1, TILE, 3000, 2],
    "sizes of tiles": [n * LIMITS["SEGMENT_SIZED_ROWS"] + d for n in (1, 2, 4) for d in (-1, 0, 1)],
    "geometric": RNG.geometric(0.1, 900).tolist(),
    "sorted": sorted(RNG.geometric(0.02, 300).tolist()),
    "a window and more": [2] * (2 * LIMITS["SEGMENT_WINDOW_SEGMENTS"] + 5),
    "a window by its elements": [TILE] * (LIMITS["SEGMENT_WINDOW_ELEMENTS"] // TILE + 1) + [3, 1],
    "across the end of a stretch": [LIMITS["SEGMENT_STRETCH_ELEMENTS"] - 2, 1, 1, 1, 5, 2],
    "long": [40000, 3, 20000],
}


def offsets_of(lengths):
    return np.concatenate([[0], np.cumsum(lengths, dtype=int)])


def one_by_one(name, x, offsets):
    """A slow twin: a call for each segment, of the last axis."""
    function = getattr(smoothmax, name)
    pieces = [x[..., begin:end] for begin, end in itertools.pairwise(offsets)]
    results = [function(piece, axis=-1, **({"keepdims": True} if name == "logsumexp" else {})) for piece in pieces]
    return np.concatenate([*results, x[..., :0]], axis=-1)


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_segment_has_the_bound(lengths, function, dtype):
    offsets = offsets_of(LENGTHS[lengths])
    x = (RNG.normal(size=offsets[-1]) * RNG.choice([1, 30, 1e-9], size=offsets[-1])).astype(dtype)
    results = FUNCTIONS[function](x, offsets)
    assert results.dtype == dtype
    assert results.shape == ((len(offsets) - 1,) if function == "logsumexp" else x.shape)
    for i, (begin, end) in enumerate(itertools.pairwise(offsets)):
        if begin == end:
            assert function != "logsumexp" or results[i] == -np.inf
            continue
        if i > 40 and i % 37:
            continue
        got = results[i] if function == "logsumexp" else results[begin:end]
        assert ulp_error(got, reference(function, x[begin:end], 0)).max() <= bound(function, end - begin)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_neighbours_do_not_show_in_the_bits_of_a_segment(function, dtype):
    """Every length, once among segments of that length alone and once among all lengths."""
    lengths = np.repeat(np.arange(1, TILE + 3), 3)
    x = RNG.normal(size=lengths.sum()).astype(dtype)
    offsets = offsets_of(lengths)
    results = FUNCTIONS[function](x, offsets)
    for i in range(0, len(lengths), 7):
        begin, end = offsets[i], offsets[i + 1]
        alone = FUNCTIONS[function](x[begin:end], [0, end - begin])
        np.testing.assert_array_equal(alone, results[i : i + 1] if function == "logsumexp" else results[begin:end])


@pytest.mark.parametrize("more", [-1, 0, 1])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_segments_of_lines_are_those_of_each_line(function, more, dtype):
    """A few segments are taken in all lines at a time, many segments in one line after the other."""
    n = LIMITS["SEGMENT_LINE_MIN_SEGMENTS"] + more
    offsets = offsets_of(RNG.integers(1, 4, n))
    lines = LIMITS["LANES_F32"] + 1
    x = (RNG.normal(size=(lines, offsets[-1])) * 5).astype(dtype)
    results = FUNCTIONS[function](x, offsets, axis=1)
    of_each = np.stack([FUNCTIONS[function](line, offsets) for line in x])
    assert np.max(np.abs(results - of_each) / np.spacing(np.abs(of_each))) <= 2
    np.testing.assert_allclose(results[::9], one_by_one(function, x[::9], offsets), rtol=1e-6)


@pytest.mark.parametrize("layout", ["C", "F", "negative", "strided", "swapped", "float16", "int"])
@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_any_axis_and_layout_gives_the_same_results(layout, axis, function):
    x = np.round(RNG.normal(size=(23, 40, 21)) * 4)
    given = {
        "C": x, "F": np.asfortranarray(x), "negative": x[::-1, :, ::-1].copy()[::-1, :, ::-1],
        "strided": np.repeat(x, 2, axis=2)[:, :, ::2], "swapped": x.astype(x.dtype.newbyteorder()),
        "float16": x.astype(np.float16), "int": x.astype(int),
    }[layout]  # fmt: skip
    n = x.shape[axis]
    offsets = np.array([0, 1, 1, 4, 11, n - 2, n], np.int32)
    expected = np.moveaxis(one_by_one(function, np.moveaxis(x, axis, -1), offsets), -1, axis)
    results = FUNCTIONS[function](given, offsets, axis)
    assert results.dtype == (np.float64 if layout == "int" else given.dtype.newbyteorder("="))
    tolerance = {"rtol": 2e-3, "atol": 1e-6} if layout == "float16" else {"rtol": 1e-13, "atol": 1e-300}
    np.testing.assert_allclose(results, expected, **tolerance)
    out = np.empty(expected.shape[::-1]).T
    assert FUNCTIONS[function](given, offsets, axis, out=out) is out
    np.testing.assert_allclose(out, expected, **(tolerance if layout != "float16" else {"rtol": 1e-5, "atol": 1e-30}))


@pytest.mark.parametrize("shape", [(5000,), (500, 3), (500, 40)])
@pytest.mark.parametrize("function", ["softmax", "log_softmax"])
def test_in_place_gives_the_same_bits(shape, function, dtype):
    x = RNG.normal(size=shape).astype(dtype)
    offsets = offsets_of([*RNG.multinomial(shape[0] - 200, np.ones(60) / 60), 0, 200])
    expected = FUNCTIONS[function](x, offsets)
    FUNCTIONS[function](x, offsets, out=x)
    np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_special_values_stay_in_their_segment(function, dtype):
    rows = [[np.nan, 1, 2], [3, 4], [np.inf, 0], [-np.inf, -np.inf], [-np.inf, 7], [5], [-np.inf], [np.nan]]
    x = np.concatenate(rows).astype(dtype)
    offsets = offsets_of([len(row) for row in rows])
    with np.errstate(all="raise"):
        results = FUNCTIONS[function](x, offsets)
    np.testing.assert_allclose(results, one_by_one(function, x, offsets), rtol=1e-6)


@pytest.mark.parametrize("kind", [np.longdouble, np.complex128])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_types_without_kernels(kind, function):
    x = RNG.normal(size=(4, 30)).astype(kind)
    offsets = [0, 3, 3, 30]
    results = FUNCTIONS[function](x, offsets, axis=1)
    assert results.dtype == kind
    np.testing.assert_allclose(results, one_by_one(function, x.real.astype(float), offsets), rtol=1e-13)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("shape", [(300000,), (60000, 3), (30000, 20)])
def test_bits_do_not_depend_on_threads(function, shape):
    x = RNG.normal(size=shape)
    n = shape[0]
    lengths = RNG.multinomial(n // 2, np.ones(2000) / 2000)
    offsets = offsets_of([*lengths, n // 4, 0, *RNG.multinomial(n - n // 2 - n // 4, np.ones(9) / 9)])
    results = []
    for threads in (1, 2, 5):
        with smoothmax.num_threads(threads):
            results.append(FUNCTIONS[function](x, offsets))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_a_huge_segment_is_shared(dtype):
    n = 2 * LIMITS["SEGMENT_HUGE_BYTES"] // np.dtype(dtype).itemsize
    x = RNG.normal(size=n).astype(dtype)
    offsets = [0, 5, 5, n - 9, n]
    with smoothmax.num_threads(3):
        results = segment_logsumexp(x, offsets)
        weights = segment_softmax(x, offsets)
    np.testing.assert_allclose(results, one_by_one("logsumexp", x, offsets), rtol=1e-6)
    np.testing.assert_allclose(weights[5 : n - 9], smoothmax.softmax(x[5 : n - 9]), rtol=1e-6)
    assert explain(segment_logsumexp, x[:10], [0, 10])["name"] == "SEGMENTS"


@pytest.mark.parametrize("before", [0, 1, -1])
@pytest.mark.parametrize("times", [1, 3])
def test_huge_segments_wherever_they_begin(before, times, dtype):
    """They are looked for at multiples of their least length, and each is computed once."""
    least = LIMITS["SEGMENT_HUGE_BYTES"] // np.dtype(dtype).itemsize
    begin = before % least
    x = np.random.default_rng(5).standard_normal(begin + times * least + 7, dtype=dtype)
    offsets = [0, begin, begin + times * least, len(x)]
    results = segment_logsumexp(x, offsets, out=np.full(3, 7, dtype))
    np.testing.assert_allclose(results, one_by_one("logsumexp", x, offsets), rtol=1e-6)
    expected = one_by_one("softmax", x, offsets)
    segment_softmax(x, offsets, out=x)
    np.testing.assert_allclose(x, expected, rtol=1e-6)


def test_no_temporary_of_the_size_of_the_input():
    x = RNG.normal(size=2 * 10**6)
    offsets = np.arange(0, 2 * 10**6 + 1, 4)
    for given in (x, x[::-1], x.astype(np.float32)):
        tracemalloc.start()
        result = segment_softmax(given, offsets)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < result.nbytes + 2**20


@pytest.mark.parametrize(
    ("offsets", "text"),
    [
        ([], "offsets must have an element for each segment and one more, got none"),
        ([0.0, 4.0], "offsets must be integers, got dtype float64"),
        ([False, True], "offsets must be integers, got dtype bool"),
        ([[0, 4]], "offsets must have one axis, got shape (1, 2)"),
        (4, "offsets must have one axis, got shape ()"),
        ([1, 4], "offsets must begin with 0, got offsets[0] = 1"),
        ([0, 3, 2, 1, 4], "offsets must not decrease, got offsets[2] = 2 after 3"),
        ([0, 2, 5, 4], "offsets must be from 0 to 4, the length of the axis, got offsets[2] = 5"),
        ([0, -1, 9, 4], "offsets must be from 0 to 4, the length of the axis, got offsets[1] = -1"),
        ([0, 2**62, -(2**63), -1, 4],  # whose differences are not negative if they wrap around
         f"offsets must be from 0 to 4, the length of the axis, got offsets[1] = {2**62}"),
        (np.array([0, 2**63, 4], np.uint64),
         f"offsets must be from 0 to 4, the length of the axis, got offsets[1] = {2**63}"),
        ([0, 2], "offsets must end with 4, the length of the axis, got offsets[1] = 2"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("function", FUNCTIONS)
def test_offsets_that_are_refused(offsets, text, function):
    with pytest.raises(ValueError) as info:  # noqa: PT011
        FUNCTIONS[function](np.zeros(4), offsets)
    assert str(info.value) == text


def test_other_wrong_arguments_are_named():
    with pytest.raises(np.exceptions.AxisError, match=r"^axis 1 is out of bounds for array of dimension 1$"):
        segment_softmax(np.zeros(4), [0, 4], axis=1)
    with pytest.raises(np.exceptions.AxisError, match=r"^axis 0 is out of bounds for array of dimension 0$"):
        segment_softmax(0.0, [0, 1])
    for axis in (None, (), (0,), True, 0.0):
        with pytest.raises(TypeError, match=rf"^axis must be an int, got {re.escape(repr(axis))}$"):
            segment_softmax(np.zeros(4), [0, 4], axis=axis)
    with pytest.raises(ValueError, match=r"^out must have shape \(1,\), got \(4,\)$"):
        segment_logsumexp(np.zeros(4), [0, 4], out=np.empty(4))


def test_offsets_from_ids():
    ids = np.sort(RNG.integers(0, 50, 300))
    for kind in (np.int8, np.uint64, np.int64):
        np.testing.assert_array_equal(offsets_from_ids(ids.astype(kind), 60), np.searchsorted(ids, np.arange(61)))
    assert offsets_from_ids([]).tolist() == [0]
    assert offsets_from_ids([], num_segments=2).tolist() == [0, 0, 0]
    assert offsets_from_ids([2, 2]).tolist() == [0, 0, 0, 2]


@pytest.mark.parametrize(
    ("ids", "number", "kind", "text"),
    [
        ([0, 2, 1, 0], None, ValueError, "ids must be sorted, got ids[2] = 1 after 2"),
        ([-3, 0], None, ValueError, "ids must not be negative, got ids[0] = -3"),
        ([0, 3, 4], 3, ValueError, "ids must be less than num_segments, 3, got ids[1] = 3"),
        ([0.5], None, ValueError, "ids must be integers, got dtype float64"),
        ([[0]], None, ValueError, "ids must have one axis, got shape (1, 1)"),
        ([0], -1, ValueError, "num_segments must not be negative, got -1"),
        ([0], 1.5, TypeError, "num_segments must be None or an int, got 1.5"),
    ],
)
def test_ids_that_are_refused(ids, number, kind, text):
    with pytest.raises(kind) as info:
        offsets_from_ids(ids, number)
    assert str(info.value) == text


def test_offsets_and_ids_of_any_alignment():
    """x86 reads them all the same. Other processors do not, and the undefined-behaviour sanitizer reports it."""
    x, ids = RNG.normal(size=40), np.arange(40) // 7
    for array, call in (
        (np.array([0, 3, 3, 40]), lambda offsets: segment_softmax(x, offsets)),
        (ids, lambda ids: offsets_from_ids(ids)),
    ):
        memory = np.empty(array.nbytes + 1, np.uint8)
        for offset in (0, 1):
            unaligned = memory[offset : offset + array.nbytes].view(array.dtype)
            unaligned[...] = array
            np.testing.assert_array_equal(call(unaligned), call(array))


@pytest.mark.parametrize("function", FUNCTIONS.values())
def test_a_result_may_overlap_the_offsets(function):
    n = 3000
    a, offsets = np.zeros(n), np.arange(n + 1)
    wanted = function(a, np.arange(n + 1))
    result = function(a, offsets, out=offsets.view("f8")[:n])
    np.testing.assert_array_equal(result, wanted)


def test_users_code_runs_before_shapes_are_read():
    class Offsets:
        def __array__(self, dtype=None, copy=None):
            a.resize(0, refcheck=False)
            return np.array([0, 30000])

    class Number:
        def __index__(self):
            ids.resize(0, refcheck=False)
            return 1

    a, ids = np.zeros(30000), np.zeros(30000, int)
    with pytest.raises(
        ValueError, match=r"^offsets must be from 0 to 0, the length of the axis, got offsets\[1\] = 30000$"
    ):
        segment_logsumexp(a, Offsets())
    assert offsets_from_ids(ids, Number()).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("ids", "number", "kind", "text"),
    [
        ([0], 2**70, ValueError, f"num_segments must be at most {2**60 - 2}, got {2**70}"),
        ([0], 2**63 - 1, ValueError, f"num_segments must be at most {2**60 - 2}, got {2**63 - 1}"),
        ([2**63 - 1], None, ValueError, f"ids must be less than {2**60 - 2}, got ids[0] = {2**63 - 1}"),
        (np.uint64([2**64 - 1]), None, ValueError, f"ids must be less than {2**60 - 2}, got ids[0] = {2**64 - 1}"),
        (np.uint64([1, 2**63]), 3, ValueError, f"ids must be less than num_segments, 3, got ids[1] = {2**63}"),
        ([0], np.array([3, 4]), TypeError, "num_segments must be None or an int, got array([3, 4])"),
        (np.ma.array([0, 1], mask=[0, 1]), None, TypeError, "ids must not be a masked array: pass its filled(value)"),
    ],
)
def test_numbers_of_segments_that_no_array_has_are_refused(ids, number, kind, text):
    with pytest.raises(kind) as caught:
        offsets_from_ids(ids, number)
    assert str(caught.value) == text


def test_masked_offsets_are_refused():
    with pytest.raises(TypeError, match=r"^offsets must not be a masked array: pass its filled\(value\)$"):
        segment_softmax(np.zeros(6), np.ma.array([0, 2, 6], mask=[0, 1, 0]))
