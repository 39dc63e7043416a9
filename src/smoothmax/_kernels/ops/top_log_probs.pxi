# top_log_probs: find the elements of a block that may be among the k largest of its row.
#
# candidates of a block: its elements that are not below a threshold which k elements of the row are known to reach
#
# The log-probabilities of the k elements that are left are computed as by log_softmax (ops/log_softmax.pxi), so its
# bound of 2 ULP holds. Nothing is rounded here.
#
# 1. The elements of TOP_GROUP_ROWS rows of lanes that lie in the same lane are a group. One pass finds the largest of
#    each group, without a fold or a branch.
# 2. At first the threshold is the k-th largest element so far, which the caller knows. If more than k groups reach it,
#    it is raised to a number that at least k groups still reach, because elements below are not among the k largest.
#    Bisection over the bits of floating-point numbers finds that number, without moving any element.
# 3. Only groups that reach the threshold are searched element by element.
#
# A row of random numbers has about k log(n/k) candidates, and a rising one about k in each block.

cdef inline int64_t ordered_bits(real x) noexcept nogil:
    """An integer that orders as the number does: its bits, with those of negative numbers inverted."""
    cdef int32_t i32
    cdef int64_t i64
    if real is float:
        memcpy(&i32, &x, 4)
        return i32 ^ ((i32 >> 31) & <int32_t>0x7FFFFFFF)
    else:
        memcpy(&i64, &x, 8)
        return i64 ^ ((i64 >> 63) & <int64_t>0x7FFFFFFFFFFFFFFF)


cdef inline real of_ordered_bits(int64_t bits, real _) noexcept nogil:
    cdef int32_t i32
    cdef real x
    if real is float:
        i32 = <int32_t>bits
        i32 ^= (i32 >> 31) & <int32_t>0x7FFFFFFF
        memcpy(&x, &i32, 4)
    else:
        bits ^= (bits >> 63) & <int64_t>0x7FFFFFFFFFFFFFFF
        memcpy(&x, &bits, 8)
    return x


cdef inline real next_above(real x) noexcept nogil:
    """The next larger number. The next above inf is nan, which no element reaches."""
    return of_ordered_bits(ordered_bits(x + 0) + 1, x)      # -0. + 0 is 0


cdef inline real maxima_of_groups(const real *x, Py_ssize_t n, real *maxima) noexcept nogil:
    """The largest element of each group, and of all. A row of `maxima` has one group for each lane."""
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, remaining = n - rows*width, row = 0, groups = 0, j
    cdef real tail[LANES]
    cdef real largest[LANES]
    while row < rows or remaining and row == rows:
        spread(<real>-INFINITY, largest)
        max_lane_rows(x + row*width, min_of(TOP_GROUP_ROWS, rows - row), largest)
        row += TOP_GROUP_ROWS
        if remaining and row > rows:
            pad(x + rows*width, remaining, tail)
            for j in range(lanes_of(x)):
                largest[j] = larger(tail[j], largest[j])
        for j in range(lanes_of(x)):
            maxima[groups*width + j] = largest[j]
        groups += 1
    spread(<real>-INFINITY, largest)
    max_lane_rows(maxima, groups, largest)
    return max_of_lanes(largest)


cdef inline Py_ssize_t number_at_least(const real *maxima, Py_ssize_t groups, real least) noexcept nogil:
    """How many groups have an element of at least `least`."""
    cdef Py_ssize_t i, j
    cdef real counts[LANES]
    spread(<real>0, counts)
    for i in range(groups):
        for j in range(lanes_of(maxima)):
            counts[j] += one_if(maxima[i*lanes_of(maxima) + j] >= least, <real>0)
    return <Py_ssize_t>count_of_lanes(counts)


cdef inline real raised(const real *maxima, Py_ssize_t groups, Py_ssize_t k, Py_ssize_t number, real largest,
                        real least) noexcept nogil:
    """A threshold that at least k groups reach and few others, given that `number` groups reach `least`."""
    cdef int64_t low = ordered_bits(least), high = ordered_bits(largest) + 1, middle
    cdef Py_ssize_t reach
    while number > k + k//TOP_SPARE_ELEMENTS:
        middle = (low >> 1) + (high >> 1) + (low & high & 1)
        if middle <= low:
            break
        reach = number_at_least(maxima, groups, of_ordered_bits(middle, least))
        if reach >= k:
            low, number = middle, reach
        else:
            high = middle
    return of_ordered_bits(low, least)


