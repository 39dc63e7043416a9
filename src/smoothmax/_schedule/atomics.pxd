# Operations on words that threads share without a lock. A thread that reads a value also sees everything that the
# writing thread wrote before it. MSVC's functions order all memory accesses around them, which is more than needed.

cdef extern from * nogil:
    """
    #if defined(_MSC_VER)
    #include <intrin.h>
    #define smoothmax_word(word) ((volatile long *)(word))
    #define smoothmax_load(word) ((int)_InterlockedOr(smoothmax_word(word), 0))
    #define smoothmax_exchange(word, value) ((int)_InterlockedExchange(smoothmax_word(word), (value)))
    #define smoothmax_replace(word, old, value) \
        (_InterlockedCompareExchange(smoothmax_word(word), (value), (old)) == (old))
    #define smoothmax_keep(word, bits) ((void)_InterlockedAnd(smoothmax_word(word), (bits)))
    #define smoothmax_next(counter) ((Py_ssize_t)_InterlockedExchangeAdd64((volatile __int64 *)(counter), 1))
    #define smoothmax_load_address(word) _InterlockedCompareExchangePointer((void *volatile *)(word), NULL, NULL)
    #define smoothmax_store_address(word, value) \
        ((void)_InterlockedExchangePointer((void *volatile *)(word), (value)))
    #else
    #define smoothmax_load(word) __atomic_load_n((word), __ATOMIC_ACQUIRE)
    #define smoothmax_exchange(word, value) __atomic_exchange_n((word), (value), __ATOMIC_ACQ_REL)
    static inline int smoothmax_replace(int *word, int old, int value) {
        return __atomic_compare_exchange_n(word, &old, value, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    }
    #define smoothmax_keep(word, bits) ((void)__atomic_fetch_and((word), (bits), __ATOMIC_ACQ_REL))
    #define smoothmax_next(counter) __atomic_fetch_add((counter), 1, __ATOMIC_RELAXED)
    #define smoothmax_load_address(word) __atomic_load_n((word), __ATOMIC_ACQUIRE)
    #define smoothmax_store_address(word, value) __atomic_store_n((word), (value), __ATOMIC_RELEASE)
    #endif
    """
    int load "smoothmax_load"(int *word)
    int exchange "smoothmax_exchange"(int *word, int value)             # returns the old value
    bint replace "smoothmax_replace"(int *word, int old, int value)     # sets it if it is `old`; returns whether it was
    void keep_bits "smoothmax_keep"(int *word, int bits)                # clears all other bits
    Py_ssize_t fetch_and_increment "smoothmax_next"(Py_ssize_t *counter)    # does not order other accesses
    void *load_address "smoothmax_load_address"(void **word)
    void store_address "smoothmax_store_address"(void **word, void *value)
