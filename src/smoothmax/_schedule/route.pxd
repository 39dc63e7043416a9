# Which computing path a call takes: a pure function of its operation, shape, strides, types and arrays.
#
# Equal shapes take equal routes, so the bits of a result depend neither on addresses nor on alignment nor on threads.

from smoothmax._schedule.plan cimport Plan

cdef enum RouteName:
    SINGLE_ROW          # the whole array is one short contiguous row, which needs no plan
    FUSED_ROW           # one kernel takes a row from elements to results
    JOINT_ROWS          # sums of rows (logsumexp or a loss) whose logarithms are taken together
    FUSED_DIFFERENCES_TILE  # one kernel takes a tile, by differences from the maximum in two parts
    FUSED_TILE          # one kernel takes a tile, each column by a shift of its own
    NARROW              # the columns are few and long, and several of their rows fill the lanes
    ONE_PASS_ROW        # a row is reduced block by block into a partial sum
    ONE_PASS_TILE       # the same for a tile
    TWO_PASS_ROW        # a second pass reads the row again, and writes its results
    TWO_PASS_TILE       # the same for a tile
    GATHERED_ROW        # the first pass gathers the row into its result, where the second pass reads it
    DRAFT_ROW           # the first pass leaves exponentials in the result, and the second corrects them
    SCAN_ROW            # a row is scanned from its first element to its last, piece by piece
    SCAN_TILE           # the same for a tile, at once
    SEGMENTS            # segments of an axis: short ones side by side, others by the routes of calls of their own
    TOP_ROWS            # the sum of a row and its largest elements are found block by block
    TOP_TILES           # the same for short rows side by side, at once
    DRAWN_ROWS          # stretches of a row are summed, and the blocks that uniform numbers fall into read again
    DRAWN_TILES         # the cumulative sums of short rows are computed side by side
    AT_TARGETS          # nothing is reduced: only the elements at the targets are read
    EMPTY               # the call has no elements
    PLAIN               # NumPy computes longdouble and complex
    PRODUCT             # np.matmul computes logmatmulexp; doubtful elements are summed exactly
    PRODUCT_BLOCKS      # a kernel multiplies blocks of the result
    PRODUCT_STACK       # a kernel multiplies a stack of small matrices, one in each lane
    EXACT_PRODUCT       # every element of logmatmulexp is summed exactly


cdef struct Route:
    RouteName name
    bint fused                  # one kernel computes results from elements, which stay in cache between its steps
    bint is_tile                # a unit is several reductions side by side, not a row
    bint adjusted               # elements are adjusted: by staging if they are staged in, and otherwise by the kernels
    bint staged_in              # elements and weights reach the kernels through the scratch
    bint staged_out             # results leave through the scratch
    bint any_columns            # the kernels take any number of columns from lane_columns on
    Py_ssize_t length           # elements of a reduction
    Py_ssize_t units            # rows, or tiles
    Py_ssize_t unit_columns     # reductions of a unit: TILE_COLUMNS of a tile, JOINT_MAX_ROWS, or 1
    Py_ssize_t lane_columns     # a tile need not be staged if its columns are a multiple of this
    Py_ssize_t narrow_rows      # rows of NARROW columns that are read as one
    Py_ssize_t piece            # elements of a piece of a reduction, and
    Py_ssize_t pieces           # how many pieces a reduction has
    Py_ssize_t piece_blocks     # blocks of a piece of a draft
    Py_ssize_t band_tiles       # tiles side by side that write in turn; 1: each writes alone
    # The memory that a thread needs.
    Py_ssize_t staged_elements  # in each region of the scratch; 0: nothing is staged
    Py_ssize_t staged_regions   # 2 if there are weights, or a tile has a mask or addends
    Py_ssize_t drafts           # blocks of a draft, each of which has its maximum
    Py_ssize_t draft_elements   # of a row whose draft cannot lie in its result; 0: it lies there


cdef bint is_short_reduction(Py_ssize_t n) noexcept nogil
cdef void route_of(const Plan *plan, Route *route) noexcept nogil
cdef RouteName top_route_of(const Plan *plan, Py_ssize_t number) noexcept nogil
cdef RouteName drawn_route_of(const Plan *plan) noexcept nogil
cdef Py_ssize_t piece_of_row(Py_ssize_t n, Py_ssize_t most, Py_ssize_t granule) noexcept nogil


cdef inline Py_ssize_t tiles_across(const Plan *plan, const Route *route) noexcept nogil:
    """The number of units along the innermost kept axis.

    The columns that remain after full tiles make two tiles: one that fills its lanes and need not be staged, and one
    for the rest. If the kernels take any number of columns, they make one tile.
    """
    cdef Py_ssize_t columns = plan.kept.shape[0] if plan.kept.ndim else 1
    cdef Py_ssize_t left = columns % route.unit_columns
    if route.any_columns:
        return columns//route.unit_columns + (left > 0)
    return columns//route.unit_columns + (left >= route.lane_columns) + (left % route.lane_columns > 0)
