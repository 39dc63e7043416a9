# Declarations that other modules of signatures share with the three functions.

cdef object libraries_of(object x)
cdef object lazy_functions(object a, object b, object where, object out, object add=*)
