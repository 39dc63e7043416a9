"""Which route a call takes: every route, and both sides of every limit between two.

The limits are imported, so a case stays beside its limit when the limit changes.
"""

import numpy as np
import pytest

import smoothmax
from smoothmax import (
    cross_entropy,
    cross_entropy_and_grad,
    log_prob,
    log_softmax,
    logsumexp,
    logsumexp_and_softmax,
    softmax,
    softmax_vjp,
)
from smoothmax._schedule import walk
from smoothmax._schedule.explain import explain
from smoothmax._thresholds import limits

L = limits()
TYPES = [np.float64, np.float32]


def elements(nbytes, dtype):
    return nbytes // np.dtype(dtype).itemsize


def ones(*shape, dtype=np.float64):
    return np.ones(shape, dtype)


def misaligned(*shape, dtype=np.float64):
    """An array that kernels cannot read in place."""
    array = np.zeros(int(np.prod(shape)) * np.dtype(dtype).itemsize + 1, np.uint8)[1:].view(dtype).reshape(shape)
    assert not array.flags.aligned
    return array


def name(function, *args, **kwargs):
    return explain(function, *args, **kwargs)["name"]


# Each case: a limit and the choice that depends on it, and the routes of a call on its lower and on its upper side.
def fused_rows(function, limit, longer):
    def case(dtype):
        n = elements(L[limit], dtype)
        return [("SINGLE_ROW", function, ones(n, dtype=dtype)), (longer, function, ones(n + 1, dtype=dtype))]

    return case


def fused_state_rows(dtype):
    n = elements(L["FUSED_STATE_ROW_BYTES"], dtype)
    return [
        ("FUSED_ROW", logsumexp_and_softmax, ones(n, dtype=dtype)),
        ("TWO_PASS_ROW", logsumexp_and_softmax, ones(n + 1, dtype=dtype)),
    ]


def joint_rows_from(dtype):
    long, few = elements(L["ROUNDED_MIN_LANE_ROWS"] * L["LANE_BYTES"], dtype), L["JOINT_MAX_ROWS"] // 4
    return [
        ("FUSED_ROW", logsumexp, ones(1, long, dtype=dtype), 1),
        ("JOINT_ROWS", logsumexp, ones(2, long, dtype=dtype), 1),
        ("FUSED_ROW", logsumexp, ones(few - 1, long - 1, dtype=dtype), 1),
        ("JOINT_ROWS", logsumexp, ones(few, long - 1, dtype=dtype), 1),
        ("JOINT_ROWS", logsumexp, ones(few, 2, dtype=dtype), 1),
    ]


def joint_rows_to(dtype):
    n = elements(L["ROW_BLOCK_BYTES"], dtype)
    targets = np.zeros(2, int)
    return [
        ("JOINT_ROWS", cross_entropy, ones(2, n, dtype=dtype), targets),
        ("FUSED_ROW", cross_entropy, ones(2, n + 1, dtype=dtype), targets),
    ]


def drafts_to(dtype):
    n = elements(L["DRAFT_MAX_BYTES"], dtype)
    return [
        ("DRAFT_ROW", softmax, ones(n, dtype=dtype)),
        ("TWO_PASS_ROW", softmax, ones(n + 1, dtype=dtype)),
    ]


def staged_drafts_to(dtype):
    n = elements(L["STAGED_DRAFT_BYTES"], dtype)
    return [
        (route, softmax, ones(many, dtype=dtype), None, True, np.empty(many, np.dtype(dtype).newbyteorder(">")), None)
        for route, many in (("DRAFT_ROW", n), ("TWO_PASS_ROW", n + 1))
    ]


def halves_to(_):
    n = L["HALF_ROW_ELEMENTS"]
    return [
        ("SINGLE_ROW", softmax, ones(n, dtype=np.float16)),
        ("DRAFT_ROW", softmax, ones(n + 1, dtype=np.float16)),
    ]


