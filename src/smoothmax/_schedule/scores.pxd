# Rows of logits that are scored: their largest log-probabilities, or draws from their distributions.

from smoothmax._schedule.score_rows cimport Scores

cdef int walk_scores(Scores *scores) except -2          # -1: no memory
