"""The functions of the C interface, and the capsule with their table, which include/smoothmax.h declares.

Pointers, lengths and strides come from C unchecked, except that there may be no elements. Every function enters the
standard floating-point environment, as calls from Python do, and leaves no floating-point flag behind.
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport INFINITY
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport uintptr_t
from libc.string cimport memcpy

from smoothmax._kernels.dispatch cimport kernels_of, number_f32_of, number_f64_of
from smoothmax._kernels.environment cimport Environment, enter_environment, leave_environment
from smoothmax._kernels.interface cimport (
    ELEMENTWISE_OPERATIONS, LOG1MEXP, LOG1PEXP, LOGADDEXP, LOGSUBEXP, LOGSUMEXP, LOG_EXPIT, LOG_SOFTMAX, OPERATIONS,
    SOFTMAX, Elementwise, Kernels, NumberF32, NumberF64, Operation,
)
from smoothmax._schedule.packed cimport Packed, clear_packed
from smoothmax._schedule.strided cimport (
    Row, absorb_strided, finish_packed, merge_packed, reduce_strided, transform_strided,
)

cdef extern from * nogil:
    "#define SMOOTHMAX_BUILDS_ITSELF"

cdef extern from "smoothmax.h" nogil:
    int SMOOTHMAX_C_VERSION
    ctypedef struct PartialF64 "smoothmax_partial_sum_f64":
        pass
    ctypedef struct PartialF32 "smoothmax_partial_sum_f32":
        pass
    ctypedef struct Functions "smoothmax_functions":
        int version
        double (*logsumexp_f64)(const double *, ptrdiff_t, ptrdiff_t) noexcept nogil
        float (*logsumexp_f32)(const float *, ptrdiff_t, ptrdiff_t) noexcept nogil
        void (*softmax_f64)(const double *, ptrdiff_t, ptrdiff_t, double *, ptrdiff_t) noexcept nogil
        void (*softmax_f32)(const float *, ptrdiff_t, ptrdiff_t, float *, ptrdiff_t) noexcept nogil
        void (*log_softmax_f64)(const double *, ptrdiff_t, ptrdiff_t, double *, ptrdiff_t) noexcept nogil
        void (*log_softmax_f32)(const float *, ptrdiff_t, ptrdiff_t, float *, ptrdiff_t) noexcept nogil
        double (*logaddexp_f64)(double, double) noexcept nogil
        float (*logaddexp_f32)(float, float) noexcept nogil
        double (*logsubexp_f64)(double, double) noexcept nogil
        float (*logsubexp_f32)(float, float) noexcept nogil
        double (*log1mexp_f64)(double) noexcept nogil
        float (*log1mexp_f32)(float) noexcept nogil
        double (*log1pexp_f64)(double) noexcept nogil
        float (*log1pexp_f32)(float) noexcept nogil
        double (*log_expit_f64)(double) noexcept nogil
        float (*log_expit_f32)(float) noexcept nogil
        void (*partial_sum_init_f64)(PartialF64 *) noexcept nogil
        void (*partial_sum_init_f32)(PartialF32 *) noexcept nogil
        void (*partial_sum_absorb_f64)(PartialF64 *, const double *, ptrdiff_t, ptrdiff_t) noexcept nogil
        void (*partial_sum_absorb_f32)(PartialF32 *, const float *, ptrdiff_t, ptrdiff_t) noexcept nogil
        void (*partial_sum_merge_f64)(PartialF64 *, const PartialF64 *) noexcept nogil
        void (*partial_sum_merge_f32)(PartialF32 *, const PartialF32 *) noexcept nogil
        double (*partial_sum_result_f64)(const PartialF64 *) noexcept nogil
        float (*partial_sum_result_f32)(const PartialF32 *) noexcept nogil

ctypedef fused real:
    float
    double

ctypedef fused partial:
    PartialF32
    PartialF64

# The kernels of float32 and of float64. They do not change after import.
cdef const Kernels *KERNELS[2][OPERATIONS]
cdef NumberF32 NUMBERS_F32[ELEMENTWISE_OPERATIONS]
cdef NumberF64 NUMBERS_F64[ELEMENTWISE_OPERATIONS]


cdef inline const Kernels *kernels_for(Operation operation, const real *_) noexcept nogil:
    return KERNELS[sizeof(real) == sizeof(double)][<int>operation]


cdef inline Row row_of(const real *x, ptrdiff_t n, ptrdiff_t stride) noexcept nogil:
    return Row(<char *>x, n, stride*<Py_ssize_t>sizeof(real), sizeof(real))


# Whole rows -----------------------------------------------------------------------------------------------------------

cdef inline real reduce(Operation operation, const real *x, ptrdiff_t n, ptrdiff_t stride) noexcept nogil:
    cdef Environment environment
    cdef Row row
    cdef real result
    if n <= 0:
        return -INFINITY
    row = row_of(x, n, stride)
    enter_environment(&environment)
    reduce_strided(kernels_for(operation, x), &row, &result)
    leave_environment(&environment)
    return result


cdef inline void transform_row(Operation operation, const real *x, ptrdiff_t n, ptrdiff_t stride, real *out,
                               ptrdiff_t out_stride) noexcept nogil:
    cdef Environment environment
    cdef Row row, results
    if n <= 0:
        return
    row, results = row_of(x, n, stride), row_of(out, n, out_stride)
    enter_environment(&environment)
    transform_strided(kernels_for(operation, x), &row, &results)
    leave_environment(&environment)


cdef real logsumexp(const real *x, ptrdiff_t n, ptrdiff_t stride) noexcept nogil:
    return reduce(LOGSUMEXP, x, n, stride)


cdef void softmax(const real *x, ptrdiff_t n, ptrdiff_t stride, real *out, ptrdiff_t out_stride) noexcept nogil:
    transform_row(SOFTMAX, x, n, stride, out, out_stride)


cdef void log_softmax(const real *x, ptrdiff_t n, ptrdiff_t stride, real *out, ptrdiff_t out_stride) noexcept nogil:
    transform_row(LOG_SOFTMAX, x, n, stride, out, out_stride)


# Numbers --------------------------------------------------------------------------------------------------------------

cdef inline real combine(Elementwise operation, real x1, real x2) noexcept nogil:
    cdef Environment environment
    cdef real result
    enter_environment(&environment)
    if real is float:
        result = NUMBERS_F32[<int>operation](x1, x2)
    else:
        result = NUMBERS_F64[<int>operation](x1, x2)
    leave_environment(&environment)
    return result


cdef real logaddexp(real x1, real x2) noexcept nogil:
    return combine(LOGADDEXP, x1, x2)


cdef real logsubexp(real x1, real x2) noexcept nogil:
    return combine(LOGSUBEXP, x1, x2)


cdef real log1mexp(real x) noexcept nogil:
    return combine(LOG1MEXP, x, x)


cdef real log1pexp(real x) noexcept nogil:
    return combine(LOG1PEXP, x, x)


cdef real log_expit(real x) noexcept nogil:
    return combine(LOG_EXPIT, x, x)


# Partial sums ---------------------------------------------------------------------------------------------------------
#
# Each is a partial sum as in smoothmax.LogSumExp. The C structs have the size of a Packed, and C code does not read
# them.

cdef inline const Kernels *kernels_of_sum(const partial *_) noexcept nogil:
    return KERNELS[partial is PartialF64][<int>LOGSUMEXP]


cdef void init(partial *sum) noexcept nogil:
    cdef Packed packed
    clear_packed(&packed)
    memcpy(sum, &packed, sizeof(Packed))


cdef void absorb(partial *sum, const real *x, ptrdiff_t n, ptrdiff_t stride) noexcept nogil:
    cdef Environment environment
    cdef Row row
    cdef Packed packed
    if n <= 0:
        return
    row = row_of(x, n, stride)
    memcpy(&packed, sum, sizeof(Packed))
    enter_environment(&environment)
    absorb_strided(kernels_of_sum(sum).mergeable, &packed, &row)
    leave_environment(&environment)
    memcpy(sum, &packed, sizeof(Packed))


cdef void merge_partials(partial *sum, const partial *other) noexcept nogil:
    cdef Environment environment
    cdef Packed packed, added
    memcpy(&packed, sum, sizeof(Packed))
    memcpy(&added, other, sizeof(Packed))
    enter_environment(&environment)
    merge_packed(kernels_of_sum(sum), &packed, &added)
    leave_environment(&environment)
    memcpy(sum, &packed, sizeof(Packed))


cdef inline void finish_partial(const partial *sum, void *result) noexcept nogil:
    cdef Environment environment
    cdef Packed packed
    memcpy(&packed, sum, sizeof(Packed))
    enter_environment(&environment)
    finish_packed(kernels_of_sum(sum), &packed, result)
    leave_environment(&environment)


cdef double result_f64(const PartialF64 *sum) noexcept nogil:
    cdef double result
    finish_partial(sum, &result)
    return result


cdef float result_f32(const PartialF32 *sum) noexcept nogil:
    cdef float result
    finish_partial(sum, &result)
    return result


# The table ------------------------------------------------------------------------------------------------------------

cdef void take_kernels() noexcept:
    cdef int operation, doubles
    for doubles in range(2):
        for operation in range(<int>OPERATIONS):
            KERNELS[doubles][operation] = kernels_of(<Operation>operation, doubles)
    for operation in range(<int>ELEMENTWISE_OPERATIONS):
        NUMBERS_F32[operation] = number_f32_of(<Elementwise>operation)
        NUMBERS_F64[operation] = number_f64_of(<Elementwise>operation)


cdef Functions TABLE
take_kernels()
TABLE.version = SMOOTHMAX_C_VERSION
TABLE.logsumexp_f64, TABLE.logsumexp_f32 = logsumexp[double], logsumexp[float]
TABLE.softmax_f64, TABLE.softmax_f32 = softmax[double], softmax[float]
TABLE.log_softmax_f64, TABLE.log_softmax_f32 = log_softmax[double], log_softmax[float]
TABLE.logaddexp_f64, TABLE.logaddexp_f32 = logaddexp[double], logaddexp[float]
TABLE.logsubexp_f64, TABLE.logsubexp_f32 = logsubexp[double], logsubexp[float]
TABLE.log1mexp_f64, TABLE.log1mexp_f32 = log1mexp[double], log1mexp[float]
TABLE.log1pexp_f64, TABLE.log1pexp_f32 = log1pexp[double], log1pexp[float]
TABLE.log_expit_f64, TABLE.log_expit_f32 = log_expit[double], log_expit[float]
TABLE.partial_sum_init_f64, TABLE.partial_sum_init_f32 = init[PartialF64], init[PartialF32]
TABLE.partial_sum_absorb_f64, TABLE.partial_sum_absorb_f32 = absorb[PartialF64, double], absorb[PartialF32, float]
TABLE.partial_sum_merge_f64, TABLE.partial_sum_merge_f32 = merge_partials[PartialF64], merge_partials[PartialF32]
TABLE.partial_sum_result_f64, TABLE.partial_sum_result_f32 = result_f64, result_f32
_C_API = PyCapsule_New(&TABLE, "smoothmax._C_API", NULL)


def addresses():
    """The addresses of the functions by their C names."""
    return {
        "smoothmax_logsumexp_f64": <uintptr_t>TABLE.logsumexp_f64,
        "smoothmax_logsumexp_f32": <uintptr_t>TABLE.logsumexp_f32,
        "smoothmax_softmax_f64": <uintptr_t>TABLE.softmax_f64,
        "smoothmax_softmax_f32": <uintptr_t>TABLE.softmax_f32,
        "smoothmax_log_softmax_f64": <uintptr_t>TABLE.log_softmax_f64,
        "smoothmax_log_softmax_f32": <uintptr_t>TABLE.log_softmax_f32,
        "smoothmax_logaddexp_f64": <uintptr_t>TABLE.logaddexp_f64,
        "smoothmax_logaddexp_f32": <uintptr_t>TABLE.logaddexp_f32,
        "smoothmax_logsubexp_f64": <uintptr_t>TABLE.logsubexp_f64,
        "smoothmax_logsubexp_f32": <uintptr_t>TABLE.logsubexp_f32,
        "smoothmax_log1mexp_f64": <uintptr_t>TABLE.log1mexp_f64,
        "smoothmax_log1mexp_f32": <uintptr_t>TABLE.log1mexp_f32,
        "smoothmax_log1pexp_f64": <uintptr_t>TABLE.log1pexp_f64,
        "smoothmax_log1pexp_f32": <uintptr_t>TABLE.log1pexp_f32,
        "smoothmax_log_expit_f64": <uintptr_t>TABLE.log_expit_f64,
        "smoothmax_log_expit_f32": <uintptr_t>TABLE.log_expit_f32,
        "smoothmax_partial_sum_init_f64": <uintptr_t>TABLE.partial_sum_init_f64,
        "smoothmax_partial_sum_init_f32": <uintptr_t>TABLE.partial_sum_init_f32,
        "smoothmax_partial_sum_absorb_f64": <uintptr_t>TABLE.partial_sum_absorb_f64,
        "smoothmax_partial_sum_absorb_f32": <uintptr_t>TABLE.partial_sum_absorb_f32,
        "smoothmax_partial_sum_merge_f64": <uintptr_t>TABLE.partial_sum_merge_f64,
        "smoothmax_partial_sum_merge_f32": <uintptr_t>TABLE.partial_sum_merge_f32,
        "smoothmax_partial_sum_result_f64": <uintptr_t>TABLE.partial_sum_result_f64,
        "smoothmax_partial_sum_result_f32": <uintptr_t>TABLE.partial_sum_result_f32,
    }
