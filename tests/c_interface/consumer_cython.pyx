# cython: language_level=3
"""A Cython module that uses smoothmax.pxd: functions of rows without the GIL, and a partial sum in an object."""

cimport smoothmax
from smoothmax cimport (
    smoothmax_logsumexp_f32, smoothmax_logsumexp_f64, smoothmax_partial_sum_absorb_f64, smoothmax_partial_sum_f64,
    smoothmax_partial_sum_init_f64, smoothmax_partial_sum_merge_f64, smoothmax_partial_sum_result_f64,
    smoothmax_softmax_f64,
)

smoothmax.import_smoothmax()
VERSION = smoothmax.SMOOTHMAX_C_VERSION


def logsumexp(double[:] x):
    cdef double result
    with nogil:
        result = smoothmax_logsumexp_f64(&x[0], x.shape[0], x.strides[0]//<Py_ssize_t>sizeof(double))
    return result


def logsumexp_of_floats(float[:] x):
    return smoothmax_logsumexp_f32(&x[0], x.shape[0], x.strides[0]//<Py_ssize_t>sizeof(float))


def softmax(double[:] x, double[:] out):
    with nogil:
        smoothmax_softmax_f64(&x[0], x.shape[0], x.strides[0]//<Py_ssize_t>sizeof(double),
                              &out[0], out.strides[0]//<Py_ssize_t>sizeof(double))


cdef class Sum:
    cdef smoothmax_partial_sum_f64 sum

    def __cinit__(self):
        smoothmax_partial_sum_init_f64(&self.sum)

    def absorb(self, double[:] x):
        smoothmax_partial_sum_absorb_f64(&self.sum, &x[0], x.shape[0], x.strides[0]//<Py_ssize_t>sizeof(double))
        return self

    def merge(self, Sum other):
        smoothmax_partial_sum_merge_f64(&self.sum, &other.sum)
        return self

    def result(self):
        return smoothmax_partial_sum_result_f64(&self.sum)
