"""
Cox regression: risk sets as a scan
===================================

In Cox's model of survival the contribution of each event is a softmax over the subjects that are still at risk at that
time [1]_. If subjects are sorted by time, the logarithms of the sums over all risk sets are one reverse scan,
:func:`smoothmax.logcumsumexp`, and the gradient is a second one. Nothing overflows for scores of any size, and each
prefix is as accurate as a :func:`smoothmax.logsumexp` of its own.
"""

import timeit

import matplotlib.pyplot as plt
import numpy as np
import smoothmax
from scipy.optimize import minimize

# %%
# Subjects with five covariates. The hazard is constant in time and proportional to the exponential of a score; some
# subjects leave the study before their event.
rng = np.random.default_rng(7)
n, true = 4000, np.array([1.5, -1.0, 0.5, 0.0, 2.0])
x = rng.standard_normal((n, 5))
event_times = rng.exponential(np.exp(-x @ true))
leaving_times = rng.exponential(2.0, n)
times = np.minimum(event_times, leaving_times)
order = np.argsort(times)
x, times = x[order], times[order]
happened = (event_times <= leaving_times)[order]

# %%
# The partial likelihood
# ----------------------
#
# ``risk[i]`` is the logarithm of the sum over all subjects at risk at time i: those from i on. The share of subject j
# in the events up to time j is a scan in the other direction, of ``-risk`` at the events.


def objective(beta):
    scores = x @ beta
    risk = smoothmax.logcumsumexp(scores, reverse=True)
    log_shares = smoothmax.logcumsumexp(np.where(happened, -risk, -np.inf))
    loss = np.sum(risk[happened] - scores[happened])
    return loss, x.T @ (np.exp(scores + log_shares) - happened)


def loss_by_loop(beta):
    scores = x @ beta
    return sum(
        np.log(np.sum(np.exp(scores[i:] - scores[i])))
        for i in range(n)
        if happened[i]
    )


beta = np.array([0.3, 0.1, -0.2, 0.4, 0.5])
loss, gradient = objective(beta)
np.testing.assert_allclose(loss, loss_by_loop(beta), rtol=1e-12)
for k, direction in enumerate(np.eye(5) * 1e-5):
    change = objective(beta + direction)[0] - objective(beta - direction)[0]
    np.testing.assert_allclose(gradient[k], change / 2e-5, rtol=1e-5)

# %%
# NumPy has the scan, too, as ``np.logaddexp.accumulate``. It is slower, and its errors add up.
scores = x @ beta
for name, scan in (
    ("NumPy", lambda: np.logaddexp.accumulate(scores[::-1])[::-1]),
    ("smoothmax", lambda: smoothmax.logcumsumexp(scores, reverse=True)),
):
    seconds = min(timeit.repeat(scan, number=10, repeat=5)) / 10
    print(f"{name:9}: {seconds * 1e6:6.1f} us for {n} risk sets")

# %%
# The fit
# -------
found = minimize(objective, np.zeros(5), method="L-BFGS-B", jac=True)
print("true     :", true)
print("estimated:", found.x.round(2))
assert np.abs(found.x - true).max() < 0.15

# %%
# The survival of three subjects follows from the cumulative hazard, which is the scan of the gradient once more.
scores = x @ found.x
risk = smoothmax.logcumsumexp(scores, reverse=True)
hazard = np.exp(smoothmax.logcumsumexp(np.where(happened, -risk, -np.inf)))
figure, panel = plt.subplots(figsize=(7, 4), layout="constrained")
for score, colour in zip(
    np.quantile(scores, [0.1, 0.5, 0.9]),
    ["#009E73", "#0072B2", "#D55E00"],
    strict=True,
):
    panel.step(
        times,
        np.exp(-hazard * np.exp(score)),
        color=colour,
        label=f"score {score:z.1f}",
    )
    panel.plot(times, np.exp(-times * np.exp(score)), "k--", linewidth=0.8)
panel.set_xscale("log")
panel.set_xlim(1e-3, times[-1])
panel.set_xlabel("time")
panel.set_title(
    "Survival: estimated, and exact for that score (dashed)",
    loc="left",
    fontweight="bold",
)
panel.legend(frameon=False)
panel.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# .. [1] D. R. Cox, "Regression models and life-tables", Journal of the Royal Statistical Society B 34(2), 1972.
