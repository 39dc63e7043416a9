"""The programs of the gallery that score logits: they run, and their results are right."""

import runpy
from pathlib import Path

import numpy as np
import pytest

import smoothmax

matplotlib = pytest.importorskip("matplotlib")

GALLERY = Path(__file__).parents[1] / "docs" / "gallery"


@pytest.fixture(autouse=True)
def without_a_screen():
    import matplotlib.pyplot as plt

    matplotlib.use("Agg")
    yield
    plt.close("all")


def test_scores_of_a_language_model():
    """Compared with PyTorch if it is installed, and otherwise with the formula in float64."""
    found = runpy.run_path(str(GALLERY / "plot_language_model.py"))
    logits, text = found["logits"], found["text"]
    wide = logits.astype(float)
    log_p = wide - np.log(np.exp(wide).sum(axis=1, keepdims=True))
    try:
        import torch
    except ImportError:
        order = np.argsort(-wide, axis=1, kind="stable")[:, : found["TOP"]]
        values = np.take_along_axis(log_p, order, 1)
    else:
        values, order = torch.topk(torch.log_softmax(torch.from_numpy(logits), -1), found["TOP"])
    np.testing.assert_array_equal(found["tokens"], np.asarray(order))
    np.testing.assert_allclose(found["top"], np.asarray(values), rtol=1e-5)
    perplexity = np.exp(-log_p[np.arange(len(text)), text].mean())
    assert found["perplexity"] == pytest.approx(perplexity, rel=1e-6)
    # A draw's negative log-probability has the entropy as its mean: the perplexity of its text is that of the model.
    entropy = -(np.exp(log_p) * log_p).sum(axis=1)
    spread = np.sqrt((np.exp(log_p) * (log_p + entropy[:, None]) ** 2).sum(axis=1).sum()) / len(text)
    assert abs(np.log(perplexity) - entropy.mean()) < 4 * spread
    assert np.median(found["rank"][found["rows"], found["careful"]]) < np.median(found["rank"][found["rows"], text])


def test_rankings_by_plackett_and_luce():
    found = runpy.run_path(str(GALLERY / "plot_plackett_luce.py"))
    ranking, strength = found["ranking"], found["strength"]
    np.testing.assert_array_equal(np.sort(ranking, axis=1), np.tile(np.arange(len(strength)), (len(ranking), 1)))
    p = np.exp(strength) / np.exp(strength).sum()
    wins = np.bincount(ranking[:, 0], minlength=len(p)) / len(ranking)
    assert np.abs(wins - p).max() < 4 * np.sqrt(0.25 / len(ranking))
    assert found["error"] < 0.25
    value, gradient = found["log_likelihood"](strength, ranking[:3])
    exact, step = 0.0, 1e-6
    for race in ranking[:3]:
        for place, runner in enumerate(race):
            exact += strength[runner] - np.log(np.exp(strength[race[place:]]).sum())
    assert value == pytest.approx(exact, rel=1e-12)
    for i in range(len(strength)):
        moved = strength.copy()
        moved[i] += step
        slope = (found["log_likelihood"](moved, ranking[:3])[0] - value) / step
        assert gradient[i] == pytest.approx(slope, abs=1e-4)


@pytest.mark.slow
def test_bfloat16_logits_of_an_inference_server_against_pytorch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    logits = torch.from_numpy(rng.normal(0, 3, (512, 128_256)).astype(np.float32)).to(torch.bfloat16)
    text = torch.from_numpy(rng.integers(0, 128_256, 512))
    values, tokens = smoothmax.top_log_probs(logits, 20)
    log_p = torch.log_softmax(logits.float(), -1)
    largest, _ = torch.topk(logits, 20)  # equal logits are many, and PyTorch does not say which of them comes first
    assert torch.equal(torch.gather(logits, 1, tokens), largest)
    equal = largest[:, 1:] == largest[:, :-1]
    assert torch.all((tokens[:, 1:] > tokens[:, :-1])[equal])
    step = 2.0**-8  # half an ULP of bfloat16
    np.testing.assert_allclose(values.float(), torch.topk(log_p, 20).values, rtol=1.01 * step)
    found = smoothmax.log_prob(logits, text).float()
    np.testing.assert_allclose(found, torch.gather(log_p, 1, text[:, None])[:, 0], rtol=1.01 * step)
    loss = torch.nn.functional.cross_entropy(logits.float(), text)  # the logarithm of the perplexity
    assert float(smoothmax.cross_entropy(logits.float(), text)) == pytest.approx(float(loss), rel=1e-5)
    assert float(-found.mean()) == pytest.approx(float(loss), rel=step)
