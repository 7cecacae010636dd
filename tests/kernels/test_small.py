"""Few samples and bins: every sample meets every bin, and responses are held from the forward to the backward pass. Both sides of
where that ends give the same."""

from __future__ import annotations

import importlib
import math

import pytest
import torch

from huenet.kernels import Bins, joint_histogram, mutual_information, soft_histogram
from tests.assertions import assert_close, assert_gradients_close
from tests.kernels.agreement import EXACT, SINGLE
from tests.kernels.strategies import gradients, samples
from tests.largest import LargestTensor

JOINT = importlib.import_module("huenet.kernels.joint_histogram.product")
SOFT = importlib.import_module("huenet.kernels.soft_histogram.product")
BOUNDS = {torch.float32: SINGLE, torch.float64: EXACT}


def joint(bins: Bins, bins_y: Bins | None = None):
    return lambda x, y, weights=None: joint_histogram(x, y, bins, bins_y, weights=weights)


def information(bins: Bins, bins_y: Bins | None = None):
    return lambda x, y, weights=None: torch.stack(mutual_information(x, y, bins, bins_y, weights=weights), -1)


def both_ways(monkeypatch: pytest.MonkeyPatch, function, inputs):
    """Value and gradients where responses are held, and where they are not."""
    held = gradients(function, inputs)
    monkeypatch.setattr(JOINT, "HELD", 0)
    monkeypatch.setattr(SOFT, "MOST", 0)
    return held, gradients(function, inputs)


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("boundary", ["open", "circular"])
@pytest.mark.parametrize("make", [joint, information])
@pytest.mark.parametrize("weighted", [False, True])
def test_held_or_not_joint_histograms_are_the_same(monkeypatch, make, boundary, weighted, dtype):
    """Within twice the bound of either, of tensors as a whole, for samples inside and beyond the range."""
    bins, other = Bins(32, boundary=boundary), Bins(21, -0.2, 1.3, boundary=boundary)
    inputs = [samples(2, 600, seed=seed, dtype=dtype, spill=0.2) for seed in range(2 + weighted)]
    inputs[2:] = [weights.abs() for weights in inputs[2:]]
    for pair in ((bins, bins), (bins, other)):
        assert JOINT.held(inputs[0], *pair, True)[0].numel()
        with monkeypatch.context() as patch:
            held, unheld = both_ways(patch, make(*pair), inputs)
        assert_close(held[0], unheld[0], 2 * BOUNDS[dtype])
        assert_gradients_close(held[1], unheld[1], 2 * BOUNDS[dtype], "x y weights" if weighted else "x y")


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("boundary", ["open", "circular"])
@pytest.mark.parametrize("weighted", [False, True])
def test_held_or_not_histograms_are_the_same(monkeypatch, boundary, weighted, dtype):
    bins = Bins(40, boundary=boundary)
    inputs = [samples(2, 600, seed=seed, dtype=dtype, spill=0.2) for seed in range(1 + weighted)]
    inputs[1:] = [weights.abs() for weights in inputs[1:]]
    assert SOFT.held(inputs[0], bins)[0].numel()
    held, unheld = both_ways(monkeypatch, lambda x, weights=None: soft_histogram(x, bins, weights=weights), inputs)
    assert_close(held[0], unheld[0], 2 * BOUNDS[dtype])
    assert_gradients_close(held[1], unheld[1], 2 * BOUNDS[dtype], "x weights" if weighted else "x")


@pytest.mark.parametrize("count", [24, 33, 64, 100])
def test_denominators_made_smaller_are_the_same(count):
    """From 26 bins on at the natural bandwidth, exponents of the farthest samples and bins add up to more than float32 holds."""
    bins, inputs = Bins(count), [samples(2, 500, seed=seed, dtype=torch.float32, spill=0.3) for seed in range(2)]
    actual = gradients(joint(bins), inputs)
    expected = gradients(lambda x, y: joint_histogram(x, y, bins, backend="reference"), [x.double() for x in inputs])
    assert_close(actual[0], expected[0], SINGLE)
    assert_gradients_close(actual[1], expected[1], SINGLE, "x y")


def test_where_it_ends():
    """By a row's multiply-adds and by the numbers held, of shapes alone; windows that do not split have none of it."""
    room = lambda n, *bins, rows=1: JOINT.held(torch.empty(rows, n), *bins, True)  # noqa: E731
    few, many = Bins(32), Bins(33)
    assert room(JOINT.SMALL // 32**2, few, few)[0].numel() and not room(JOINT.SMALL // 32**2 + 1, few, few)[0].numel()
    assert len(room(100, few, many)) == 4 and all(each.numel() for each in room(100, few, many))
    assert sum(each.numel() for each in room(4096, few, few, rows=7)) <= JOINT.HELD
    assert not room(4096, few, few, rows=8)[0].numel()
    assert not JOINT.held(torch.empty(1, 100), few, few, False)[0].numel()
    assert (
        not room(100, Bins(32, window="triangular"), few)[0].numel() and not room(100, Bins(32, boundary="reflect"), few)[0].numel()
    )
    soft = lambda n, bins: SOFT.held(torch.empty(1, n), bins)[1].numel()  # noqa: E731
    assert soft(SOFT.MOST // 32, few) == SOFT.MOST and soft(SOFT.MOST // 32 + 1, few) == 0


@pytest.mark.parametrize("function", [joint(Bins(32)), information(Bins(32))])
def test_a_nan_spoils_its_row_alone(function):
    x, y = samples(3, 200, dtype=torch.float32), samples(3, 200, seed=1, dtype=torch.float32)
    expected = gradients(function, [x, y])
    spoilt = x.clone()
    spoilt[1, 7] = math.nan
    actual = gradients(function, [spoilt, y])
    for a, e in zip((actual[0], *actual[1]), (expected[0], *expected[1]), strict=True):
        assert a[1].isnan().all() and torch.equal(a[::2], e[::2])


def test_infinite_samples_respond_in_no_bin():
    x = torch.tensor([[0.3, torch.inf, -torch.inf, 0.8]])
    bins = Bins(32)
    function = lambda x: joint_histogram(x, torch.full_like(x, 0.4), bins)  # noqa: E731
    actual, expected = gradients(function, [x]), gradients(function, [x[:, ::3]])
    torch.testing.assert_close(actual[0], expected[0] / 2)
    assert torch.equal(actual[1][0][0, 1:3], torch.zeros(2))
    assert torch.equal(soft_histogram(x[:, 1:3], bins), torch.zeros(1, 32))


def test_of_equal_samples_sums_are_not_rounded_one_way():
    """4,096 additions of one number in float32 would be off by up to 4,096 roundings."""
    x = torch.full((1, 4096), 0.3)
    torch.testing.assert_close(soft_histogram(x, 32), soft_histogram(x[:, :1], 32), rtol=SINGLE, atol=0)
    torch.testing.assert_close(joint_histogram(x, x, 32), joint_histogram(x[:, :1], x[:, :1], 32), rtol=SINGLE, atol=0)


def test_what_is_held_is_small():
    """8 MB, and not more for larger images."""
    x, y = (samples(1, 65536, seed=seed, dtype=torch.float32).requires_grad_() for seed in range(2))
    with LargestTensor() as seen:
        joint_histogram(x, y, 32).square().sum().backward()
    assert 0 < seen.bytes <= 4 * JOINT.HELD
