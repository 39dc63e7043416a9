"""
Inner loops in Cython, before and after
=======================================

gensim sums the exponentials of a matrix of log-probabilities in Cython, and hmmlearn runs the forward algorithm of a
hidden Markov model in C++. Both take the maximum, call ``exp`` for each element and ``log`` for the sum. Here are such
functions, once with that loop and once with :doc:`smoothmax's C interface </c-interface>`. This page compiles them.
"""

import importlib.util
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import smoothmax
from Cython.Build import cythonize
from setuptools import Distribution, Extension
from setuptools.command.build_ext import build_ext

# %%
# The source
# ----------
#
# ``cimport smoothmax`` finds the declarations in the installed package. Both variants of a function have the same code,
# except for the function that they call for a row.
SOURCE = """
# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
cimport smoothmax
from libc.math cimport INFINITY, exp, log
from libc.stddef cimport ptrdiff_t

import numpy as np

smoothmax.import_smoothmax()
ctypedef double (*Row)(const double *x, ptrdiff_t n, ptrdiff_t stride) noexcept nogil


cdef double by_hand(const double *x, ptrdiff_t n, ptrdiff_t stride) noexcept nogil:
    cdef double largest = -INFINITY, total = 0
    cdef ptrdiff_t i
    for i in range(n):
        if x[i*stride] > largest:
            largest = x[i*stride]
    if largest == -INFINITY:
        return largest
    for i in range(n):
        total += exp(x[i*stride] - largest)
    return largest + log(total)


cdef double by_smoothmax(const double *x, ptrdiff_t n, ptrdiff_t stride) noexcept nogil:
    return smoothmax.smoothmax_logsumexp_f64(x, n, stride)


cdef Row row_of(bint ours):
    return by_smoothmax if ours else by_hand


def logsumexp(const double[:, ::1] x, bint ours):
    '''Over a whole matrix, as gensim does it.'''
    cdef Row row = row_of(ours)
    cdef double result
    with nogil:
        result = row(&x[0, 0], x.shape[0]*x.shape[1], 1)
    return result


def forward(const double[::1] log_start, const double[:, ::1] log_transition,
            const double[:, ::1] log_likelihood, bint ours):
    '''The log-likelihood of a sequence, as hmmlearn computes it.'''
    cdef Row row = row_of(ours)
    cdef Py_ssize_t steps = log_likelihood.shape[0], states = log_start.shape[0], t, i, j
    cdef double[:, ::1] alpha = np.empty((2, states))
    cdef double[::1] terms = np.empty(states)
    cdef double result
    with nogil:
        for j in range(states):
            alpha[0, j] = log_start[j] + log_likelihood[0, j]
        for t in range(1, steps):
            for j in range(states):
                for i in range(states):
                    terms[i] = alpha[1 - t % 2, i] + log_transition[i, j]
                alpha[t % 2, j] = row(&terms[0], states, 1) + log_likelihood[t, j]
        result = row(&alpha[(steps - 1) % 2, 0], states, 1)
    return result
"""


def build(name, source):
    folder = tempfile.mkdtemp()
    file = Path(folder, f"{name}.pyx")
    file.write_text(source)
    extension = Extension(name, [str(file)], include_dirs=[smoothmax.get_include()])
    modules = cythonize([extension], quiet=True)
    command = build_ext(Distribution({"ext_modules": modules}))
    command.build_lib = command.build_temp = folder
    command.ensure_finalized()
    command.run()
    built = command.get_ext_fullpath(name)
    spec = importlib.util.spec_from_file_location(name, built)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


loops = build("inner_loops", SOURCE)

# %%
# The same numbers, with more digits
# ----------------------------------
#
# A model that is nearly sure of its observations has a log-likelihood near 0, and the loop returns 0 or a rounding
# error.
rng = np.random.default_rng(0)


def model(states, steps=200, scale=1.0):
    log_start = smoothmax.log_softmax(rng.normal(size=states))
    log_transition = smoothmax.log_softmax(
        rng.normal(size=(states, states)), axis=1
    )
    return log_start, log_transition, scale * rng.normal(size=(steps, states))


def forward_in_numpy(log_start, log_transition, log_likelihood):
    alpha = log_start + log_likelihood[0]
    for likelihood in log_likelihood[1:]:
        alpha = smoothmax.logsumexp(alpha[:, None] + log_transition, axis=0)
        alpha += likelihood
    return smoothmax.logsumexp(alpha)


ordinary = model(20)
exact = forward_in_numpy(*(each.astype(np.longdouble) for each in ordinary))
for ours in (False, True):
    assert abs(loops.forward(*ordinary, ours) - exact) < 1e-13 * abs(exact)

log_probabilities = np.array([[0.0, -40.0], [-41.0, -42.0]])
print("by hand  :", loops.logsumexp(log_probabilities, False))
print("smoothmax:", loops.logsumexp(log_probabilities, True))
exact = smoothmax.logsumexp(log_probabilities.astype(np.longdouble))
assert loops.logsumexp(log_probabilities, True) == np.float64(exact)

# %%
# Before and after
# ----------------
#
# A call of smoothmax fills the lanes of the processor, so even a short row takes the time of many elements. So the loop
# is faster below a dozen states, and slower above.
sizes = [4, 8, 16, 32, 64, 128]


def seconds(function, *arguments):
    best = []
    for _ in range(5):
        start = time.perf_counter()
        function(*arguments)
        best.append(time.perf_counter() - start)
    return min(best)


figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
times = {ours: [] for ours in (False, True)}
for states in sizes:
    drawn = model(states)
    for ours, found in times.items():
        found.append(seconds(loops.forward, *drawn, ours) / (199 * states) * 1e9)
print("nanoseconds a step and state, with", *sizes, "states")
print("by hand  :", *(f"{each:.0f}" for each in times[False]))
print("smoothmax:", *(f"{each:.0f}" for each in times[True]))
left.loglog(sizes, times[False], color="#0072B2", marker="o", label="by hand")
left.loglog(sizes, times[True], color="#D55E00", marker="o", label="smoothmax")
left.set_title("Forward algorithm")
left.set_xlabel("states")
left.set_ylabel("nanoseconds a step and state")

sides = [2, 10, 50, 200, 800]
for ours, colour, label in (
    (False, "#0072B2", "by hand"),
    (True, "#D55E00", "smoothmax"),
):
    found = [
        seconds(loops.logsumexp, rng.normal(size=(side, side)), ours)
        / side**2
        * 1e9
        for side in sides
    ]
    right.loglog(
        [side**2 for side in sides], found, color=colour, marker="o", label=label
    )
right.set_title("logsumexp of a matrix")
right.set_xlabel("elements")
right.set_ylabel("nanoseconds an element")
for panel in (left, right):
    panel.legend(frameon=False)
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(color="#DDDDDD", linewidth=0.6)
plt.show()
