r"""
Free energies from samples of several states
============================================

The multistate Bennett acceptance ratio (MBAR) estimates the free energies of states, up to a constant, from samples of
all of them [1]_. Its equations are two reductions of the array of reduced energies. :math:`u_{kn}` is the energy of
sample :math:`n` in state :math:`k`, and :math:`N_k` is the number of samples from state :math:`k`:

.. math::

   d_n = \log \sum_k N_k e^{f_k - u_{kn}}, \qquad f_k = -\log \sum_n e^{-u_{kn} - d_n}.

Each is one call of :func:`smoothmax.logsumexp`, with ``scale=-1`` for the energies and ``add`` for the other terms.
"""

import timeit

import matplotlib.pyplot as plt
import numpy as np
import smoothmax
from scipy.special import logsumexp

# %%
# Oscillators, whose free energies are known: state k has the energy :math:`s_k (x - c_k)^2/2`, whose integral is
# :math:`\sqrt{2\pi/s_k}`.
rng = np.random.default_rng(2)
stiffness = np.geomspace(1, 60, 9)
centres = np.linspace(0, 4, 9)
counts = rng.integers(1500, 4000, 9)
samples = np.concatenate(
    [
        rng.normal(c, s**-0.5, n)
        for c, s, n in zip(centres, stiffness, counts, strict=True)
    ]
)
energies = stiffness[:, None] * (samples - centres[:, None]) ** 2 / 2
exact = -np.log(2 * np.pi / stiffness) / 2
exact -= exact[0]

# %%
# One step of the equations
# -------------------------
#
# The step as it is usually written, with SciPy, and with smoothmax. SciPy needs three arrays of the energies' size for
# each reduction.


def step_scipy(f):
    d = logsumexp(f[:, None] - energies, axis=0, b=counts[:, None])
    f = -logsumexp(-energies - d, axis=1)
    return f - f[0]


def step(f):
    d = smoothmax.logsumexp(
        energies, axis=0, scale=-1, add=f[:, None], b=counts[:, None]
    )
    f = -smoothmax.logsumexp(energies, axis=1, scale=-1, add=-d)
    return f - f[0]


f = np.zeros(9)
np.testing.assert_allclose(step(f), step_scipy(f), rtol=1e-12, atol=1e-12)
for name, one in (("SciPy", step_scipy), ("smoothmax", step)):
    seconds = min(timeit.repeat(lambda one=one: one(f), number=1, repeat=5))
    print(f"{name:9}: {seconds * 1e3:5.2f} ms a step")

# %%
# The fixed point
# ---------------
history = [f]
while len(history) < 2 or np.abs(history[-1] - history[-2]).max() > 1e-9:
    history.append(step(history[-1]))
f = history[-1]
print(f"{len(history) - 1} steps, largest error {np.abs(f - exact).max():.3f}")
assert np.abs(f - exact).max() < 0.15

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for k, n in enumerate(np.cumsum(counts)):
    left.hist(
        samples[n - counts[k] : n],
        bins=60,
        density=True,
        histtype="step",
        color=plt.cm.viridis(k / 9),
    )
left.set_title("Samples of nine states", loc="left", fontweight="bold")
left.set_xlabel("x")
right.plot(exact, "o", color="#D55E00", label="exact")
right.plot(f, color="#0072B2", linewidth=2, label="estimated")
right.set_title("Free energy", loc="left", fontweight="bold")
right.set_xlabel("state")
right.legend(frameon=False)
for panel in (left, right):
    panel.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# .. [1] M. R. Shirts, J. D. Chodera, "Statistically optimal analysis of samples from multiple equilibrium states",
#    Journal of Chemical Physics 129, 124105, 2008, :doi:`10.1063/1.2978177`.
