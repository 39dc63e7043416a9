"""Keep the best candidates: those with the largest values, and of equal ones those with the lowest index.

A small number of candidates is kept sorted by inserting each. A large number is collected until the room is full; then
the best are selected, and sorted once at the end, by buckets or digit by digit. The order is total, so all ways give
the same results.
"""

from libc.math cimport NAN
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from smoothmax._kernels.interface cimport Candidate
from smoothmax._thresholds cimport (
    TOP_BUCKETS, TOP_BUCKET_ELEMENTS, TOP_INSERTED_ELEMENTS, TOP_SORTED_ELEMENTS, TOP_SORT_BUCKETS,
)


cdef inline bint precedes(const Candidate *one, const Candidate *other) noexcept nogil:
    return one.value > other.value or one.value == other.value and one.index < other.index


cdef inline void insert(Candidate *sorted_, Py_ssize_t n, const Candidate *one) noexcept nogil:
    """Insert a candidate into n sorted ones, which have room for it. It may already lie in that room."""
    cdef Candidate moved = one[0]
    while n > 0 and precedes(&moved, &sorted_[n - 1]):
        sorted_[n] = sorted_[n - 1]
        n -= 1
    sorted_[n] = moved


cdef void insert_all(Candidate *candidates, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(1, n):
        insert(candidates, i, &candidates[i])


# Many ----------------------------------------------------------------------------------------------------------------

cdef inline void swap(Candidate *one, Candidate *other) noexcept nogil:
    cdef Candidate held = one[0]
    one[0] = other[0]
    other[0] = held


cdef Candidate pivot_of(const Candidate *candidates, Py_ssize_t n, unsigned int *state) noexcept nogil:
    """The median of three candidates at pseudorandom places, so that no order of the elements is a bad case."""
    cdef Candidate some[3]
    cdef int i
    for i in range(3):
        state[0] = state[0]*1664525u + 1013904223u
        some[i] = candidates[<Py_ssize_t>(<double>state[0]*(1/4294967296.0)*n)]
    insert_all(some, 3)
    return some[1]


cdef inline Py_ssize_t bucket_of(const Candidate *one, double largest, double scale, Py_ssize_t last) noexcept nogil:
    """The bucket of a candidate, at most the last: a larger value never has a larger bucket."""
    cdef double place = (largest - one.value)*scale
    return <Py_ssize_t>place if place < last else last


cdef inline void bounds_of(const Candidate *candidates, Py_ssize_t n, double *least, double *largest) noexcept nogil:
    """The least and the largest value, by four comparisons at a time that do not wait for each other."""
    cdef double low[4]
    cdef double high[4]
    cdef double value
    cdef Py_ssize_t i, j
    for j in range(4):
        low[j] = high[j] = candidates[0].value
    for i from 0 <= i < n by 4:
        for j in range(4):
            value = candidates[min(i + j, n - 1)].value
            low[j] = value if value < low[j] else low[j]
            high[j] = value if value > high[j] else high[j]
    least[0], largest[0] = low[0], high[0]
    for j in range(1, 4):
        least[0] = min(least[0], low[j])
        largest[0] = max(largest[0], high[j])


cdef void narrow_to_bucket(Candidate *candidates, Py_ssize_t k, Py_ssize_t *low, Py_ssize_t *high) noexcept nogil:
    """Narrow the range low to high to the bucket of the k-th best, and move better candidates in front of it.

    Most of the time of a selection by partitions goes into branches that depend on the values. Here there are few.
    """
    cdef Py_ssize_t counts[TOP_BUCKETS + 1]
    cdef Py_ssize_t i, n = high[0] + 1, bucket = 0, better = 0, left = 0
    cdef double least, largest, scale
    bounds_of(candidates, n, &least, &largest)
    scale = TOP_BUCKETS/(largest - least)
    if not 0 < scale < 1e300:               # all are equal, or some are infinite
        return
    for i in range(TOP_BUCKETS + 1):
        counts[i] = 0
    for i in range(n):
        counts[bucket_of(&candidates[i], largest, scale, TOP_BUCKETS)] += 1
    while better + counts[bucket] < k:
        better += counts[bucket]
        bucket += 1
    for i in range(n):                      # worse candidates are overwritten
        candidates[left] = candidates[i]
        left += bucket_of(&candidates[i], largest, scale, TOP_BUCKETS) <= bucket
    high[0] = left - 1
    low[0] = better
    for i in range(better):
        while bucket_of(&candidates[i], largest, scale, TOP_BUCKETS) == bucket:
            left -= 1
            swap(&candidates[i], &candidates[left])


cdef void select_best(Candidate *candidates, Py_ssize_t n, Py_ssize_t k) noexcept nogil:
    """Move the best k of n to the front, in any order, with the worst of these k last."""
    cdef Py_ssize_t low = 0, high = n - 1, left, right
    cdef unsigned int state = 1
    cdef Candidate pivot
    if n > TOP_BUCKETS:
        narrow_to_bucket(candidates, k, &low, &high)
    while high - low > TOP_INSERTED_ELEMENTS:
        pivot = pivot_of(candidates + low, high - low + 1, &state)
        left, right = low, high
        while left <= right:
            while precedes(&candidates[left], &pivot):
                left += 1
            while precedes(&pivot, &candidates[right]):
                right -= 1
            if left <= right:
                swap(&candidates[left], &candidates[right])
                left += 1
                right -= 1
        if k - 1 <= right:
            high = right
        elif k - 1 >= left:
            low = left
        else:
            return
    insert_all(candidates + low, high - low + 1)


cdef inline uint64_t key_of(const Candidate *one) noexcept nogil:
    """An integer that orders against the value: its bits, with those of positive numbers inverted."""
    cdef double value = one.value + 0       # -0. + 0 is 0
    cdef uint64_t bits
    memcpy(&bits, &value, 8)
    return bits ^ (<uint64_t>0x7FFFFFFFFFFFFFFF if bits < <uint64_t>0x8000000000000000 else 0)


cdef inline Py_ssize_t digit_of(const Candidate *one, int place, bint by_value) noexcept nogil:
    return (key_of(one) if by_value else <uint64_t>one.index) >> (8*place) & 255


cdef Candidate *sort_by_digits(Candidate *source, Py_ssize_t n, Candidate *to, bint by_value) noexcept nogil:
    """Sort by the value or by the index, from the last digit to the first, and keep equal ones in order.

    Returns the one of the two arrays that has the result.
    """
    cdef Py_ssize_t begins[256]
    cdef Py_ssize_t i, begin, number
    cdef int place, digit
    cdef Candidate *held
    for place in range(8):
        for digit in range(256):
            begins[digit] = 0
        for i in range(n):
            begins[digit_of(&source[i], place, by_value)] += 1
        if begins[digit_of(source, place, by_value)] == n:
            continue                        # all have the same digit here
        begin = 0
        for digit in range(256):
            number = begins[digit]
            begins[digit] = begin
            begin += number
        for i in range(n):
            digit = <int>digit_of(&source[i], place, by_value)
            to[begins[digit]] = source[i]
            begins[digit] += 1
        held = source
        source = to
        to = held
    return source


cdef bint sort_by_buckets(Candidate *candidates, Py_ssize_t n, Candidate *space) noexcept nogil:
    """Sort by inserting into buckets of equal width; returns False, and sorts nothing, if one is too full."""
    cdef int ends[TOP_SORT_BUCKETS + 1]
    cdef Py_ssize_t i, last = min(n, TOP_SORT_BUCKETS), bucket
    cdef int most = 0, end = 0
    cdef double least, largest, scale
    if 4*n > TOP_SORT_BUCKETS*TOP_BUCKET_ELEMENTS:
        return False
    bounds_of(candidates, n, &least, &largest)
    scale = last/(largest - least)
    if not 0 < scale < 1e300:               # all are equal, or some are infinite
        return False
    for bucket in range(last + 1):
        ends[bucket] = 0
    for i in range(n):
        ends[bucket_of(&candidates[i], largest, scale, last)] += 1
    for bucket in range(last + 1):
        most = max(most, ends[bucket])
        end += ends[bucket]
        ends[bucket] = end
    if most > TOP_BUCKET_ELEMENTS:
        return False
    for i in range(n):
        bucket = bucket_of(&candidates[i], largest, scale, last)
        ends[bucket] -= 1
        space[ends[bucket]] = candidates[i]
    insert_all(space, n)
    memcpy(candidates, space, n*sizeof(Candidate))
    return True


cdef void sort(Candidate *candidates, Py_ssize_t n, Candidate *space) noexcept nogil:
    """Sort candidates, best first. `space` must have room for n more."""
    cdef Candidate *source = candidates
    cdef Py_ssize_t i
    if n < 2 or sort_by_buckets(candidates, n, space):
        return
    for i in range(1, n):
        if source[i].index < source[i - 1].index:
            source = sort_by_digits(source, n, space, by_value=False)
            break
    source = sort_by_digits(source, n, space if source == candidates else candidates, by_value=True)
    if source != candidates:
        for i in range(n):
            candidates[i] = source[i]


# Both ----------------------------------------------------------------------------------------------------------------

cdef void start_best(Best *best, Py_ssize_t k, Py_ssize_t room, Candidate *held, Candidate *fresh) noexcept nogil:
    best.held, best.fresh = held, fresh if k <= TOP_SORTED_ELEMENTS else held
    best.k, best.room, best.count = k, room, 0
    best.known = NAN


cdef void know(Best *best) noexcept nogil:
    """Note the worst of k, because later candidates must be better."""
    if best.count == best.k:
        best.known = best.held[best.k - 1].value


cdef void join_best(Best *best, Py_ssize_t number, Py_ssize_t next_block) noexcept nogil:
    """Add the fresh candidates, and leave room for all that the next block may have."""
    cdef Py_ssize_t i
    if best.k <= TOP_SORTED_ELEMENTS:
        for i in range(number):
            if best.count < best.k:
                insert(best.held, best.count, &best.fresh[i])
                best.count += 1
            elif precedes(&best.fresh[i], &best.held[best.k - 1]):
                insert(best.held, best.k - 1, &best.fresh[i])
        know(best)
        return
    best.count += number
    if best.count > best.k and best.count + next_block > best.room:
        select_best(best.held, best.count, best.k)
        best.count = best.k
        know(best)
    best.fresh = best.held + best.count


cdef void finish_best(Best *best) noexcept nogil:
    """Sort the best k, unless they are kept sorted. Sorting needs room for 2k, which unsorted candidates have."""
    if best.k > TOP_SORTED_ELEMENTS:
        if best.count > best.k:
            select_best(best.held, best.count, best.k)
        best.count = min(best.count, best.k)
        sort(best.held, best.count, best.held + best.count)
