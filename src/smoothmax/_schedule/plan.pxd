# A plan says where the arrays of a call lie, which axes are reduced, and which operation computes the results. It holds
# no Python objects, so that it can be walked without the GIL.

from smoothmax._kernels.interface cimport (
    ONE_ADDEND_A_ROW, ONE_ADDEND_EACH, Addends, ByteOrder, CorrectHalves, DataKernels, DraftRow, FusedHalves,
    JointRow, Kernels, Load, LoadLargest, LoadLines, LoadRows, ReduceHalves, ReduceRow, Store, StoreLines, StoreRows,
    WriteHalves, WriteRow,
)

cdef enum:
    MAX_DIMENSIONS = 64     # as NumPy has


cdef enum:
    # The arrays of a call, each broadcast to the shape of the elements.
    ELEMENTS
    WEIGHTS
    MASK
    RESULT
    UNIFORM_NUMBERS = RESULT    # of categorical: one for each draw, which overwrites it
    VALUE                       # a number for each reduction, in calls that also have a result for each element
    INDICES = VALUE             # of top_log_probs and categorical: where the elements lie in their rows; Py_ssize_t
    SIGN
    TARGET                      # the class of each reduction, negative for none; Py_ssize_t
    FACTORS                     # numbers that multiply the weights; or,
    UNIFORM_WEIGHTS = FACTORS   # where UNIFORM_LOGSUMEXP has no weights of elements, one weight for each reduction
    ADDENDS                     # numbers that are added to the elements
    STATES                      # the partial sum of each reduction, see packed.pxd
    ROLES


cdef enum Passes:
    # A walk can stop after the first pass and store the partial sums. A later walk then makes the second pass.
    BOTH
    FIRST
    SECOND


cdef struct Axes:
    # The reduced axes of a call, or all others (`kept`). The innermost axis, with the smallest stride of the elements,
    # comes first. Strides are in bytes.
    int ndim
    Py_ssize_t shape[MAX_DIMENSIONS]
    Py_ssize_t stride[ROLES][MAX_DIMENSIONS]


cdef struct Plan:
    const Kernels *kernels
    const DataKernels *data_kernels
    Passes passes
    double fill                 # the result at a masked element
    Py_ssize_t itemsize         # of the type that the kernels compute in
    char *data[ROLES]           # NULL where the call has no such array
    Py_ssize_t element_bytes[ROLES]         # of an element of the array
    bint direct[ROLES]          # kernels can read the elements: native, aligned, of the type they compute in
    ByteOrder order[ROLES]      # of the elements
    bint converted              # the type of the input is not the type that the kernels compute in
    Load load
    LoadLargest load_largest    # the same for neighbours, and their largest element; NULL if elements are no halves
    # Kernels that take halves where they lie, and write results of the same half type; NULL for other types.
    ReduceHalves reduce_halves
    JointRow joint_halves
    FusedHalves fused_halves
    WriteHalves write_halves
    DraftRow draft_halves
    CorrectHalves correct_halves
    # Kernels of rows whose elements, weights and results are halves of one type; NULL for other types.
    ReduceRow reduce_two_halves
    WriteRow write_two_halves
    LoadRows load_rows          # of a tile, if elements are halves; otherwise NULL
    LoadLines load_lines        # the same, of a tile whose columns are contiguous in the array
    LoadRows load_weight_rows   # the same for weights
    LoadLines load_weight_lines
    StoreRows store_rows        # if results are
    StoreLines store_lines
    Load load_weights
    Load load_factors
    Load load_addends
    Store store
    Store store_value
    Store store_sign
    bint adjusted               # results are those of element*element_scale + addend
    double element_scale
    bint blended                # the weights are (given*scale + offset)*factors
    double scale, scale_low
    double offset, offset_low
    # Losses. The element of class t lies first_class + t*class_stride bytes from the first element of its reduction.
    bint is_loss
    Py_ssize_t first_class[ROLES]
    Py_ssize_t class_stride[ROLES]
    const double *class_weights             # NULL: all are 1
    # The walk sets this to 1 if it meets a number that it cannot take: a target that is no class, or a weight of
    # UNIFORM_LOGSUMEXP that is not finite. It is NULL if the targets have been checked before, or if results with such
    # weights are not to be written.
    int *wrong
    double hard, hard_low
    double soft, soft_low
    double denominator                      # of gradients
    Axes kept
    Axes reduced


cdef struct Bases:
    # The first element of one reduction, or of the first of several side by side, in each array.
    char *data[ROLES]


cdef struct Cursor:
    const Axes *axes
    int first                   # the innermost axis that the cursor moves along
    Py_ssize_t index[MAX_DIMENSIONS]
    Py_ssize_t offset[ROLES]
    Py_ssize_t left             # positions still to come, including this one


cdef inline void start(Cursor *cursor, const Axes *axes, int first, Py_ssize_t position, Py_ssize_t n) noexcept nogil:
    """Set a cursor to a position, to move along the axes from `first` on for n positions."""
    cdef int i, role
    cursor.axes = axes
    cursor.first = first
    cursor.left = n
    for role in range(ROLES):
        cursor.offset[role] = 0
    for i in range(first, axes.ndim):
        cursor.index[i] = 0
        if position:
            cursor.index[i] = position % axes.shape[i]
            position //= axes.shape[i]
            for role in range(ROLES):
                cursor.offset[role] += cursor.index[i]*axes.stride[role][i]


