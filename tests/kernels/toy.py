"""A window that the package does not have, declared as CONTRIBUTING.md says: one entry, and nothing else is touched."""

from __future__ import annotations

import torch

from huenet.kernels import Bins, joint_histogram, soft_histogram
from huenet.kernels.common.windows import Window
from tests.assertions import assert_close, assert_gradients_close
from tests.kernels.agreement import EXACT
from tests.kernels.strategies import gradients, samples


def biweight(u, width):
    """(1 - (u / width)^2)^2 within the width: smooth, but for its second derivative at the ends."""
    return torch.relu(1 - (u / width).square()).square()


def biweight_derivative(u, width):
    return -4 * u / width**2 * torch.relu(1 - (u / width).square())


def kernel_biweight(u, W, PER_W, CONSTANT):
    rest = tl.maximum(1 - u * u * CONSTANT, 0)  # noqa: F821, as kernels have it
    return rest * rest


def kernel_biweight_derivative(u, W, PER_W, CONSTANT):
    return -4 * CONSTANT * u * tl.maximum(1 - u * u * CONSTANT, 0)  # noqa: F821


TOY = Window(
    biweight, biweight_derivative, kernel_biweight, kernel_biweight_derivative,
    natural_bandwidth=1.5, reach=lambda w, eps: w, knots=(-1, 1), constant=lambda w: 1 / w**2, even_sum=lambda w: False,
)  # fmt: skip


def check_toy(backend: str, count: int, boundary: str) -> None:
    """Histograms and joint histograms of window "toy" and their gradients, `backend` against the reference, in float64."""
    bins = Bins(count, window="toy", boundary=boundary)
    soft = lambda backend: lambda x: soft_histogram(x, bins, backend=backend)  # noqa: E731
    joint = lambda backend: lambda x, y: joint_histogram(x, y, bins, backend=backend)  # noqa: E731
    inputs = [samples(1, 12), samples(1, 12, seed=1)]
    for function, given in ((soft, inputs[:1]), (joint, inputs)):
        expected, expected_gradients = gradients(function("reference"), given)
        actual, actual_gradients = gradients(function(backend), given)
        assert_close(actual, expected, EXACT)
        assert_gradients_close(actual_gradients, expected_gradients, EXACT)
    assert torch.autograd.gradcheck(soft(backend), [samples(1, 5, spill=0.0).requires_grad_()], fast_mode=True)
