"""The windows that other libraries have, in the Triton kernels."""

from __future__ import annotations

import pytest

from huenet.kernels import Bins
from tests.interpreted.test_histograms import check, joint, soft
from tests.kernels.strategies import OTHER_WINDOWS, boundaries_of, clustered, votes

CASES = [
    pytest.param(window, boundary, count, id=f"{window}-{boundary}-{count}")
    for window in OTHER_WINDOWS
    for boundary, count in zip(("reflect", "circular", "open"), (7, 64, 130))
    if boundary in boundaries_of(window)
]


@pytest.mark.parametrize("window, boundary, count", CASES)
def test_against_the_reference(window, boundary, count):
    bins, single = Bins(count, window=window, boundary=boundary), Bins(count, window=window)
    x, y, w = clustered(37).float(), clustered(37, seed=1).float(), votes(37).float()
    if window == "box":  # which has no slope
        check(lambda backend: lambda w: soft(bins)(backend)(x.to(w.dtype), w), [w], names="weights")
        check(lambda backend: lambda w: joint(bins)(backend)(x.to(w.dtype), y.to(w.dtype), w), [w], names="weights")
        return
    check(soft(bins), [x, w], soft(single))
    check(joint(bins), [x, y, w], joint(single))
