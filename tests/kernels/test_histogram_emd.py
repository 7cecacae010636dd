"""histogram_emd: one operator for what soft_histogram and emd do in two."""

from __future__ import annotations

import pytest
import torch

from huenet.kernels import Bins, emd, histogram_emd, soft_histogram, squared_emd
from tests.assertions import assert_close, assert_gradients_close
from tests.kernels.strategies import BOUNDARIES, gradients, samples

EXACT = 1e-12


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("circular", [False, True])
@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("backend", ["torch", "reference"])
def test_is_the_distance_of_the_histogram(boundary, circular, squared, backend):
    bins = Bins(100, boundary=boundary)
    inputs = [samples(2, 3, 500), samples(2, 3, 500, seed=1, spill=0.0), soft_histogram(samples(3, 40, seed=2), bins)]
    fused = lambda x, w, t: histogram_emd(x, t, bins, circular=circular, squared=squared, weights=w, backend=backend)  # noqa: E731
    distance = squared_emd if squared else emd
    apart = lambda x, w, t: distance(soft_histogram(x, bins, weights=w, backend="reference"), t, circular=circular)  # noqa: E731
    actual, actual_gradients = gradients(fused, inputs)
    expected, expected_gradients = gradients(apart, inputs)
    assert_close(actual, expected, EXACT)
    assert_gradients_close(actual_gradients, expected_gradients, 10 * EXACT, "x weights target")


def test_equal_histograms_are_at_distance_zero_with_no_gradient():
    x = samples(2, 300).requires_grad_()
    histogram_emd(x, soft_histogram(x, 64).detach(), 64).sum().backward()
    assert not x.grad.any()


def test_half_precision_and_no_samples():
    target = soft_histogram(torch.rand(50), 64)
    assert histogram_emd(torch.rand(2, 50).half(), target, 64).dtype == torch.float32
    assert_close(histogram_emd(torch.zeros(2, 0), target, 64), emd(torch.zeros(2, 64), target, circular=True), 1e-6)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: histogram_emd(torch.rand(9), torch.rand(8), 9), ValueError, "target must have as many bins"),
        (lambda: histogram_emd(torch.rand(2, 9), torch.rand(3, 8), 8), ValueError, "target must broadcast against x"),
        (lambda: histogram_emd(torch.rand(9), torch.arange(8), 8), TypeError, "target must be a floating tensor"),
        (
            lambda: histogram_emd(torch.rand(9), torch.rand(8), 8, squared=1),
            TypeError,
            "circular and squared must be True or False",
        ),
        (lambda: histogram_emd(torch.rand(9), torch.rand(8), 8, backend="cuda"), ValueError, "backend must be None or one of"),
        (lambda: histogram_emd(torch.rand(9), torch.rand(8), "8"), TypeError, "bins must be an int or"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_compiles_without_graph_breaks():
    x, target = samples(2, 300).requires_grad_(), soft_histogram(samples(2, 40), 64)
    function = lambda x: histogram_emd(x, target, 64).sum()  # noqa: E731
    (compiled,) = torch.autograd.grad(torch.compile(function, fullgraph=True, backend="aot_eager")(x), x)
    (plain,) = torch.autograd.grad(function(x), x)
    assert_close(compiled, plain, EXACT)
