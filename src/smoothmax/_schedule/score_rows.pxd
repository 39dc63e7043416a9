# A call that scores rows of logits: its description, the rows that a thread takes at a time, and the thread's memory.

from smoothmax._kernels.interface cimport Candidate, ScoreKernels, State
from smoothmax._schedule.candidates cimport Best
from smoothmax._schedule.feed cimport away_of_elements
from smoothmax._schedule.packed cimport Packed
from smoothmax._schedule.plan cimport ELEMENTS, Bases, Plan, are_neighbours
from smoothmax._schedule.route cimport RouteName
from smoothmax._thresholds cimport SCORE_ROWS, SCORE_STAGED_STRIDE_BYTES


cdef enum Scoring:
    TOP         # RESULT takes the k largest log-probabilities of each row, INDICES where they are
    DRAWS       # UNIFORM_NUMBERS has a number for each draw of each row, INDICES takes what it draws


cdef struct Scores:
    const Plan *plan            # of log_softmax, with one reduced axis; RESULT and INDICES have no strides along it
    const ScoreKernels *kernels
    Scoring scoring
    Py_ssize_t number           # how many results each row has; they are contiguous in both arrays
    Py_ssize_t result_bytes     # of an element of RESULT
    int undefined               # set to 1 if a row has no distribution to draw from; its indices are -1


cdef struct Division:
    # How rows are divided, and how many of them are taken at a time.
    RouteName route
    Py_ssize_t length           # elements of a row
    Py_ssize_t block            # elements of a block
    Py_ssize_t part             # elements of a piece or stretch with its own partial sum, and
    Py_ssize_t parts            # how many a row has
    bint in_place
    bint transposed             # neighbours in different rows are contiguous, and a kernel transposes them
    bint tiles                  # the route takes short rows as the columns of a tile
    Py_ssize_t rows             # how many rows are side by side
    Py_ssize_t across           # groups of rows along the innermost kept axis
    Py_ssize_t groups           # how many groups there are
    Py_ssize_t room             # candidates that a row may hold


cdef struct Row:
    Bases bases
    Packed sum                  # of the part so far,
    Packed total                # and of the parts before it
    Best best
    Packed *sums                # of stretches


cdef struct Space:
    # The memory of a thread: at most 1 MiB, except for the candidates of a large k.
    char *memory
    State *state
    State *total                # for merges
    char *elements              # staged, a block of each row
    char *maxima                # of the groups of a block (see TOP_GROUP_ROWS)
    char *values                # log-probabilities, or exponentials of a block
    Candidate *held
    Candidate *fresh
    Packed *sums                # of stretches of each row, or of blocks of a stretch
    double *cumulative          # over stretches,
    double *of_blocks           # over blocks of a stretch,
    double *of_lanes            # over rows of lanes,
    double *running             # and along each row of lanes, if there are enough draws to need all of them
    Bases tile_bases            # of a tile:
    char *tile                  # its elements,
    char *of_tile               # their log-probabilities or exponentials,
    char *best                  # the largest log-probabilities
    char *places                # and where they are
    Row rows[SCORE_ROWS]


cdef void divide_rows(const Scores *scores, Division *division) noexcept nogil
cdef bint allocate_space(const Scores *scores, const Division *division, Space *space) noexcept nogil
cdef Py_ssize_t take_rows(const Scores *scores, const Division *division, Space *space,
                          Py_ssize_t group) noexcept nogil
cdef Py_ssize_t stage_columns(const Scores *scores, const Division *division, Space *space,
                              Py_ssize_t group) noexcept nogil
cdef double stage_block(const Scores *scores, const Division *division, Space *space, Py_ssize_t row, Py_ssize_t rows,
                        Py_ssize_t first, Py_ssize_t n) noexcept nogil


cdef inline Py_ssize_t upwards(Py_ssize_t n, Py_ssize_t by) noexcept nogil:
    return (n + by - 1)//by


cdef inline const char *block_of(const Scores *scores, const Division *division, Space *space, Py_ssize_t row,
                                 Py_ssize_t first) noexcept nogil:
    """Where kernels find a block: in the array, or where it was staged."""
    if division.in_place:
        return space.rows[row].bases.data[ELEMENTS] + first*scores.plan.itemsize
    return space.elements + row*SCORE_STAGED_STRIDE_BYTES


cdef inline Py_ssize_t away_of_scores(const Scores *scores, const Division *division, Space *space, Py_ssize_t row,
                                      Py_ssize_t first, Py_ssize_t n) noexcept nogil:
    """State.away for a block; 0 if it is read where it lies, or its elements are not neighbours."""
    if division.in_place or division.rows > 1 or not are_neighbours(scores.plan, &scores.plan.reduced, ELEMENTS):
        return 0
    return away_of_elements(scores.plan, space.rows[row].bases.data[ELEMENTS]
                            + first*scores.plan.element_bytes[ELEMENTS], n, space.elements)


cdef inline void add_elements(const Scores *scores, Space *space, const char *elements, Py_ssize_t n,
                              double largest) noexcept nogil:
    """Add a block to the sum in space.state; `largest` is its largest element, or nan if nobody looked for it."""
    if largest == largest:
        scores.plan.kernels.reduce_block(space.state, elements, n, largest)
    else:
        scores.plan.kernels.reduce_row(space.state, elements, NULL, n)


cdef inline double number_at(const char *values, Py_ssize_t i, Py_ssize_t itemsize) noexcept nogil:
    return (<const double *>values)[i] if itemsize == sizeof(double) else (<const float *>values)[i]


cdef inline void put_number(char *values, Py_ssize_t i, Py_ssize_t itemsize, double value) noexcept nogil:
    if itemsize == sizeof(double):
        (<double *>values)[i] = value
    else:
        (<float *>values)[i] = <float>value