cdef inline void advance(Cursor *cursor, Py_ssize_t steps) noexcept nogil:
    """Move `steps` positions along the innermost axis, at most to its end. At the end the next axis moves by one."""
    cdef const Axes *axes = cursor.axes
    cdef int i, role
    cursor.left -= steps
    if cursor.left == 0:
        return
    for i in range(cursor.first, axes.ndim):
        cursor.index[i] += steps
        for role in range(ROLES):
            cursor.offset[role] += steps*axes.stride[role][i]
        if cursor.index[i] < axes.shape[i]:
            return
        for role in range(ROLES):
            cursor.offset[role] -= axes.shape[i]*axes.stride[role][i]
        cursor.index[i] = 0
        steps = 1


cdef inline void copy_cursor(Cursor *cursor, const Cursor *other) noexcept nogil:
    """Copy only the axes in use. Copying all 64 takes 0.2 us, as long as a small tile (P26)."""
    cdef int i, role
    cursor.axes, cursor.first, cursor.left = other.axes, other.first, other.left
    for i in range(other.axes.ndim):
        cursor.index[i] = other.index[i]
    for role in range(ROLES):
        cursor.offset[role] = other.offset[role]


cdef inline Py_ssize_t contiguous(const Cursor *cursor, Py_ssize_t limit) noexcept nogil:
    """The number of positions before the end of the innermost axis, at most `limit`."""
    return min(cursor.axes.shape[0] - cursor.index[0], limit) if cursor.axes.ndim else 1


cdef inline Py_ssize_t count(const Axes *axes, int first) noexcept nogil:
    """The number of positions along the axes from `first` on."""
    cdef Py_ssize_t total = 1
    cdef int i
    for i in range(first, axes.ndim):
        total *= axes.shape[i]
    return total


cdef inline Py_ssize_t inner_shape(const Axes *axes) noexcept nogil:
    return axes.shape[0] if axes.ndim else 1


cdef inline Py_ssize_t inner_stride(const Axes *axes, int role) noexcept nogil:
    return axes.stride[role][0] if axes.ndim else 0


cdef inline Py_ssize_t size_of_stride(Py_ssize_t stride) noexcept nogil:
    return -stride if stride < 0 else stride


cdef inline Addends addends_of(Py_ssize_t stride) noexcept nogil:
    """Whether each element of a row has its own addend, which follows from the stride of the addends."""
    return ONE_ADDEND_A_ROW if stride == 0 else ONE_ADDEND_EACH


cdef inline bint is_contiguous(const Plan *plan, const Axes *axes, int role) noexcept nogil:
    """Whether kernels can read the innermost axis of an array where it lies, or the call has no such array."""
    return plan.data[role] == NULL or (
        plan.direct[role] and (inner_shape(axes) == 1 or inner_stride(axes, role) == plan.itemsize))


cdef inline bint are_neighbours(const Plan *plan, const Axes *axes, int role) noexcept nogil:
    """Whether the elements along the innermost axis lie side by side in an array, whatever their type."""
    return inner_shape(axes) == 1 or inner_stride(axes, role) == plan.element_bytes[role]


cdef inline bint loads_largest(const Plan *plan) noexcept nogil:
    """Whether the largest element of a row is found while it is staged, because it only needs to be converted."""
    return (plan.load_largest != NULL and not plan.adjusted and plan.data[MASK] == NULL and plan.data[WEIGHTS] == NULL
            and are_neighbours(plan, &plan.reduced, ELEMENTS))


cdef inline bint reads_halves(const Plan *plan) noexcept nogil:
    """Whether a row of halves can be reduced without the scratch, in one stretch."""
    return plan.reduce_halves != NULL and plan.reduced.ndim <= 1 and loads_largest(plan)


cdef inline bint writes_halves(const Plan *plan) noexcept nogil:
    """Whether a row of halves can be written without the scratch."""
    return plan.write_halves != NULL and loads_largest(plan) and are_neighbours(plan, &plan.reduced, RESULT)


cdef inline bint takes_two_halves(const Plan *plan) noexcept nogil:
    """Whether rows of elements, weights and results that are halves need no scratch."""
    return (plan.reduce_two_halves != NULL and plan.reduced.ndim <= 1 and are_neighbours(plan, &plan.reduced, ELEMENTS)
            and are_neighbours(plan, &plan.reduced, WEIGHTS) and are_neighbours(plan, &plan.reduced, RESULT))


cdef inline bint fuses_halves(const Plan *plan) noexcept nogil:
    """Whether a row of halves of at most one block needs no scratch."""
    return reads_halves(plan) and (plan.kernels.write_row == NULL or writes_halves(plan))


cdef inline bint has_one_row_of_weights(const Plan *plan) noexcept nogil:
    """Whether the weights are the same along the reduced axis."""
    return plan.reduced.stride[<int>WEIGHTS][0] == 0


cdef inline bint has_one_weight_a_row(const Plan *plan) noexcept nogil:
    """Whether the weights are the same along the innermost kept axis, but differ along the reduced axis."""
    return inner_stride(&plan.kept, WEIGHTS) == 0 and not has_one_row_of_weights(plan)


cdef inline bint writes(const Plan *plan) noexcept nogil:
    """Whether the walk makes a second pass, which writes a result for each element."""
    return plan.kernels.write_row != NULL and plan.passes != FIRST


cdef inline void bases_at(Bases *bases, const Plan *plan, const Cursor *cursor) noexcept nogil:
    cdef int role
    for role in range(ROLES):
        bases.data[role] = plan.data[role] + cursor.offset[role] if plan.data[role] != NULL else NULL


cdef inline char *place(const Bases *bases, const Cursor *cursor, int role) noexcept nogil:
    return bases.data[role] + cursor.offset[role] if bases.data[role] != NULL else NULL
