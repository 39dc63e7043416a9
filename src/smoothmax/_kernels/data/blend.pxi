# The weights of a loss, made of probabilities, label smoothing and the weights of classes.

cdef void blend(real *b, const real *factors, Py_ssize_t n, double scale, double scale_low, double offset,
                double offset_low) noexcept nogil:
    """b becomes (b*scale + offset)*factors, rounded once."""
    cdef Py_ssize_t i
    cdef double product, value, error
    for i in range(n):
        product = b[i]*scale
        if real is float:
            b[i] = <float>((product + offset)*factors[i])
        else:
            value = two_sum(offset, product, &error)
            error += (product_error(b[i], scale, product) + b[i]*scale_low) + offset_low
            b[i] = multiplied(factors[i], value, error)
