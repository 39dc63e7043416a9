# A unit: a row, or a tile of reductions side by side; how a walk has laid it out, and what is done with it.

from smoothmax._kernels.interface cimport Kernels, State
from smoothmax._schedule.packed cimport unpack
from smoothmax._schedule.plan cimport BOTH, FIRST, STATES, Bases, Plan, inner_stride

cdef struct Walk:
    const Plan *plan
    bint tiles
    Py_ssize_t abreast          # rows of a few columns that make one of a tile; 0: they do not
    bint at_once                # without a state: what is reduced stays in cache
    bint in_place               # elements and weights are taken where they lie,
    bint out_in_place           # results put where they belong; a tile's if its columns fill the lanes
    Py_ssize_t wide             # reductions side by side in a unit: TILE_COLUMNS of a tile, JOINT_ROWS or 1 of rows
    Py_ssize_t lanes            # a tile of a multiple of so many columns is taken where it lies, and
    bint any_number             # of any number from there on: the kernels may do a column twice
    bint gathers                # the first pass brings elements together in the result, where the second takes them
    bint drafts                 # the first pass leaves in the result what the second corrects
    Py_ssize_t n                # positions of a reduction
    Py_ssize_t units            # rows, or tiles
    Py_ssize_t piece            # positions of a reduction that are reduced on their own
    Py_ssize_t pieces
    Py_ssize_t blocks           # of a piece
    Py_ssize_t scratch          # bytes that a thread needs
    Py_ssize_t grain            # units that it takes at a time
    Py_ssize_t band             # tiles side by side, of which each writes BAND_ROWS rows in turn; 1: each alone


cdef struct Unit:
    # A row, or a tile.
    Bases bases
    Py_ssize_t columns          # up to as many as a unit is wide
    bint in_place
    bint out_in_place
    double *tops                # of the blocks of a draft


# Pieces are states, or results, of part of a reduction; several threads may do those of one unit.
cdef void reduce_piece(const Walk *walk, const Kernels *kernels, const Unit *unit, Py_ssize_t piece, State *state,
                       char *scratch) noexcept nogil
cdef void write_piece(const Walk *walk, const Unit *unit, Py_ssize_t piece, const State *state,
                      char *scratch) noexcept nogil
cdef void finish(const Walk *walk, const Unit *unit, State *state) noexcept nogil
cdef void walk_unit(const Walk *walk, const Unit *unit, char *scratch) noexcept nogil
cdef void walk_band(const Walk *walk, const Unit *units, Py_ssize_t n, State *states, char *scratch) noexcept nogil


cdef inline const Kernels *first_kernels(const Plan *plan) noexcept nogil:
    """Those that reduce: states that are left for a later walk cannot be reduced again when they are in doubt."""
    return plan.kernels.mergeable if plan.passes == FIRST and plan.kernels.mergeable != NULL else plan.kernels


cdef inline bint is_doubtful(const Plan *plan, const Unit *unit, const State *state) noexcept nogil:
    return plan.passes == BOTH and plan.kernels.needs_exact != NULL and plan.kernels.needs_exact(state, unit.columns)


cdef inline void take_state(const Walk *walk, const Unit *unit, State *state) noexcept nogil:
    """What an earlier walk has left."""
    unpack(unit.bases.data[STATES], inner_stride(&walk.plan.kept, STATES), unit.columns, state)


cdef inline bint writes(const Plan *plan) noexcept nogil:
    """Whether there is a second pass."""
    return plan.kernels.write_row != NULL and plan.passes != FIRST
