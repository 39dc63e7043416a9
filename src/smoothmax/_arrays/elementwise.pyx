"""NumPy ufuncs of the elementwise operations: their loops bring operands of any type and stride to the kernels.

NumPy hands a loop aligned, native elements. Kernels read contiguous elements of their types where they lie; others go
through blocks on the stack. The loops leave no floating-point flags, so no call warns.

Loops run without the GIL. A loop over many elements takes it for a moment, to ask how many threads may share them.
"""

cimport numpy as cnp
import numpy as np
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject

from smoothmax._arrays.elements cimport loader, storer
from smoothmax._kernels.dispatch cimport elementwise_of
from smoothmax._kernels.environment cimport (
    Environment, WholeEnvironment, enter_environment, enter_whole_environment, leave_whole_environment,
    leave_without_flags,
)
from smoothmax._kernels.interface cimport (
    ELEMENTWISE_OPERATIONS, LOG1MEXP, LOG1PEXP, LOGADDEXP, LOGSUBEXP, LOG_EXPIT, NATIVE, Elementwise, ElementwiseRow,
    Load, Store,
)
from smoothmax._schedule.pool cimport Queue, enlarge_pool, share_among, take
from smoothmax._schedule.threads cimport threads_of_caller
from smoothmax._thresholds cimport ELEMENTWISE_BLOCK_ELEMENTS, SHARE_GRAIN_ELEMENTS, SHARE_MIN_BYTES

cnp.import_array()
cnp.import_ufunc()

include "longdouble.pxi"

cdef extern from *:
    """
    #include <numpy/ufuncobject.h>
    /* PyUFunc_TypeResolutionFunc, with other types for the elements of the arrays. */
    typedef int (*smoothmax_resolver)(PyUFuncObject *, NPY_CASTING, PyObject **, PyObject *, PyObject **);
    static smoothmax_resolver smoothmax_set_resolver(PyObject *ufunc, smoothmax_resolver resolver) {
        PyUFunc_TypeResolutionFunc **place = &((PyUFuncObject *)ufunc)->type_resolver;
        smoothmax_resolver before = (smoothmax_resolver)*place;
        *place = (PyUFunc_TypeResolutionFunc *)resolver;
        return before;
    }
    """
    ctypedef struct PyUFuncObject:
        int nin, nargs
    ctypedef int (*Resolver "smoothmax_resolver")(PyUFuncObject *ufunc, cnp.NPY_CASTING casting, PyObject **operands,
                                                  PyObject *type_tuple, PyObject **dtypes) except -1
    Resolver set_resolver "smoothmax_set_resolver"(object ufunc, Resolver resolver)
    enum:
        PyUFunc_IdentityValue
        PyUFunc_None
    object PyUFunc_FromFuncAndDataAndSignatureAndIdentity(
        cnp.PyUFuncGenericFunction *functions, void **data, char *types, int ntypes, int nin, int nout, int identity,
        const char *name, const char *doc, int unused, const char *signature, object identity_value)

cdef extern from "Python.h":
    int Py_AddPendingCall(int (*function)(void *) except -1, void *argument)

cdef enum:
    MAX_OPERANDS = 2
    LOOPS = 4

# The types of operands and results, in the order in which NumPy searches for one that all operands can be cast to.
cdef int[LOOPS] TYPES = [cnp.NPY_FLOAT16, cnp.NPY_FLOAT32, cnp.NPY_FLOAT64, cnp.NPY_LONGDOUBLE]


cdef struct Loop:
    # The functions that compute elements of one type.
    int operands
    bint direct                 # the elements are floats or doubles already
    Py_ssize_t size             # of an element in the type of the computation
    ElementwiseRow row
    Load load
    Store store
    LongDoubleFormula formula   # for longdouble, which uses none of the fields above but `operands`


cdef struct Ufunc:
    # The memory that a ufunc refers to.
    Loop loops[LOOPS]
    void *data[LOOPS]
    cnp.PyUFuncGenericFunction functions[LOOPS]
    char types[LOOPS*(MAX_OPERANDS + 1)]