def half_rows_to(_):
    n = elements(L["ROW_BLOCK_BYTES"], np.float32)
    most = elements(L["STAGED_DRAFT_BYTES"], np.float32)
    return [
        ("FUSED_ROW", softmax, ones(2, n, dtype=np.float16), 1),
        ("DRAFT_ROW", softmax, ones(2, n + 1, dtype=np.float16), 1),
        ("DRAFT_ROW", softmax, ones(2, most, dtype=np.float16), 1),
        ("TWO_PASS_ROW", softmax, ones(2, most + 1, dtype=np.float16), 1),
        ("FUSED_ROW", log_softmax, ones(2, n, dtype=np.float16), 1),
        ("TWO_PASS_ROW", log_softmax, ones(2, n + 1, dtype=np.float16), 1),
        ("JOINT_ROWS", cross_entropy, ones(2, n, dtype=np.float16), [0, 1]),
        ("ONE_PASS_ROW", cross_entropy, ones(2, n + 1, dtype=np.float16), [0, 1]),
        ("FUSED_ROW", cross_entropy_and_grad, ones(2, n, dtype=np.float16), [0, 1]),
        ("DRAFT_ROW", cross_entropy_and_grad, ones(2, n + 1, dtype=np.float16), [0, 1]),
        ("DRAFT_ROW", cross_entropy_and_grad, ones(2, most, dtype=np.float16), [0, 1]),
        ("TWO_PASS_ROW", cross_entropy_and_grad, ones(2, most + 1, dtype=np.float16), [0, 1]),
        ("FUSED_ROW", logsumexp_and_softmax, ones(2, n, dtype=np.float16), 1),
        ("DRAFT_ROW", logsumexp_and_softmax, ones(2, n + 1, dtype=np.float16), 1),
    ]


def gathered_to(dtype):
    n = elements(L["DRAFT_MAX_BYTES"], dtype)
    return [
        ("GATHERED_ROW", logsumexp_and_softmax, misaligned(n, dtype=dtype)),
        ("TWO_PASS_ROW", logsumexp_and_softmax, misaligned(n + 1, dtype=dtype)),
    ]


def short_tiles_by_length(dtype):
    n, m = L["TILE_SHORT_ELEMENTS"], L["TILE_SHORT_MIN_COLUMNS"]
    return [
        ("FUSED_TILE", softmax, ones(m, n, dtype=dtype), 1),
        ("FUSED_ROW", softmax, ones(m, n + 1, dtype=dtype), 1),
    ]


def short_tiles_by_columns(dtype):
    n, m = L["TILE_SHORT_ELEMENTS"], L["TILE_SHORT_MIN_COLUMNS"]
    return [
        ("FUSED_ROW", softmax, ones(m - 1, n, dtype=dtype), 1),
        ("FUSED_TILE", softmax, ones(m, n, dtype=dtype), 1),
    ]


def long_tiles_by_length(dtype):
    n, m = L["TILE_LONG_ELEMENTS"], L["TILE_LONG_MIN_COLUMNS"]
    return [
        ("FUSED_TILE", softmax, ones(m, n, dtype=dtype), 1),
        ("FUSED_ROW", softmax, ones(m, n + 1, dtype=dtype), 1),
    ]


def long_tiles_by_columns(dtype):
    n, m = L["TILE_LONG_ELEMENTS"], L["TILE_LONG_MIN_COLUMNS"]
    return [
        ("FUSED_ROW", softmax, ones(m - 1, n, dtype=dtype), 1),
        ("FUSED_TILE", softmax, ones(m, n, dtype=dtype), 1),
    ]


def differences(function, limit):
    def case(dtype):
        n = L[limit]
        return [
            ("FUSED_DIFFERENCES_TILE", function, ones(n, 100, dtype=dtype), 0),
            ("FUSED_TILE", function, ones(n + 1, 100, dtype=dtype), 0),
        ]

    return case


def fused_tiles(function, limit, longer, columns=65):
    def case(dtype):
        n = L[limit] if limit.endswith("_ROWS") else elements(L[limit], dtype) // L["TILE_COLUMNS"]
        return [
            ("FUSED_TILE", function, ones(n, columns, dtype=dtype), 0),
            (longer, function, ones(n + 1, columns, dtype=dtype), 0),
        ]

    return case


