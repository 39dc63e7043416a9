# Folding lanes into one: halves onto halves.

cdef inline void fold_max(real *top, Py_ssize_t half) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(half):
        top[j] = top[j + half] if top[j + half] > top[j] else top[j]


cdef inline void fold_sum(double *sums, double *carries, Py_ssize_t half, real _) noexcept nogil:
    """Of floats, doubles lose nothing that counts."""
    cdef Py_ssize_t j
    cdef double error
    for j in range(half):
        if real is float:
            sums[j] += sums[j + half]
        else:
            sums[j] = two_sum(sums[j], sums[j + half], &error)
            carries[j] += carries[j + half] + error


cdef inline real max_of_lanes(real *top) noexcept nogil:
    if real is float:
        fold_max(top, 16)
    fold_max(top, 8)
    fold_max(top, 4)
    fold_max(top, 2)
    fold_max(top, 1)
    return top[0]


cdef inline double sum_of_lanes(double *sums, const real *carries, double *carry) noexcept nogil:
    """The sum over the lanes, and in `carry` what rounding took from it; nothing of floats."""
    cdef Py_ssize_t j
    cdef double c[LANES]
    for j in range(lanes_of(carries)):
        if real is float:
            sums[j] += carries[j]
        else:
            c[j] = carries[j]
    if real is float:
        fold_sum(sums, c, 16, carries[0])
    fold_sum(sums, c, 8, carries[0])
    fold_sum(sums, c, 4, carries[0])
    fold_sum(sums, c, 2, carries[0])
    fold_sum(sums, c, 1, carries[0])
    if real is float:
        carry[0] = 0
        return sums[0]
    else:
        return two_sum(sums[0], c[0], carry)


cdef inline void fold_count(real *counts, Py_ssize_t half) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(half):
        counts[j] += counts[j + half]


cdef inline double count_of_lanes(real *counts) noexcept nogil:
    if real is float:
        fold_count(counts, 16)
    fold_count(counts, 8)
    fold_count(counts, 4)
    fold_count(counts, 2)
    fold_count(counts, 1)
    return counts[0]
