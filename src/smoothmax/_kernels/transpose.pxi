# Transposing: short rows become columns of a tile, and the other way round.

cdef void transpose(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, real *out,
                    Py_ssize_t out_ld) noexcept nogil:
    """out[j, i] = x[i, j]; eight rows at a time, for as many streams as a processor follows."""
    cdef Py_ssize_t i, j, k
    for i in range(rows//8):
        for j in range(columns):
            for k in range(8):
                out[j*out_ld + k] = x[k*ld + j]
        x += 8*ld
        out += 8
    for i in range(rows % 8):
        for j in range(columns):
            out[j*out_ld + i] = x[i*ld + j]


cdef void transpose_back(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, real *out,
                         Py_ssize_t out_ld) noexcept nogil:
    """out[j, i] = x[i, j]; eight columns at a time."""
    cdef Py_ssize_t i, j, k
    for j in range(columns//8):
        for i in range(rows):
            for k in range(8):
                out[k*out_ld + i] = x[i*ld + k]
        x += 8
        out += 8*out_ld
    for j in range(columns % 8):
        for i in range(rows):
            out[j*out_ld + i] = x[i*ld + j]