cdef Ufunc[ELEMENTWISE_OPERATIONS] UFUNCS, STAND_INS
cdef list TEXTS = []                      # names and docstrings that ufuncs point to


# Loops ----------------------------------------------------------------------------------------------------------------

cdef void load_block(const Loop *loop, const char *elements, Py_ssize_t step, Py_ssize_t n, double *to) noexcept nogil:
    """Load n elements as floats or doubles. If the step is 0, all are the same."""
    cdef Py_ssize_t i
    if step:
        loop.load(elements, step, n, NATIVE, to)
        return
    loop.load(elements, 0, 1, NATIVE, to)
    if loop.size == sizeof(float):
        for i in range(1, n):
            (<float *>to)[i] = (<float *>to)[0]
    else:
        for i in range(1, n):
            to[i] = to[0]


cdef inline bint is_direct(const Loop *loop, Py_ssize_t n, Py_ssize_t step) noexcept nogil:
    return loop.direct and (step == loop.size or n == 1)


cdef void compute_in_blocks(const Loop *loop, char **arrays, Py_ssize_t n,
                            const cnp.npy_intp *steps) noexcept nogil:
    cdef double blocks[MAX_OPERANDS + 1][ELEMENTWISE_BLOCK_ELEMENTS]
    cdef char *places[MAX_OPERANDS + 1]
    cdef bint direct[MAX_OPERANDS + 1]
    cdef int result = loop.operands, i
    cdef Py_ssize_t first = 0, count = ELEMENTWISE_BLOCK_ELEMENTS
    for i in range(result + 1):
        direct[i] = is_direct(loop, n, steps[i])
    while first < n:
        if count > n - first:
            count = n - first
        for i in range(result + 1):
            places[i] = arrays[i] + first*steps[i] if direct[i] else <char *>blocks[i]
        for i in range(result):
            if not direct[i] and (steps[i] != 0 or first == 0):
                load_block(loop, arrays[i] + first*steps[i], steps[i], count, blocks[i])
        loop.row(places[0], places[result - 1], count, places[result])
        if not direct[result]:
            loop.store(blocks[result], count, arrays[result] + first*steps[result], steps[result], NATIVE)
        first += count


cdef inline void compute_results(const Loop *loop, char **arrays, Py_ssize_t n,
                                 const cnp.npy_intp *steps) noexcept nogil:
    """Compute n results, none of which is an operand of another."""
    cdef int result = loop.operands
    if is_direct(loop, n, steps[0]) and is_direct(loop, n, steps[result - 1]) and is_direct(loop, n, steps[result]):
        loop.row(arrays[0], arrays[result - 1], n, arrays[result])
    else:
        compute_in_blocks(loop, arrays, n, steps)


cdef struct SharedElements:
    const Loop *loop
    char **arrays
    Py_ssize_t n
    const cnp.npy_intp *steps


cdef void work_on_elements(void *context, Queue *queue) noexcept nogil:
    cdef const SharedElements *shared = <const SharedElements *>context
    cdef char *places[MAX_OPERANDS + 1]
    cdef Py_ssize_t item = take(queue), first
    cdef int i
    while item >= 0:
        first = item*SHARE_GRAIN_ELEMENTS
        for i in range(shared.loop.operands + 1):
            places[i] = shared.arrays[i] + first*shared.steps[i]
        compute_results(shared.loop, places, min(shared.n - first, SHARE_GRAIN_ELEMENTS), shared.steps)
        item = take(queue)


cdef int raise_error(void *error) except -1:
    kept = <object>error
    Py_DECREF(kept)
    raise kept


cdef int threads_to_share() noexcept with gil:
    """How many threads may share a loop of this thread's call. As many helpers are started, if they can be had.

    A loop cannot raise exceptions. If a signal's handler raises one here, the main thread does once the loop is over.
    """
    cdef int threads
    try:
        threads = threads_of_caller()
        enlarge_pool(threads - 1)
    except MemoryError:
        return 1
    except BaseException as error:
        Py_INCREF(error)
        if Py_AddPendingCall(raise_error, <void *>error):
            Py_DECREF(error)
            raise
        return 1
    return threads


