"""The windows that other libraries have, in all histograms: the block-sparse backend against the dense reference."""

from __future__ import annotations

import math

import pytest
import torch

from huenet.kernels import Bins, histogram_emd, joint_histogram, mutual_information, patch_histogram, soft_histogram
from tests.assertions import assert_close, assert_gradients_close
from tests.kernels.strategies import OTHER_WINDOWS, boundaries_of, gradients, samples

#: as in test_histograms.py
EXACT, SINGLE = 1e-12, 2e-6
CASES = [(window, boundary) for window in OTHER_WINDOWS for boundary in boundaries_of(window)]


def soft(bins, backend):
    return lambda x, *w: soft_histogram(x, bins, weights=w[0] if w else None, backend=backend)


def joint(bins, bins_y, backend):
    return lambda x, y, *w: joint_histogram(x, y, bins, bins_y, weights=w[0] if w else None, backend=backend)


def check(function, inputs, tolerance, exact=True):
    """`function(backend)(*inputs)` and its gradients, "torch" against the reference in float64; not exact: inputs in float32."""
    given = inputs if exact else [tensor.float() for tensor in inputs]
    actual, actual_gradients = gradients(function("torch"), given)
    expected, expected_gradients = gradients(function("reference"), [tensor.double() for tensor in given])
    assert_close(actual, expected, tolerance)
    moving = [bool(slope.any()) for slope in expected_gradients]  # a box has no slope
    assert any(moving)
    assert_gradients_close(
        *([g for g, m in zip(grads, moving) if m] for grads in (actual_gradients, expected_gradients)), tolerance
    )
    assert not any(slope.any() for slope, m in zip(actual_gradients, moving) if not m)


@pytest.mark.parametrize("exact", [True, False], ids=["float64", "float32"])
@pytest.mark.parametrize("count, bandwidth", [(5, None), (5, 0.3), (64, None), (64, 0.3), (64, 0.7), (64, 4.0), (257, None)])
@pytest.mark.parametrize("window, boundary", CASES)
def test_histograms_agree_with_reference(window, boundary, count, bandwidth, exact):
    bins = Bins(count, window=window, boundary=boundary, bandwidth=bandwidth)
    x, y, w = samples(2, 211), samples(2, 211, seed=1), samples(2, 211, seed=2, spill=0.0)
    tolerance = EXACT if exact else SINGLE
    check(lambda backend: soft(bins, backend), [x, w], tolerance, exact)
    check(lambda backend: joint(bins, 33, backend), [x, y, w], tolerance, exact)


@pytest.mark.parametrize("window, boundary", CASES)
def test_losses_agree_with_reference(window, boundary):
    bins = Bins(64, window=window, boundary=boundary)
    x, y = samples(2, 500), samples(2, 500, seed=1)
    information = lambda backend: lambda x, y: torch.stack(mutual_information(x, y, bins, backend=backend))  # noqa: E731
    if window != "box":  # without weights, nothing moves
        check(information, [x, y], EXACT)
    distance = lambda backend: lambda x, h: histogram_emd(x, h, bins, circular=boundary == "circular", backend=backend)  # noqa: E731
    if window != "box":
        check(distance, [x, soft_histogram(y, bins)], EXACT)
    image = samples(1, 2, 12, 12, spill=0.0)
    patches = lambda backend: lambda x: patch_histogram(x, bins, patch=4, stride=2, backend=backend)  # noqa: E731
    if window != "box":
        check(patches, [image], EXACT)


@pytest.mark.parametrize("count", [16, 256])
def test_a_box_counts_as_numpy_does(count):
    x = samples(5000, spill=0.0)
    counts = torch.histogram(x, count, range=(0.0, 1.0)).hist
    assert_close(soft_histogram(x, Bins(count, window="box")) * len(x), counts, EXACT)


@pytest.mark.parametrize("backend", ["reference", "torch"])
@pytest.mark.parametrize("window", ["box", "truncated_gaussian"])
def test_samples_on_a_jump_count_half_on_either_side(window, backend):
    bins = Bins(4, 0.0, 4.0, 0.5, window=window)
    x = torch.tensor([1.0, 3.0], dtype=torch.float64)
    end = 0.5 * (1.0 if window == "box" else math.exp(-0.5))
    expected = torch.full((4,), end / 2, dtype=torch.float64)
    assert_close(soft_histogram(x, bins, backend=backend), expected, EXACT)


@pytest.mark.parametrize("window, boundary", CASES)
def test_nan_and_infinity(window, boundary):
    bins = Bins(9, window=window, boundary=boundary)
    x = torch.tensor([[0.2, torch.nan], [0.2, 0.4]], dtype=torch.float64)
    histogram = soft_histogram(x, bins)
    assert histogram[0].isnan().all() and histogram[1].isfinite().all()
    if boundary == "open":
        far = soft_histogram(torch.tensor([0.2, torch.inf, -torch.inf], dtype=torch.float64), bins)
        assert_close(far, soft_histogram(torch.tensor([0.2], dtype=torch.float64), bins) / 3, EXACT)


def test_tails_without_end_are_counted_whole():
    """Of a window so narrow that its tails, beyond where one response is a rounding of the peak, are most of what far bins get."""
    bins, x = Bins(256, window="inverse_quadratic", bandwidth=0.02), samples(20_000, dtype=torch.float32, spill=0.0)
    assert_close(soft_histogram(x, bins), soft_histogram(x.double(), bins, backend="reference"), SINGLE)
