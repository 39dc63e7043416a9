"""The same bits on every processor with fused multiply-add: x86-64-v3, x86-64-v4 and, from GCC, aarch64."""

import digests
import numpy as np
import pytest

from smoothmax._kernels import dispatch


@pytest.mark.skipif(not dispatch.fuses, reason=f"{dispatch.variant} has no fma here, and so bits of its own")
@pytest.mark.skipif(
    not dispatch.compiler.startswith(("gcc", "clang") if dispatch.variant.startswith("x86") else "gcc"),
    reason="nobody has tried Clang for aarch64, or other compilers",
)
def test_results_have_the_committed_bits():
    """If a change of the bits is intended, tests/digests.py --write replaces them."""
    found = digests.digests()
    assert sum(number for number, _ in found.values()) > 4000
    assert digests.differing(found) == []


def test_a_bit_that_differs_is_noticed(monkeypatch):
    found = {group: list(entry) for group, entry in digests.committed().items()}
    assert digests.differing(found) == []
    monkeypatch.setattr(digests, "calls", lambda: iter([("logsumexp f4", lambda: digests.smoothmax.logsumexp([1.0]))]))
    monkeypatch.setattr(digests, "streams", lambda: iter([]))
    (one,) = digests.digests().values()
    up = np.nextafter(1.0, 2)
    monkeypatch.setattr(digests, "calls", lambda: iter([("logsumexp f4", lambda: digests.smoothmax.logsumexp([up]))]))
    (other,) = digests.digests().values()
    assert one[0] == other[0] == 1
    assert one[1] != other[1]