def fused_state_tiles(dtype):
    n = elements(L["FUSED_STATE_TILE_BYTES"], dtype) // L["TILE_COLUMNS"]
    targets = np.zeros(65, int)
    return [
        ("FUSED_DIFFERENCES_TILE", cross_entropy_and_grad, ones(n, 65, dtype=dtype), targets, 0),
        ("TWO_PASS_TILE", cross_entropy_and_grad, ones(n + 1, 65, dtype=dtype), targets, 0),
    ]


def fused_weighted_tiles(dtype):
    n = L["WEIGHTED_TILE_BLOCK_ROWS"]
    return [
        ("FUSED_TILE", logsumexp, ones(n, 65, dtype=dtype), 0, ones(n, 65, dtype=dtype)),
        ("ONE_PASS_TILE", logsumexp, ones(n + 1, 65, dtype=dtype), 0, ones(n + 1, 65, dtype=dtype)),
    ]


def aliased_tiles(function, limit, longer):
    def case(dtype):
        n = elements(L[limit], dtype) // L["TILE_COLUMNS"]
        columns = elements(L["ALIASED_STRIDE_BYTES"], dtype)
        return [
            ("FUSED_TILE", function, ones(n, columns, dtype=dtype), 0),
            (longer, function, ones(n + 1, columns, dtype=dtype), 0),
        ]

    return case


def aliased_only_where_rows_are_read_in_place(dtype):
    n = elements(L["ALIASED_SOFTMAX_TILE_BYTES"], dtype) // L["TILE_COLUMNS"] + 1
    columns = elements(L["ALIASED_STRIDE_BYTES"], dtype)
    return [
        ("TWO_PASS_TILE", softmax, ones(n, columns, dtype=dtype), 0),
        ("FUSED_TILE", softmax, ones(n, columns, dtype=np.int32), 0, True, None, dtype),
    ]


def narrow_from(dtype):
    n = L["NARROW_MIN_ELEMENTS"] // 4
    return [
        ("FUSED_ROW", softmax, ones(n - 1, 4, dtype=dtype), 0),
        ("NARROW", softmax, ones(n, 4, dtype=dtype), 0),
    ]


def narrow_to(dtype):
    n, m = 1000, L["TILE_COLUMNS"]
    return [
        ("NARROW", softmax, ones(n, m - 1, dtype=dtype), 0),
        ("FUSED_TILE", softmax, ones(n, m, dtype=dtype), 0),
    ]


def narrow_of_two(dtype):
    return [
        ("DRAFT_ROW", softmax, ones(10**6, 1, dtype=dtype), 0),
        ("NARROW", softmax, ones(10**6, 2, dtype=dtype), 0),
    ]


def long_rows_without_results(dtype):
    return [
        ("ONE_PASS_ROW", logsumexp, ones(10**6, dtype=dtype)),
        ("TWO_PASS_ROW", softmax_vjp, ones(10**6, dtype=dtype), ones(10**6, dtype=dtype)),
    ]


def no_elements(dtype):
    nothing = ones(0, 3, dtype=dtype)
    others = [
        ("EMPTY", logsumexp_and_softmax, nothing, 1),
        ("EMPTY", softmax_vjp, nothing, nothing, 1),
        ("EMPTY", cross_entropy, nothing, np.zeros(0, int)),
        ("EMPTY", log_prob, nothing, np.zeros(0, int)),
    ]
    return [*others, ("EMPTY", softmax, nothing, 1), ("EMPTY", logsumexp, nothing.T, 1)]


def scans_and_segments(dtype):
    """A scan takes tiles where other operations do; segments have a route of their own."""
    many = limits()["TILE_SHORT_MIN_COLUMNS"]
    few = many - 1
    return [
        ("SCAN_ROW", smoothmax.logcumsumexp, ones(300, dtype=dtype)),
        ("SCAN_ROW", smoothmax.logcumsumexp, ones(300, few, dtype=dtype), 0),
        ("SCAN_TILE", smoothmax.logcumsumexp, ones(300, many, dtype=dtype), 0),
        ("SEGMENTS", smoothmax.segment_softmax, ones(10, dtype=dtype), [0, 4, 10]),
    ]


