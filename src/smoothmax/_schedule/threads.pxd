cdef int threads_of_caller() except -1
