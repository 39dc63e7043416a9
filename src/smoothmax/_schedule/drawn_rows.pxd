# The results of categorical.

from smoothmax._schedule.score_rows cimport Division, Row, Scores, Space

cdef void draw_from_block(Scores *scores, const Division *division, Space *space, Row *row,
                          const char *elements) noexcept nogil
cdef void draw_from_row(Scores *scores, const Division *division, Space *space, Py_ssize_t i) noexcept nogil
cdef void draw_from_columns(Scores *scores, const Division *division, Space *space, Py_ssize_t columns) noexcept nogil
