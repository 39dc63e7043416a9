# The results of top_log_probs.

from smoothmax._schedule.score_rows cimport Division, Row, Scores, Space

cdef void top_of_short_row(const Scores *scores, const Division *division, Space *space, Row *row,
                           const char *elements, double largest) noexcept nogil
cdef void top_of_long_row(const Scores *scores, const Division *division, Space *space, Row *row) noexcept nogil
cdef void top_of_columns(const Scores *scores, const Division *division, Space *space,
                         Py_ssize_t columns) noexcept nogil
