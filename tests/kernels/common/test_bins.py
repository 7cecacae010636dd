"""Bins: validation, geometry, and the windows' own properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from huenet.kernels import Bins
from huenet.kernels.common.bins import as_bins_pair
from huenet.kernels.common.windows import WINDOWS as FUNCTIONS
from tests.kernels.strategies import ALL_WINDOWS, BOUNDARIES, WINDOWS

EPS = torch.finfo(torch.float64).eps


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"count": 0}, ValueError, "bins.count must be at least 1"),
        ({"count": 2.5}, TypeError, "bins.count must be an integer, got 2.5"),
        ({"count": True}, TypeError, "bins.count must be an integer, got True"),
        ({"low": 1.0}, ValueError, "bins.low must be below bins.high, by 1e-30 to 1e30, got low=1.0, high=1.0"),
        ({"low": -1e308, "high": 1e308}, ValueError, "bins.low must be below bins.high, by 1e-30 to 1e30"),
        ({"count": 2**70}, ValueError, "bins.count must be at least 1 and below 2"),
        ({"bandwidth": 1e-310}, ValueError, "bins.bandwidth must be positive, from 1e-30"),
        ({"high": math.inf}, ValueError, "bins.high must be finite, got inf"),
        ({"low": "0"}, TypeError, "bins.low must be a real number, got '0'"),
        ({"bandwidth": 0.0}, ValueError, "bins.bandwidth must be positive"),
        ({"bandwidth": math.nan}, ValueError, "bins.bandwidth must be finite, got nan"),
        ({"boundary": "wrap"}, ValueError, "bins.boundary must be one of open, reflect, circular, got 'wrap'"),
        ({"window": "hat"}, ValueError, "bins.window must be one of logistic, gaussian, triangular, bspline, .*, got 'hat'"),
        (
            {"window": "inverse_quadratic", "boundary": "circular"},
            ValueError,
            "bins.boundary must be open for window inverse_quadratic, whose tails have no end, got 'circular'",
        ),
    ],
)
def test_bad_values_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        Bins(**arguments)


def test_edges_and_centers():
    bins = Bins(4, low=-1, high=1)
    torch.testing.assert_close(bins.edges, torch.tensor([-1, -0.5, 0, 0.5, 1], dtype=torch.float64))
    torch.testing.assert_close(bins.centers, torch.tensor([-0.75, -0.25, 0.25, 0.75], dtype=torch.float64))


def test_natural_bandwidths():
    natural = {"logistic": 0.4, "gaussian": 0.4, "box": 0.5}
    assert {name: Bins(window=name).effective_bandwidth for name in ALL_WINDOWS} == {n: natural.get(n, 1.0) for n in ALL_WINDOWS}


def test_numpy_numbers_are_plain_ones():
    bins = Bins(np.int64(7), np.float32(-0.1), np.float32(0.3))
    assert bins == Bins(7, float(np.float32(-0.1)), float(np.float32(0.3))) and type(bins.low) is float


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_spec_survives_a_round_trip(window, boundary):
    bins = Bins(257, -0.1, 1 / 3, 0.7, boundary, window)
    assert Bins.from_spec(bins.spec) == bins


def test_second_axis_takes_the_first_ones_settings():
    first = Bins(10, boundary="circular", window="bspline")
    assert as_bins_pair(first, None) == (first, first)
    assert as_bins_pair(first, 7)[1] == Bins(7, boundary="circular", window="bspline")
    assert as_bins_pair(first, Bins(3))[1] == Bins(3)
    with pytest.raises(TypeError, match="bins_y must be an int"):
        as_bins_pair(first, "7")


@pytest.mark.parametrize("bandwidth", [None, 0.05, 3.0])
def test_logistic_is_the_papers_difference_of_sigmoids(bandwidth):
    bins = Bins(bandwidth=bandwidth)
    w = bins.effective_bandwidth
    u = torch.linspace(-4, 4, 801, dtype=torch.float64)
    difference = torch.sigmoid((u + 0.5) / w) - torch.sigmoid((u - 0.5) / w)
    # the difference itself cancels: two roundings of numbers up to 1
    torch.testing.assert_close(bins.response(u), difference, rtol=0, atol=4 * EPS)


def test_gaussian_is_an_integral_over_the_bin():
    normal = torch.distributions.Normal(torch.tensor(0.0, dtype=torch.float64), 0.4)
    u = torch.linspace(-2, 2, 401, dtype=torch.float64)
    difference = normal.cdf(u + 0.5) - normal.cdf(u - 0.5)
    torch.testing.assert_close(Bins(window="gaussian").response(u), difference, rtol=0, atol=4 * EPS)


@pytest.mark.parametrize(
    "window, expected",
    [
        ("triangular", [1, 0.5, 0, 0]),
        ("bspline", [2 / 3, 23 / 48, 1 / 6, 0]),
        ("rbf", [1, math.exp(-1 / 8), math.exp(-1 / 2), math.exp(-2)]),
        ("inverse_quadratic", [1, 4 / 5, 1 / 2, 1 / 5]),
        ("box", [1, 1 / 2, 0, 0]),
        ("epanechnikov", [1, 3 / 4, 0, 0]),
        ("xu", [1, 1 / 2, 0, 0]),
        ("truncated_gaussian", [1, math.exp(-1 / 8), math.exp(-1 / 2) / 2, 0]),
    ],
)
def test_windows_at_known_points(window, expected):
    u = torch.tensor([0, 0.5, 1, 2], dtype=torch.float64)
    torch.testing.assert_close(Bins(window=window).response(u), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("window", ALL_WINDOWS)
@pytest.mark.parametrize("bandwidth", [None, 0.3, 2.0])
def test_windows_are_even_and_their_derivatives_right(window, bandwidth):
    bins = Bins(window=window, bandwidth=bandwidth)
    u = torch.linspace(-5, 5, 997, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(bins.response(u), bins.response(-u), rtol=0, atol=EPS)
    (slope,) = torch.autograd.grad(bins.response(u).sum(), u)
    # autograd rounds each factor of the same formula: a few eps of the steepest slope, 1 / bandwidth
    torch.testing.assert_close(bins.derivative(u.detach()), slope, rtol=0, atol=16 * EPS / bins.effective_bandwidth)


@pytest.mark.parametrize("window", ALL_WINDOWS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bandwidth", [None, 0.05, 3.0])
def test_radius_reaches_all_that_dtype_can_see(window, dtype, bandwidth):
    bins = Bins(window=window, bandwidth=bandwidth)
    radius = bins.radius(dtype)
    # the farthest a sample can be from the first bin left out: at the near edge of its own
    left_out = bins.response(torch.tensor(radius + 0.5, dtype=torch.float64))
    assert left_out <= torch.finfo(dtype).eps
    assert radius == 1 or bins.response(torch.tensor(radius - 1.5, dtype=torch.float64)) > 0


@pytest.mark.parametrize("window", [*WINDOWS, "box", "xu"])
def test_natural_windows_sum_to_one_over_all_bins(window):
    assert FUNCTIONS[window].natural_bandwidth == Bins(window=window).effective_bandwidth
    offsets = torch.arange(-40, 40, dtype=torch.float64) + 0.37
    torch.testing.assert_close(Bins(window=window).response(offsets).sum().item(), 1.0, rtol=0, atol=80 * EPS)
