"""Every way of making a joint histogram gives the same, whichever an estimate of its time would choose."""

from __future__ import annotations

import importlib

import pytest
import torch

from huenet.kernels import Bins, joint_histogram
from huenet.kernels.common import tiles
from huenet.kernels.joint_histogram.ways import Way
from tests.assertions import assert_close, assert_gradients_close
from tests.kernels.agreement import EXACT, SINGLE
from tests.kernels.strategies import gradients, samples

PORTABLE, PRODUCT = (importlib.import_module(f"huenet.kernels.joint_histogram.{name}") for name in ("portable", "product"))


@pytest.mark.parametrize("way", [None, Way(None, None), Way(None, 1), Way(1, None), Way(1, 1)], ids=str)
@pytest.mark.parametrize("boundary", ["open", "circular", "reflect"])
@pytest.mark.parametrize("weighted", [False, True])
def test_every_way_gives_the_reference(monkeypatch: pytest.MonkeyPatch, way: Way | None, boundary: str, weighted: bool) -> None:
    """Of tiles and of cells on either axis, with other bins on each."""
    bins, other = Bins(96, boundary=boundary, bandwidth=1.0), Bins(128, -0.2, 1.3, boundary=boundary, bandwidth=1.5)
    inputs = [samples(2, 700, seed=seed, dtype=torch.float32, spill=0.2) for seed in range(2 + weighted)]
    inputs[2:] = [weights.abs() for weights in inputs[2:]]
    monkeypatch.setattr(PRODUCT, "HELD", 0)  # else so few responses are held, and no way is chosen
    chosen = []
    monkeypatch.setattr(PORTABLE, "way_for", lambda *_: chosen.append(way) or way)
    ours = gradients(lambda x, y, weights=None: joint_histogram(x, y, bins, other, weights=weights, backend="torch"), inputs)
    assert chosen == [way, way]  # forward and backward
    doubles = [tensor.double() for tensor in inputs]
    theirs = gradients(lambda x, y, weights=None: joint_histogram(x, y, bins, other, weights=weights, backend="reference"), doubles)
    assert_close(ours[0].double(), theirs[0], SINGLE)
    assert_gradients_close([grad.double() for grad in ours[1]], theirs[1], SINGLE, "x y weights" if weighted else "x y")


@pytest.mark.parametrize("boundary", ["open", "circular", "reflect"])
@pytest.mark.parametrize(("count", "bandwidth"), [(5, 1.0), (40, 0.4), (100, 3.0)])
def test_folded_in_slices_or_by_an_index(monkeypatch: pytest.MonkeyPatch, boundary: str, count: int, bandwidth: float) -> None:
    """Five bins in slices as well: their window goes around the circle a few times."""
    bins = Bins(count, boundary=boundary, bandwidth=bandwidth)
    for dense in (False, True):
        tiling = tiles.Tiling.covering(bins, torch.tensor([[0.05, 0.9]]), dense)
        length = tiling.blocks * tiling.tile
        extended, upstream = (torch.arange(3.0 * size, dtype=torch.float64).cos().view(3, size) for size in (length, count))
        assert tiles._stretches(tiling) is not None
        sliced = tiling.fold(extended), tiling.unfold(upstream)
        with monkeypatch.context() as patch:
            patch.setattr(tiles, "_stretches", lambda _: None)
            indexed = tiling.fold(extended), tiling.unfold(upstream)
        assert_close(sliced[0], indexed[0], EXACT)
        assert torch.equal(sliced[1], indexed[1])
        assert_close((sliced[0] * upstream).sum(), (extended * sliced[1]).sum(), EXACT)  # each the other's transpose
