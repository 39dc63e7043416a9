"""Make NumPy ufuncs of the elementwise operations: choose their types, and describe their loops to NumPy."""

cimport numpy as cnp
import numpy as np
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject
from cython cimport floating
from libc.string cimport memcpy

from smoothmax._arrays.elements cimport loader, storer
from smoothmax._kernels.dispatch cimport elementwise_of
from smoothmax._kernels.environment cimport (
    Environment, WholeEnvironment, enter_environment, enter_whole_environment, leave_environment,
    leave_whole_environment,
)
from smoothmax._kernels.interface cimport (
    ELEMENTWISE_OPERATIONS, LOG1MEXP, LOG1PEXP, LOGADDEXP, LOGSUBEXP, LOG_EXPIT, NATIVE, Elementwise, ElementwiseRow,
    Load, Store,
)
from smoothmax._schedule.plan cimport MAX_DIMENSIONS
from smoothmax._schedule.pool cimport Queue, enlarge_pool, share_among, take
from smoothmax._schedule.threads cimport threads_of_caller
from smoothmax._thresholds cimport (
    ELEMENTWISE_BLOCK_ELEMENTS, GIL_MIN_ELEMENTS, REPEATED_BLOCK_ELEMENTS, SHARE_GRAIN_ELEMENTS, SHARE_MIN_BYTES,
)

cnp.import_array()
cnp.import_ufunc()

include "longdouble.pxi"

cdef extern from "Python.h":
    ctypedef object (*vectorcallfunc)(PyObject *called, PyObject *const *arguments, size_t flags, PyObject *names)
    Py_ssize_t PyVectorcall_NARGS(size_t flags)
    int Py_AddPendingCall(int (*function)(void *) except -1, void *argument)

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
        int nin, nargs, ntypes
        void **data
        vectorcallfunc vectorcall
    ctypedef int (*Resolver "smoothmax_resolver")(PyUFuncObject *ufunc, cnp.NPY_CASTING casting, PyObject **operands,
                                                  PyObject *type_tuple, PyObject **dtypes) except -1
    Resolver set_resolver "smoothmax_set_resolver"(object ufunc, Resolver resolver)
    PyObject *metadata_of "PyDataType_METADATA"(const cnp.PyArray_Descr *dtype)
    enum:
        PyUFunc_IdentityValue
        PyUFunc_None
    object PyUFunc_FromFuncAndDataAndSignatureAndIdentity(
        cnp.PyUFuncGenericFunction *functions, void **data, char *types, int ntypes, int nin, int nout, int identity,
        const char *name, const char *doc, int unused, const char *signature, object identity_value)

cdef enum:
    MAX_OPERANDS = 2
    LOOPS = 4

# The types of operands and results, in the order in which NumPy searches for one that all operands can be cast to.
cdef int[LOOPS] TYPES = [cnp.NPY_FLOAT16, cnp.NPY_FLOAT32, cnp.NPY_FLOAT64, cnp.NPY_LONGDOUBLE]


cdef struct Loop:
    # The functions that compute elements of one type.
    int operands
    int type_number             # NumPy's, of the elements
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


include "elementwise_rows.pxi"
include "elementwise_loops.pxi"
include "elementwise_calls.pxi"


# Ufuncs ---------------------------------------------------------------------------------------------------------------

cdef void prepare_loop(Loop *loop, Elementwise operation, int operands, int number) noexcept:
    cdef bint doubles = number != cnp.NPY_FLOAT16 and number != cnp.NPY_FLOAT32
    loop.operands, loop.type_number = operands, number
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
    global vectorcall_of_numpy
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
    made = PyUFunc_FromFuncAndDataAndSignatureAndIdentity(
        ufunc.functions, ufunc.data, ufunc.types, len(types), operands, 1,
        PyUFunc_None if identity is None else PyUFunc_IdentityValue, encoded, text, 0, NULL, identity)
    vectorcall_of_numpy = (<PyUFuncObject *>made).vectorcall
    (<PyUFuncObject *>made).vectorcall = call_ufunc
    return made


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