def products(dtype):
    """Results of few elements are summed exactly, unless their stack fills half of the lanes."""
    most, stack, terms = (L[name] for name in ("PRODUCT_EXACT_ELEMENTS", "PRODUCT_STACK_ELEMENTS", "PRODUCT_TERMS"))
    half = L["LANE_BYTES"] // np.dtype(dtype).itemsize // L["PRODUCT_FILLED_LANES"]
    some, panels, few = (
        L["PRODUCT_BLOCK_TERMS"] // 64**2,
        L["PRODUCT_PANEL_ELEMENTS"],
        L["PRODUCT_PANEL_MIN_TERMS"],
    )
    return [
        ("EXACT_PRODUCT", smoothmax.logmatmulexp, ones(3000, dtype=dtype), ones(3000, dtype=dtype)),
        ("EXACT_PRODUCT", smoothmax.logmatmulexp, ones(3, dtype=dtype), ones(3, most, dtype=dtype)),
        ("PRODUCT_BLOCKS", smoothmax.logmatmulexp, ones(3, dtype=dtype), ones(3, most + 1, dtype=dtype)),
        ("EXACT_PRODUCT", smoothmax.logmatmulexp, ones(half - 1, most, 3, dtype=dtype), ones(3, dtype=dtype)),
        ("PRODUCT_STACK", smoothmax.logmatmulexp, ones(half, most, 3, dtype=dtype), ones(3, dtype=dtype)),
        ("PRODUCT_STACK", smoothmax.logmatmulexp, ones(half, stack, 3, dtype=dtype), ones(3, dtype=dtype)),
        ("PRODUCT_BLOCKS", smoothmax.logmatmulexp, ones(half, stack + 1, 3, dtype=dtype), ones(3, dtype=dtype)),
        ("PRODUCT_STACK", smoothmax.logmatmulexp, ones(half, 1, terms, dtype=dtype), ones(terms, dtype=dtype)),
        ("EXACT_PRODUCT", smoothmax.logmatmulexp, ones(half, 2, terms, dtype=dtype), ones(terms, dtype=dtype)),
        ("PRODUCT_BLOCKS", smoothmax.logmatmulexp, ones(half - 1, most + 1, 3, dtype=dtype), ones(3, dtype=dtype)),
        ("PRODUCT_BLOCKS", smoothmax.logmatmulexp, ones(most, 3, dtype=dtype), ones(3, half, dtype=dtype)),
        ("PRODUCT", smoothmax.logmatmulexp, ones(most, 3, dtype=dtype), ones(3, half - 1, dtype=dtype)),
        ("PRODUCT_BLOCKS", smoothmax.logmatmulexp, ones(64, some, dtype=dtype), ones(some, 64, dtype=dtype)),
        ("PRODUCT_BLOCKS", smoothmax.logmatmulexp, ones(2, 64, dtype=dtype), ones(64, panels // 64, dtype=dtype)),
        ("PRODUCT_BLOCKS", smoothmax.logmatmulexp, ones(2, few, dtype=dtype), ones(few, panels, dtype=dtype)),
        ("PRODUCT", smoothmax.logmatmulexp, ones(2, few - 1, dtype=dtype), ones(few - 1, panels, dtype=dtype)),
        (
            "PRODUCT_BLOCKS",
            smoothmax.logmatmulexp,
            ones(3, panels // 33, dtype=dtype),
            ones(panels // 33, 33, dtype=dtype),
        ),
        (
            "PRODUCT",
            smoothmax.logmatmulexp,
            ones(3, panels // 33 + 1, dtype=dtype),
            ones(panels // 33 + 1, 33, dtype=dtype),
        ),
        ("PRODUCT_BLOCKS", smoothmax.logmatmulexp, ones(panels // 64, 64, dtype=dtype), ones(64, dtype=dtype)),
        ("PRODUCT", smoothmax.logmatmulexp, ones(panels // 64 + 1, 64, dtype=dtype), ones(64, dtype=dtype)),
        ("PRODUCT_BLOCKS", smoothmax.logmatmulexp, ones(64, panels // 64 + 1, dtype=dtype).T, ones(64, dtype=dtype)),
        ("PRODUCT", smoothmax.logmatmulexp, ones(64, some + 1, dtype=dtype), ones(some + 1, 64, dtype=dtype)),
    ]


def scores(dtype):
    """Short rows side by side make tiles, if there are enough rows and few results of each are wanted."""
    some, long, draws, most = (
        L[name] for name in ("SCORE_TILE_MIN_ROWS", "TOP_TILE_ELEMENTS", "DRAW_TILE_ELEMENTS", "TOP_TILE_BEST_ELEMENTS")
    )
    return [
        ("TOP_TILES", smoothmax.top_log_probs, ones(some, long, dtype=dtype), most),
        ("TOP_ROWS", smoothmax.top_log_probs, ones(some - 1, long, dtype=dtype), most),
        ("TOP_ROWS", smoothmax.top_log_probs, ones(some, long + 1, dtype=dtype), most),
        ("TOP_ROWS", smoothmax.top_log_probs, ones(some, long, dtype=dtype), most + 1),
        ("DRAWN_TILES", smoothmax.categorical, ones(some, draws, dtype=dtype)),
        ("DRAWN_ROWS", smoothmax.categorical, ones(some - 1, draws, dtype=dtype)),
        ("DRAWN_ROWS", smoothmax.categorical, ones(some, draws + 1, dtype=dtype)),
    ]


def at_targets(dtype):
    """Losses of log-probabilities read only the targets, unless there are probabilities of all classes."""
    targets, p = np.zeros(65, int), ones(65, 3000, dtype=dtype)
    return [
        ("AT_TARGETS", smoothmax.nll_loss, ones(65, 3000, dtype=dtype), targets),
        ("AT_TARGETS", smoothmax.nll_loss, ones(3000, 65, dtype=np.float16), targets, 0),
        ("ONE_PASS_ROW", smoothmax.nll_loss, ones(65, 3000, dtype=dtype), p),
    ]


def without_kernels(dtype):
    return [
        ("PLAIN", softmax, ones(10, dtype=np.longdouble)),
        ("PLAIN", logsumexp, ones(10, dtype=dtype) + 0j),
    ]


def single_rows_only_without_a_mask(dtype):
    mask = np.arange(10) != 3
    return [
        ("SINGLE_ROW", softmax, ones(10, dtype=dtype), None, True),
        ("FUSED_ROW", softmax, ones(10, dtype=dtype), None, mask),
    ]


CASES = {
    "FUSED_SUM_ROW_BYTES of logsumexp": fused_rows(logsumexp, "FUSED_SUM_ROW_BYTES", "ONE_PASS_ROW"),
    "FUSED_SUM_ROW_BYTES of log_softmax": fused_rows(log_softmax, "FUSED_SUM_ROW_BYTES", "DRAFT_ROW"),
    "FUSED_SOFTMAX_ROW_BYTES": fused_rows(softmax, "FUSED_SOFTMAX_ROW_BYTES", "DRAFT_ROW"),
    "FUSED_STATE_ROW_BYTES": fused_state_rows,
    "one row or two": joint_rows_from,
    "ROW_BLOCK_BYTES": joint_rows_to,
    "DRAFT_MAX_BYTES of drafts": drafts_to,
    "DRAFT_MAX_BYTES of gathered rows": gathered_to,
    "STAGED_DRAFT_BYTES": staged_drafts_to,
    "HALF_ROW_ELEMENTS": halves_to,
    "ROW_BLOCK_BYTES of halves": half_rows_to,
    "TILE_SHORT_ELEMENTS": short_tiles_by_length,
    "TILE_SHORT_MIN_COLUMNS": short_tiles_by_columns,
    "TILE_LONG_ELEMENTS": long_tiles_by_length,
    "TILE_LONG_MIN_COLUMNS": long_tiles_by_columns,
    "SOFTMAX_DIFFERENCES_MAX_ROWS": differences(softmax, "SOFTMAX_DIFFERENCES_MAX_ROWS"),
    "EXACT_DIFFERENCES_MAX_ROWS": differences(logsumexp, "EXACT_DIFFERENCES_MAX_ROWS"),
    "ROUNDED_DIFFERENCES_MAX_ROWS": differences(log_softmax, "ROUNDED_DIFFERENCES_MAX_ROWS"),
    "FUSED_SUM_TILE_BYTES": fused_tiles(logsumexp, "FUSED_SUM_TILE_BYTES", "ONE_PASS_TILE"),
    "FUSED_LOG_SOFTMAX_TILE_ROWS": fused_tiles(log_softmax, "FUSED_LOG_SOFTMAX_TILE_ROWS", "TWO_PASS_TILE"),
    "FUSED_SOFTMAX_TILE_BYTES": fused_tiles(softmax, "FUSED_SOFTMAX_TILE_BYTES", "TWO_PASS_TILE"),
    "FUSED_STATE_TILE_BYTES": fused_state_tiles,
    "WEIGHTED_TILE_BLOCK_ROWS": fused_weighted_tiles,
    "ALIASED_SUM_TILE_BYTES of logsumexp": aliased_tiles(logsumexp, "ALIASED_SUM_TILE_BYTES", "ONE_PASS_TILE"),
    "ALIASED_SUM_TILE_BYTES of log_softmax": aliased_tiles(log_softmax, "ALIASED_SUM_TILE_BYTES", "TWO_PASS_TILE"),
    "ALIASED_SOFTMAX_TILE_BYTES": aliased_tiles(softmax, "ALIASED_SOFTMAX_TILE_BYTES", "TWO_PASS_TILE"),
    "ALIASED_STRIDE_BYTES": aliased_only_where_rows_are_read_in_place,
    "NARROW_MIN_ELEMENTS": narrow_from,
    "TILE_COLUMNS": narrow_to,
    "one column and two": narrow_of_two,
    "results or none": long_rows_without_results,
    "a mask or none": single_rows_only_without_a_mask,
    "no elements": no_elements,
    "no kernels": without_kernels,
    "scans and segments": scans_and_segments,
    "PRODUCT_EXACT_ELEMENTS": products,
    "scores": scores,
    "targets or probabilities": at_targets,
}


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("case", CASES)
def test_the_route_changes_at_the_limit(case, dtype):
    for expected, function, *args in CASES[case](dtype):
        options = {}
        if len(args) > 3 and function is softmax:
            options = {"where": args[2], "out": args[3], "dtype": args[4]}
            args = args[:2]
        elif len(args) == 3 and function is softmax:
            options, args = {"where": args[2]}, args[:2]
        assert name(function, *args, **options) == expected


def test_every_route_is_reached_by_a_case():
    reached = {expected for case in CASES.values() for expected, *_ in case(np.float64)}
    assert reached == set(walk.NAMES.values())
    assert len(walk.NAMES) == len(set(walk.NAMES.values()))


# Parameters of routes -------------------------------------------------------------------------------------------------


def test_nothing_is_staged_where_only_targets_are_read():
    route = explain(smoothmax.nll_loss, misaligned(1000, 65).T, np.zeros(65, int))
    assert (route["units"], route["scratch_elements"]) == (2, 0)


def test_threads_share_as_many_targets_as_bring_in_the_bytes_of_a_shared_call():
    """Each target brings a line of the cache, or all classes if they are shorter."""
    line = L["CACHE_LINE_BYTES"]
    rows = L["SHARE_MIN_BYTES"] // line
    with smoothmax.num_threads(2):
        for classes, n in ((line // 8, rows), (1000, rows), (line // 16, 2 * rows)):
            for few, shared in ((1, "alone"), (0, "units")):
                loss = explain(smoothmax.nll_loss, np.zeros((n - few, classes)), np.zeros(n - few, int))
                assert loss["shared"] == shared


@pytest.mark.parametrize("dtype", TYPES)
def test_a_row_longer_than_a_piece_has_two(dtype):
    n = elements(L["ROW_PIECE_BYTES"], dtype)
    assert explain(logsumexp, ones(n, dtype=dtype))["pieces"] == 1
    assert explain(logsumexp, ones(n + 1, dtype=dtype))["pieces"] == 2


@pytest.mark.parametrize("dtype", TYPES)
def test_a_tile_longer_than_a_piece_has_two(dtype):
    n = elements(L["TILE_PIECE_BYTES"], dtype) // L["TILE_COLUMNS"]
    assert explain(logsumexp, ones(n, 64, dtype=dtype), 0)["pieces"] == 1
    assert explain(logsumexp, ones(n + 1, 64, dtype=dtype), 0)["pieces"] == 2


@pytest.mark.parametrize("dtype", TYPES)
def test_no_reduction_has_more_than_the_most_pieces(dtype):
    n = elements(L["ROW_PIECE_BYTES"], dtype) * L["MAX_PIECES"]
    assert explain(logsumexp, ones(n, dtype=dtype))["pieces"] == L["MAX_PIECES"]
    longer = explain(logsumexp, ones(n + 1, dtype=dtype))
    assert longer["pieces"] <= L["MAX_PIECES"]
    assert longer["piece"] > elements(L["ROW_PIECE_BYTES"], dtype)


@pytest.mark.parametrize("dtype", TYPES)
def test_short_contiguous_stretches_are_staged(dtype):
    n = L["CONTIGUOUS_MIN_ELEMENTS"]
    x = ones(3, 4, 2 * n, dtype=dtype)
    assert not explain(softmax_vjp, x[..., :n], x[..., :n], (0, 2))["staged_in"]
    assert explain(softmax_vjp, x[..., 1:n], x[..., 1:n], (0, 2))["staged_in"]


@pytest.mark.parametrize("dtype", TYPES)
def test_tiles_write_in_bands_of_a_stretch_of_a_row(dtype):
    n = elements(L["FUSED_SOFTMAX_TILE_BYTES"], dtype) // L["TILE_COLUMNS"] + 1
    most = min(elements(L["BAND_ROW_BYTES"], dtype) // L["TILE_COLUMNS"], L["BAND_MAX_TILES"])
    route = explain(softmax, ones(n, 64 * most - 1, dtype=dtype), 0)
    assert (route["name"], route["band_tiles"]) == ("TWO_PASS_TILE", most)
    assert explain(softmax, ones(n, 64 * most + 640, dtype=dtype), 0)["band_tiles"] == most
    assert explain(softmax, ones(n, 64, dtype=dtype), 0)["band_tiles"] == 1


@pytest.mark.parametrize("dtype", TYPES)
def test_a_call_is_shared_from_its_size_on(dtype):
    n = elements(L["SHARE_MIN_BYTES"], dtype) // 128
    with smoothmax.num_threads(2):
        assert explain(softmax, ones(n, 128, dtype=dtype), 1)["shared"] == "units"
        assert explain(softmax, ones(n - 1, 128, dtype=dtype), 1)["shared"] == "alone"
        assert explain(logsumexp, ones(10**6, dtype=dtype))["shared"] == "pieces"
    with smoothmax.num_threads(1):
        assert explain(softmax, ones(n, 128, dtype=dtype), 1)["shared"] == "alone"


def test_threads_and_addresses_do_not_change_the_route():
    x = ones(1000, 1000)
    aligned = np.zeros(x.nbytes + 64, np.uint8)
    routes = []
    for threads in (1, 2, 5):
        for first in (0, 8, 32):
            moved = aligned[first : first + x.nbytes].view(np.float64).reshape(x.shape)
            with smoothmax.num_threads(threads):
                route = explain(softmax, moved, 1)
            del route["shared"]
            routes.append(route)
    assert all(route == routes[0] for route in routes)


def test_explain_refuses_calls_with_no_route_or_several():
    with pytest.raises(ValueError, match=r"^a call must take one route, this one took \[\]$"):
        explain(len, [])
    with pytest.raises(ValueError, match="'SINGLE_ROW', 'SINGLE_ROW'"):
        explain(lambda: (softmax(ones(3)), softmax(ones(3))))
