# A plan says where the elements of the arrays of a call lie, which of their axes are reduced, and by which kernels; and
# how to go along its axes. Knows no mathematics and no Python objects.

from smoothmax._kernels.interface cimport DataKernels, Kernels

# How elements of any supported type become the floats or doubles that kernels take, and results become elements.
ctypedef void (*Load)(const void *elements, Py_ssize_t stride, Py_ssize_t n, bint swapped, void *to) noexcept nogil
ctypedef void (*Store)(const void *values, Py_ssize_t n, void *elements, Py_ssize_t stride,
                       bint swapped) noexcept nogil


cdef enum:
    MAX_DIMENSIONS = 64


cdef enum:
    # The arrays of a call, all broadcast to the shape of the elements.
    ELEMENTS
    WEIGHTS
    MASK
    RESULT
    VALUE                       # of each reduction, where there is a result for each element too
    SIGN
    TARGET                      # the index of a class a reduction, less than 0 for none; Py_ssize_t
    FACTORS                     # of weights
    STATES                      # one for each reduction, see packed.pxd
    ROLES


cdef enum Passes:
    # What a walk does of a call: its first pass may leave the states that a later walk's second pass takes up.
    BOTH
    FIRST
    SECOND


cdef struct Axes:
    # Axes that are all reduced or all kept, innermost (of the smallest stride in the elements) first; strides in bytes.
    int ndim
    Py_ssize_t shape[MAX_DIMENSIONS]
    Py_ssize_t stride[ROLES][MAX_DIMENSIONS]


cdef struct Plan:
    const Kernels *kernels
    const DataKernels *data_kernels
    Passes passes
    double fill                 # what an element that a mask leaves out becomes in a result of the elements' shape
    Py_ssize_t itemsize         # of the type that kernels compute in
    char *data[ROLES]           # NULL for an array that the call does not have
    bint direct[ROLES]          # its elements are what kernels take: native, aligned, of that type
    bint swapped[ROLES]         # in byte order
    bint converted              # the elements are of another type than the kernels compute in
    Load load
    Load load_weights
    Load load_factors
    Store store
    Store store_value
    Store store_sign
    bint blended                # weights are those given times scale, plus offset, times factors
    double scale, scale_low
    double offset, offset_low
    # Losses. The element of class t is first_class + t*class_stride bytes from the first of its reduction.
    bint is_loss
    Py_ssize_t first_class[ROLES]
    Py_ssize_t class_stride[ROLES]
    const double *class_weights             # NULL: all 1
    int *wrong                              # becomes 1 where a target is no class; NULL where that has been checked
    double hard, hard_low
    double soft, soft_low
    double denominator                      # of gradients
    Axes kept
    Axes reduced


cdef struct Bases:
    # Where the elements of one reduction, or the first of several side by side, begin.
    char *data[ROLES]


cdef struct Cursor:
    const Axes *axes
    int first                   # the innermost of the axes that it goes along
    Py_ssize_t index[MAX_DIMENSIONS]
    Py_ssize_t offset[ROLES]
    Py_ssize_t left             # positions still to come, this one included


cdef inline void start(Cursor *cursor, const Axes *axes, int first, Py_ssize_t position, Py_ssize_t n) noexcept nogil:
    """At a position, to go along the axes from `first` on for n positions."""
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
    """`steps` positions along the innermost axis, at most to its end, and round into the next axes there."""
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
    """Of the axes that there are: all 64 took 0.2 us (2026-11), as long as a small tile."""
    cdef int i, role
    cursor.axes, cursor.first, cursor.left = other.axes, other.first, other.left
    for i in range(other.axes.ndim):
        cursor.index[i] = other.index[i]
    for role in range(ROLES):
        cursor.offset[role] = other.offset[role]


cdef inline Py_ssize_t lesser(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return a if a < b else b


cdef inline Py_ssize_t run_length(const Cursor *cursor, Py_ssize_t limit) noexcept nogil:
    """How many positions lie before the end of the innermost axis, `limit` at most."""
    return lesser(cursor.axes.shape[0] - cursor.index[0], limit) if cursor.axes.ndim else 1


cdef inline Py_ssize_t count(const Axes *axes, int first) noexcept nogil:
    """The positions along the axes from `first` on."""
    cdef Py_ssize_t total = 1
    cdef int i
    for i in range(first, axes.ndim):
        total *= axes.shape[i]
    return total


cdef inline Py_ssize_t inner_shape(const Axes *axes) noexcept nogil:
    return axes.shape[0] if axes.ndim else 1


cdef inline Py_ssize_t inner_stride(const Axes *axes, int role) noexcept nogil:
    return axes.stride[role][0] if axes.ndim else 0


cdef inline bint is_run(const Plan *plan, const Axes *axes, int role) noexcept nogil:
    """Whether kernels can take the innermost axis of an array where it lies; an array that is not there they can."""
    return plan.data[role] == NULL or (
        plan.direct[role] and (inner_shape(axes) == 1 or inner_stride(axes, role) == plan.itemsize))


cdef inline void bases_at(Bases *bases, const Plan *plan, const Cursor *cursor) noexcept nogil:
    cdef int role
    for role in range(ROLES):
        bases.data[role] = plan.data[role] + cursor.offset[role] if plan.data[role] != NULL else NULL