cdef Py_ssize_t find_candidates(const real *x, Py_ssize_t n, Py_ssize_t first, Py_ssize_t k, double known,
                                double *largest, real *maxima, Candidate *out) noexcept nogil:
    """Append the elements of a block of n that may be among the k largest of the row.

    Returns how many. `first` is the index of x[0] in the row. k elements before it are no less than `known`, so only
    larger elements are candidates; nan if there are fewer elements. `maxima` and `largest` are those of
    maxima_of_groups; if `largest` is nan, they are computed first. There must be room for one more than n.
    """
    cdef Py_ssize_t width = lanes_of(x), groups = (n + TOP_GROUP_ROWS*width - 1)//(TOP_GROUP_ROWS*width)
    cdef Py_ssize_t number, found = 0, i, j, at
    cdef real least = next_above(<real>known) if known == known else <real>-INFINITY
    if largest[0] != largest[0]:
        largest[0] = maxima_of_groups(x, n, maxima)
    if not largest[0] >= least:
        return 0
    number = number_at_least(maxima, groups, least)
    if number > k:
        least = raised(maxima, groups, k, number, <real>largest[0], least)
        number = number_at_least(maxima, groups, least)
    if number*TOP_SPARSE_ELEMENTS > n:
        for i in range(n):
            out[found].value = x[i]
            out[found].index = first + i
            found += x[i] >= least
        return found
    for i in range(groups):
        if number_at_least(maxima + i*width, 1, least) == 0:
            continue
        for j in range(width):
            if maxima[i*width + j] >= least:
                for at from i*TOP_GROUP_ROWS*width + j <= at < min_of(n, (i + 1)*TOP_GROUP_ROWS*width) by width:
                    if x[at] >= least:
                        out[found].value = x[at]
                        out[found].index = first + at
                        found += 1
    return found


# Short rows side by side ----------------------------------------------------------------------------------------------

cdef inline void insert_lanes(real *best, real *places, const real *x, real *v, real *at) noexcept nogil:
    """One step of inserting x into sorted columns.

    Where x is larger than the element in this place, v takes the place and the element becomes the new v. At first v
    is x itself, later the element that x has displaced, which stays before its equals.
    """
    cdef Py_ssize_t j
    cdef real b[LANES]
    cdef real p[LANES]
    for j in range(lanes_of(x)):
        b[j] = best[j]
        p[j] = places[j]
    for j in range(lanes_of(x)):
        best[j] = v[j] if x[j] > b[j] else b[j]
        places[j] = at[j] if x[j] > b[j] else p[j]
    for j in range(lanes_of(x)):
        v[j] = b[j] if x[j] > b[j] else v[j]
        at[j] = p[j] if x[j] > b[j] else at[j]


cdef void top_of_tile(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t k,
                      const real *log_p, real *best, real *places) noexcept nogil:
    """The k largest log-probabilities of each column, and the rows in which they lie, as numbers of the same type.

    Except for x, all arrays have TILE_COLUMNS in a row. A column that has nan, inf or fewer than k finite elements is
    nan in `best`, and must be computed alone.
    """
    cdef Py_ssize_t width = lanes_of(x), first, i, s, j
    cdef real own[LANES]
    cdef real v[LANES]
    cdef real at[LANES]
    cdef real maximum[LANES]
    cdef real log_sum[LANES]
    for first from 0 <= first < columns by width:
        for s in range(k):
            spread(<real>-INFINITY, best + s*TILE_COLUMNS + first)
            spread(<real>0, places + s*TILE_COLUMNS + first)
        for i in range(rows):
            for j in range(width):
                own[j] = v[j] = x[i*ld + first + j]
            spread(<real>i, at)
            for s in range(min_of(i + 1, k)):
                insert_lanes(best + s*TILE_COLUMNS + first, places + s*TILE_COLUMNS + first, own, v, at)
        for j in range(width):
            # At the largest element the log-probability is -log_sum, exactly.
            maximum[j] = best[first + j]
            log_sum[j] = -log_p[<Py_ssize_t>places[first + j]*TILE_COLUMNS + first + j]
            v[j] = best[(k - 1)*TILE_COLUMNS + first + j]
            log_sum[j] = log_sum[j] if v[j] > -INFINITY else <real>NAN
        for s in range(k):
            for j in range(width):
                v[j] = (best[s*TILE_COLUMNS + first + j] - maximum[j]) - log_sum[j]
            for j in range(width):
                best[s*TILE_COLUMNS + first + j] = v[j]


# Table ----------------------------------------------------------------------------------------------------------------

cdef void fill_top_log_probs(ScoreKernels *kernels, real _) noexcept:
    kernels.find_candidates = <FindCandidates>find_candidates[real]
    kernels.top_of_tile = <TopOfTile>top_of_tile[real]
