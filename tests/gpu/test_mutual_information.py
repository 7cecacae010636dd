"""Mutual information on a GPU, with marginals of either kind, against the dense reference in float64."""

from __future__ import annotations

import pytest
import torch

from huenet.kernels import Bins
from tests.assertions import assert_close
from tests.gpu.cases import BACKEND, DEVICE, NO_FALLBACK, NUMBERS, OPERATORS, OPTIONS, assert_same, check, inputs, step
from tests.interpreted.cases import SINGLE
from tests.kernels.strategies import BOUNDARIES

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.usefixtures("poisoned_buffers"),
    pytest.mark.filterwarnings(NO_FALLBACK),
    pytest.mark.parametrize("operator", ["mutual_information", "mutual_information, Eq. 5"]),
]
TILED_AND_DENSE = pytest.mark.parametrize("bins", [Bins(256), Bins(7)], ids=["tiled", "dense"])


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("window, count", OPTIONS)
def test_product_of_options(window, boundary, count, operator):
    check(operator, Bins(count, window=window, boundary=boundary), inputs(600, rows=2))


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("count", [7, 257])
def test_double_precision(boundary, count, operator):
    check(operator, Bins(count, boundary=boundary), inputs(300, dtype=torch.float64))


@TILED_AND_DENSE
@pytest.mark.parametrize("number", NUMBERS[2:])  # a sample alone has no information, whose gradient is then rounding
def test_numbers_of_samples(number, bins, operator):
    check(operator, bins, inputs(number, rows=2 if number < 10_000 else 1)[:2])


@TILED_AND_DENSE
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype, bins, operator):
    half = [tensor.to(dtype).requires_grad_() for tensor in inputs(500)[:2]]
    single = [tensor.detach().float().requires_grad_() for tensor in half]
    actual, expected = step(operator, bins, half, BACKEND), step(operator, bins, single, BACKEND)
    assert actual[0].dtype == torch.float32
    assert_same(actual, [expected[0], *(gradient.to(dtype) for gradient in expected[1:])])


@TILED_AND_DENSE
def test_strides(bins, operator):
    x, y, _ = inputs(600, rows=2)
    strided = [tensor.mT.contiguous().mT.requires_grad_() for tensor in (x, y)]
    actual, expected = (step(operator, bins, leaves, BACKEND) for leaves in (strided, [x.requires_grad_(), y.requires_grad_()]))
    assert_same(actual, expected)


@TILED_AND_DENSE
@pytest.mark.parametrize("values", [(0.3, 0.3), (0.1, 0.7), (0.301, 0.302)], ids=str)
def test_images_of_few_values(values, bins, operator):
    x = torch.tensor(values, device=DEVICE).repeat(35_000)[None].requires_grad_()
    y = (x.detach().roll(1) * 0.9).requires_grad_()
    actual = step(operator, bins, [x, y], BACKEND)
    leaves = [leaf.detach().double().requires_grad_() for leaf in (x, y)]
    expected = step(operator, bins, leaves, "reference")
    # terms of some nats, each rounded; gradients of images without information are small differences of what single samples give
    assert (actual[0] - expected[0]).abs().max() <= 10 * SINGLE
    for a, e in zip(actual[1:], expected[1:]):
        assert (a - e).abs().max() <= 100 * SINGLE * bins.count / x.shape[1]


@TILED_AND_DENSE
def test_empty(bins, operator):
    for shape in ((2, 0), (0, 5), (0, 0)):
        x, y = (torch.rand(shape, device=DEVICE).requires_grad_() for _ in range(2))
        terms = OPERATORS[operator](x, y, None, bins, BACKEND)
        terms.sum().backward()
        assert terms.shape == (4, shape[0]) and not terms.any()
        assert x.grad.shape == y.grad.shape == shape


@TILED_AND_DENSE
def test_nan_samples(bins, operator):
    x, y, _ = inputs(3000, rows=3)
    x[0, 7], y[1, 2000] = torch.nan, torch.nan
    terms, expected = (OPERATORS[operator](x, y, None, bins, backend) for backend in (BACKEND, "reference"))
    assert torch.equal(terms.isnan(), expected.isnan())
    assert terms[:2, :2].isnan().all()
    assert_close(terms[:, 2], expected[:, 2], 10 * SINGLE)
