r"""
Optimal transport in log space
==============================

Sinkhorn's iteration finds the plan that moves one distribution onto another at the least cost, smoothed by an entropy
[1]_. With little smoothing the kernel :math:`e^{-C/\varepsilon}` underflows, so the iteration is carried out with
logarithms: each half step is a logsumexp of the costs, scaled and shifted. The keywords ``scale`` and ``add`` of
:func:`smoothmax.logsumexp` do both while the costs are read. A library on NumPy first builds an array of the costs'
size.
"""

import timeit
import tracemalloc

import matplotlib.pyplot as plt
import numpy as np
import smoothmax
from scipy.special import logsumexp

# %%
# Two distributions on a grid, and the squared distances between their points.
n, m, epsilon = 700, 800, 2e-3
source, target = np.linspace(0, 1, n), np.linspace(0, 1, m)
a = np.exp(-((source - 0.25) ** 2) / 0.01) + 0.02
b = np.exp(-((target - 0.7) ** 2) / 0.004)
b += 0.6 * np.exp(-((target - 0.45) ** 2) / 0.001) + 0.02
a, b = a / a.sum(), b / b.sum()
costs = (source[:, None] - target) ** 2

# %%
# A half step, twice
# ------------------
#
# First the half step as it is usually written, with SciPy: the costs, scaled once, are shifted by the dual variables
# ``v`` in every half step, which makes an array of their size in addition to those that SciPy makes. Then the same with
# smoothmax.
scaled = costs * (-1 / epsilon)


def half_step_scipy(v):
    return np.log(a) - logsumexp(scaled + v, axis=1)


def half_step(v):
    return np.log(a) - smoothmax.logsumexp(costs, axis=1, scale=-1 / epsilon, add=v)


def measured(step, *arguments):
    """The least time of several calls in seconds, and the memory that one takes at its peak in MiB."""
    seconds = min(timeit.repeat(lambda: step(*arguments), number=1, repeat=5))
    tracemalloc.start()
    step(*arguments)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return seconds, peak / 2**20


v = np.log(b)
np.testing.assert_allclose(half_step(v), half_step_scipy(v), rtol=1e-13)
before, after = measured(half_step_scipy, v), measured(half_step, v)
print(f"SciPy    : {before[0] * 1e3:6.2f} ms, {before[1]:6.2f} MiB")
print(f"smoothmax: {after[0] * 1e3:6.2f} ms, {after[1]:6.2f} MiB")

# %%
# The iteration
# -------------
#
# It ends when the plan has the required marginals. The plan is the exponential of the costs, scaled and shifted by both
# dual variables.
v, errors = np.zeros(m), []
while not errors or errors[-1] > 1e-6:
    u = half_step(v)
    v_next = np.log(b) - smoothmax.logsumexp(
        costs, axis=0, scale=-1 / epsilon, add=u[:, None]
    )
    errors.append(np.abs(np.exp(v - v_next) * b - b).sum())
    v = v_next
plan = np.exp(scaled + u[:, None] + v)
print(f"{len(errors)} steps, cost {np.sum(plan * costs):.6f}")
np.testing.assert_allclose(plan.sum(axis=0), b, rtol=1e-12)
assert np.abs(plan.sum(axis=1) - a).sum() < 1e-5

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
left.imshow(
    plan**0.3, origin="lower", extent=(0, 1, 0, 1), cmap="Blues", aspect="auto"
)
left.plot(target, b / b.max() / 5, color="#D55E00", label="target")
left.plot(a / a.max() / 5, source, color="#009E73", label="source")
left.set_title("The plan", loc="left", fontweight="bold")
left.legend(frameon=False)
right.semilogy(errors, color="#0072B2", linewidth=2)
right.set_title("Error of the marginals", loc="left", fontweight="bold")
right.set_xlabel("step")
right.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# .. [1] M. Cuturi, "Sinkhorn distances: lightspeed computation of optimal transport", NIPS 2013.
