# Masks: another value takes the place of elements that do not take part.

cdef inline real chosen(real x, unsigned char mask, real fill) noexcept nogil:
    """x, or `fill` if the mask, 0 or 1, is 0. By bits: a choice between doubles by a byte does not vectorise."""
    cdef uint32_t x32, fill32, m32 = mask
    cdef uint64_t x64, fill64, m64 = mask
    if real is float:
        memcpy(&x32, &x, 4)
        memcpy(&fill32, &fill, 4)
        x32 = (x32 & (0 - m32)) | (fill32 & (m32 - 1))
        memcpy(&x, &x32, 4)
    else:
        memcpy(&x64, &x, 8)
        memcpy(&fill64, &fill, 8)
        x64 = (x64 & (0 - m64)) | (fill64 & (m64 - 1))
        memcpy(&x, &x64, 8)
    return x


cdef void select(const real *x, const unsigned char *mask, Py_ssize_t n, real fill, real *out) noexcept nogil:
    """out[i] is x[i], or `fill` where mask[i], 0 or 1, is 0; both may be the same memory."""
    cdef Py_ssize_t i, j, rest = n % LANES
    cdef real y[LANES]
    for i in range(n//LANES):
        for j in range(LANES):
            y[j] = chosen(x[j], mask[j], fill)
        for j in range(LANES):
            out[j] = y[j]
        x += LANES
        mask += LANES
        out += LANES
    for i in range(rest):
        out[i] = chosen(x[i], mask[i], fill)


cdef void select_f32(const void *x, const void *mask, Py_ssize_t n, double fill, void *out) noexcept nogil:
    select(<const float *>x, <const unsigned char *>mask, n, <float>fill, <float *>out)


cdef void select_f64(const void *x, const void *mask, Py_ssize_t n, double fill, void *out) noexcept nogil:
    select(<const double *>x, <const unsigned char *>mask, n, fill, <double *>out)
