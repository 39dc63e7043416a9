"""No call leaves a floating-point flag, because NumPy would turn it into a warning."""

import numpy as np

import smoothmax


def calls_that_raise_flags(dtype):
    """Calls whose kernels raise flags: of infinities, and of elements that vanish or overflow."""
    x = np.array([[-800, 800, np.inf, 1, -np.inf], [-np.inf] * 5, [3e38, -3e38, 0, 1e-310, 2], [1, 2, 3, 4, 5]], dtype)
    y, labels, offsets = np.repeat(x, 60, axis=1), [0, 1, 2, 3], [0, 0, 3, 5]
    halves, out = np.clip(x, -6e4, 6e4).astype(np.float16), np.empty(x.shape, np.float16)
    for a in (x, y, y.T.copy().T, x[:, ::-1], x[0], np.repeat(x[0], 30_000)):
        for function in (smoothmax.logsumexp, smoothmax.softmax, smoothmax.log_softmax, smoothmax.logmeanexp):
            yield lambda f=function, a=a: (f(a), f(a, axis=0), f(a, axis=-1, scale=0.5), f(a, where=a < 0))
        yield lambda a=a: (smoothmax.logcumsumexp(a), smoothmax.logcumsumexp(a, axis=0), smoothmax.logsumexp(a, b=a))
        yield lambda a=a: (
            smoothmax.logsumexp_and_softmax(a),
            smoothmax.log_softmax_vjp(a, a),
            smoothmax.softmax_vjp(a, a),
        )
        yield lambda a=a: smoothmax.LogSumExp().update(a).result()
    yield lambda: smoothmax.softmax(x, axis=1, out=out)
    yield lambda: smoothmax.logsumexp(halves)
    yield lambda: (smoothmax.cross_entropy(x, labels), smoothmax.cross_entropy_and_grad(x, labels))
    yield lambda: (smoothmax.log_prob(x, labels), smoothmax.nll_loss(x, labels))
    yield lambda: [f(x, offsets, axis=1) for f in (smoothmax.segment_logsumexp, smoothmax.segment_softmax)]
    yield lambda: [smoothmax.logmatmulexp(x, x.T, exact=exact) for exact in (False, True)]
    yield lambda: (smoothmax.top_log_probs(x, 3), smoothmax.categorical(x[2:], rng=1))


def test_no_call_leaves_a_flag(dtype):
    """NumPy looks at flags after a loop of its own. Here the loop calls Python functions, as np.vectorize does."""
    for call in calls_that_raise_flags(dtype):
        with np.errstate(all="raise"):
            np.frompyfunc(lambda _, call=call: [call()], 1, 1)(0)
