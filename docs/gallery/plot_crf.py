"""
The partition function of a conditional random field
====================================================

A linear-chain conditional random field scores a sequence of labels by the sum of a score for each label and one for
each pair of neighbours. Its probability is the exponential of that score, divided by the sum over all sequences. There
are too many sequences to list, so they are summed step by step: each step is a product of matrices in log space, for a
whole batch at a time.
"""

import timeit

import matplotlib.pyplot as plt
import numpy as np
import smoothmax
from scipy import special

# %%
# Scores of 40 labels at 60 positions, for a batch of 128 sequences.
batch, length, labels = 128, 60, 40
rng = np.random.default_rng(3)
scores = 2 * rng.standard_normal((length, batch, labels))
pairs = rng.standard_normal((labels, labels))

# %%
# The algorithm
# -------------
#
# Row b of ``sums`` has, for each label, the log-sum over all sequences that end with it, of sequence b of the batch. A
# step multiplies that matrix by the exponentials of the scores of pairs, in log space.


def log_partition(scores, pairs):
    sums = scores[0].copy()
    for score in scores[1:]:
        sums = smoothmax.logmatmulexp(sums, pairs) + score
    return smoothmax.logsumexp(sums, axis=-1)


def log_marginals(scores, pairs):
    """The log-probability of each label at each position: sums from both ends, normalised."""
    before, after = np.empty_like(scores), np.zeros_like(scores)
    before[0] = scores[0]
    for t in range(1, len(scores)):
        before[t] = smoothmax.logmatmulexp(before[t - 1], pairs) + scores[t]
    for t in range(len(scores) - 1, 0, -1):
        after[t - 1] = smoothmax.logmatmulexp(after[t] + scores[t], pairs.T)
    return smoothmax.log_softmax(before + after, axis=-1)


log_z = log_partition(scores, pairs)
print(
    f"log-sums over {labels}**{length} sequences: {log_z[0]:.3f}, {log_z[1]:.3f}, ..."
)

# %%
# The log-probability of a sequence of labels is its score minus the log-partition; here, of the best label of each
# position.
best = scores.argmax(axis=-1)
score = np.take_along_axis(scores, best[..., None], -1)[..., 0].sum(axis=0)
score += pairs[best[:-1], best[1:]].sum(axis=0)
print(
    f"log-probability of the labels with the best scores: {score[0] - log_z[0]:.3f}"
)

# %%
# Before and after
# ----------------
#
# Without a product, each step makes an array of batch times labels times labels and reduces it.


def log_partition_by_terms(scores, pairs):
    sums = scores[0]
    for score in scores[1:]:
        sums = special.logsumexp(sums[:, :, None] + pairs, axis=1) + score
    return special.logsumexp(sums, axis=-1)


for name, function in (
    ("SciPy's logsumexp", log_partition_by_terms),
    ("logmatmulexp", log_partition),
):
    seconds = min(
        timeit.repeat(lambda f=function: f(scores, pairs), number=1, repeat=3)
    )
    print(f"{name:18}: {seconds * 1e3:6.1f} ms")
assert np.allclose(log_partition_by_terms(scores, pairs), log_z, rtol=1e-12)

# %%
# The marginals
# -------------
#
# The gradient of the log-partition with respect to a score is the probability of that label at that position.
marginals = np.exp(log_marginals(scores, pairs))
moved = scores.copy()
moved[10, 0, 3] += 1e-6
slope = (log_partition(moved, pairs)[0] - log_z[0]) / 1e-6
print(f"probability: {marginals[10, 0, 3]:.6f}, slope: {slope:.6f}")
figure, panel = plt.subplots(figsize=(9, 3.6), layout="constrained")
panel.imshow(marginals[:, 0].T, aspect="auto", origin="lower", cmap="Blues")
panel.set_xlabel("position")
panel.set_ylabel("label")
panel.set_title(
    "Probability of each label, of one sequence", loc="left", fontweight="bold"
)
plt.show()