cdef bint is_apart(const char *operand, Py_ssize_t step, const char *results, Py_ssize_t results_step,
                   Py_ssize_t n, Py_ssize_t size) noexcept nogil:
    """Whether none of n results overwrites an element, or each only its own."""
    cdef Py_ssize_t last = (n - 1)*step, last_result = (n - 1)*results_step
    if operand == results and step == results_step:
        return True
    return (operand + max(last, 0) + size <= results + min(last_result, 0)
            or results + max(last_result, 0) + size <= operand + min(last, 0))


cdef bint order_matters(const Loop *loop, char **arrays, Py_ssize_t n, const cnp.npy_intp *steps) noexcept nogil:
    """Whether results overwrite elements that other results are computed from.

    NumPy makes no copy of x[1:] whose results go to x[:-1], because each element is read before it is overwritten.
    """
    cdef int result = loop.operands, i
    for i in range(result):
        if not is_apart(arrays[i], steps[i], arrays[result], steps[result], n, loop.size):
            return True
    return False


cdef void share_results(const Loop *loop, char **arrays, Py_ssize_t n, const cnp.npy_intp *steps) noexcept nogil:
    """compute_results by several threads if that pays. The work needs no memory, so it cannot fail."""
    cdef SharedElements shared
    cdef int threads = 1
    if n*loop.size >= SHARE_MIN_BYTES and not order_matters(loop, arrays, n, steps):
        threads = threads_to_share()
    if threads == 1:
        compute_results(loop, arrays, n, steps)
        return
    shared.loop, shared.arrays, shared.n, shared.steps = loop, arrays, n, steps
    share_among(work_on_elements, &shared, (n - 1)//SHARE_GRAIN_ELEMENTS + 1, threads)


cdef void kernel_loop(char **arrays, cnp.npy_intp *dimensions, cnp.npy_intp *steps, void *data) noexcept nogil:
    cdef const Loop *loop = <const Loop *>data
    cdef int result = loop.operands, i
    cdef char *places[MAX_OPERANDS + 1]
    cdef Py_ssize_t j
    cdef Environment environment
    enter_environment(&environment)
    if steps[0] == steps[result] == arrays[result] - arrays[0]:
        # reduce or accumulate: each result is an operand of the next.
        for j in range(dimensions[0]):
            for i in range(result + 1):
                places[i] = arrays[i] + j*steps[i]
            compute_results(loop, places, 1, steps)
    else:
        share_results(loop, arrays, dimensions[0], steps)
    leave_without_flags(&environment)


cdef void longdouble_loop(char **arrays, cnp.npy_intp *dimensions, cnp.npy_intp *steps, void *data) noexcept nogil:
    cdef const Loop *loop = <const Loop *>data
    cdef int second = loop.operands - 1
    cdef Py_ssize_t i
    cdef WholeEnvironment environment
    enter_whole_environment(&environment)
    for i in range(dimensions[0]):
        (<longdouble *>(arrays[second + 1] + i*steps[second + 1]))[0] = loop.formula(
            (<longdouble *>(arrays[0] + i*steps[0]))[0], (<longdouble *>(arrays[second] + i*steps[second]))[0])
    leave_whole_environment(&environment)


# Ufuncs ---------------------------------------------------------------------------------------------------------------

cdef void prepare_loop(Loop *loop, Elementwise operation, int operands, int number) noexcept:
    cdef bint doubles = number != cnp.NPY_FLOAT16 and number != cnp.NPY_FLOAT32
    loop.operands = operands
    loop.direct = number == cnp.NPY_FLOAT32 or number == cnp.NPY_FLOAT64
    loop.size = sizeof(double) if doubles else sizeof(float)
    loop.row = elementwise_of(operation, doubles)
    loop.load = loader(number, doubles)
    loop.store = storer(number, doubles)
    loop.formula = LONGDOUBLE_FORMULAS[<int>operation]


cdef Resolver resolver_of_numpy = NULL
cdef tuple DOUBLES = (np.zeros(()), np.zeros(1))       # without an axis, and with one


cdef int resolve(PyUFuncObject *ufunc, cnp.NPY_CASTING casting, PyObject **operands, PyObject *type_tuple,
                 PyObject **dtypes) except -1:
    """NumPy's choice of a loop, except that integers and booleans alone choose the loop of float64.

    Small integers can be cast to float16 and float32 safely, so NumPy would choose those. Loops for integers are not
    possible: NumPy wants the identity of reduce in the type of each loop, and -inf is not an integer.
    """
    cdef PyObject *converted[MAX_OPERANDS + 1]
    cdef int i, number
    for i in range(ufunc.nargs):
        converted[i] = operands[i]
    for i in range(ufunc.nin):
        number = cnp.PyArray_TYPE(<cnp.ndarray>operands[i])
        if not (cnp.PyTypeNum_ISINTEGER(number) or cnp.PyTypeNum_ISBOOL(number)):
            break
        converted[i] = <PyObject *>DOUBLES[cnp.PyArray_NDIM(<cnp.ndarray>operands[i]) > 0]
    else:
        operands = converted
    return resolver_of_numpy(ufunc, casting, operands, type_tuple, dtypes)


cdef object ufunc_of(Ufunc *ufunc, str operation_name, tuple types, str name, str doc):
    """A ufunc of an operation, with a loop for each of the types, which NumPy searches in this order."""
    cdef Elementwise operation
    cdef int operands, i, j
    cdef bytes encoded = name.encode(), text = doc.encode()
    operation, operands, identity = OPERATIONS[operation_name]
    TEXTS.append((encoded, text))
    for i in range(len(types)):
        prepare_loop(&ufunc.loops[i], operation, operands, types[i])
        ufunc.data[i] = &ufunc.loops[i]
        ufunc.functions[i] = <cnp.PyUFuncGenericFunction>(
            longdouble_loop if types[i] == cnp.NPY_LONGDOUBLE else kernel_loop)
        for j in range(operands + 1):
            ufunc.types[i*(operands + 1) + j] = types[i]
    return PyUFunc_FromFuncAndDataAndSignatureAndIdentity(
        ufunc.functions, ufunc.data, ufunc.types, len(types), operands, 1,
        PyUFunc_None if identity is None else PyUFunc_IdentityValue, encoded, text, 0, NULL, identity)


# For each ufunc the operation, the number of operands, and the result of reduce without elements.
cdef dict OPERATIONS = {
    "logaddexp": (LOGADDEXP, 2, -INFINITY),
    "logsubexp": (LOGSUBEXP, 2, None),
    "log1mexp": (LOG1MEXP, 1, None),
    "log1pexp": (LOG1PEXP, 1, None),
    "log_expit": (LOG_EXPIT, 1, None),
}


def make_ufunc(name, doc):
    """The ufunc of an operation, with this docstring. Its name begins with "smoothmax.".

    Without the prefix, Dask would find its own function of that name, and its logaddexp is NumPy's. Pickles of a ufunc
    have its name and module.
    """
    global resolver_of_numpy
    cdef Elementwise operation = OPERATIONS[name][0]
    made = ufunc_of(&UFUNCS[<int>operation], name, tuple(TYPES), f"smoothmax.{name}", doc)
    resolver_of_numpy = set_resolver(made, resolve)
    if hasattr(made, "__dict__"):       # since NumPy 2.2
        made.__module__ = "smoothmax"
    return made


def make_stand_in(original):
    """A ufunc for use instead of another library's ufunc, with its name, docstring and types.

    Each is made once. NumPy chooses among the original's types in the same way, so results have the same types.
    """
    cdef Elementwise operation = OPERATIONS[original.__name__][0]
    types = tuple([np.dtype(each[0]).num for each in original.types if np.dtype(each[0]).num in tuple(TYPES)])
    return ufunc_of(&STAND_INS[<int>operation], original.__name__, types, original.__name__, original.__doc__)
