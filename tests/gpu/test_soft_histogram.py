"""Soft histograms on a GPU against the dense reference in float64."""

from __future__ import annotations

import pytest
import torch

from huenet.kernels import Bins, soft_histogram
from tests.assertions import assert_close
from tests.gpu.cases import BACKEND, DEVICE, NO_FALLBACK, NUMBERS, OPTIONS, assert_same, check, image, inputs, step
from tests.interpreted.cases import SINGLE
from tests.kernels.strategies import BOUNDARIES

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("poisoned_buffers"), pytest.mark.filterwarnings(NO_FALLBACK)]
TILED_AND_DENSE = pytest.mark.parametrize("bins", [Bins(256, boundary="circular"), Bins(7)], ids=["tiled", "dense"])


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("window, count", OPTIONS)
def test_product_of_options(window, boundary, count):
    check("soft_histogram", Bins(count, window=window, boundary=boundary), inputs(600, rows=2))


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("count", [7, 257])
def test_double_precision(boundary, count):
    check("soft_histogram", Bins(count, boundary=boundary), inputs(300, dtype=torch.float64))


@pytest.mark.parametrize("bandwidth", [0.05, 1.5, 20.0])
@pytest.mark.parametrize("boundary", ["open", "circular"])
def test_bandwidths(bandwidth, boundary):
    bins = Bins(256, -1.0, 2.0, bandwidth, boundary)
    x = torch.cat(inputs(300)[:2]).requires_grad_()
    results = [soft_histogram(leaf, bins, backend=backend) for leaf, backend in ((x, BACKEND), (x.double(), "reference"))]
    actual, expected = (torch.autograd.grad(h, x, torch.linspace(-1, 1, 256, device=DEVICE).to(h).expand_as(h))[0] for h in results)
    assert_close(results[0], results[1], SINGLE)
    # the gradient of so even a ramp is as small as it, over a bin: rounding counts as many times more
    assert_close(actual, expected, 256 * SINGLE)


@TILED_AND_DENSE
@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_of_samples(number, bins):
    check("soft_histogram", bins, inputs(number)[: 3 if number > 1 else 2])  # the weight of a sample alone has no effect
    check("soft_histogram", bins, inputs(number, rows=2)[:2])


@TILED_AND_DENSE
@pytest.mark.parametrize("values", [(0.3, 0.3), (0.1, 0.7), (0.301, 0.302), (0.0, 1.0)], ids=str)
def test_images_of_few_values(values, bins):
    """Among them long sums in one place, which matrix units must not truncate."""
    x = torch.tensor(values, device=DEVICE).repeat(35_000)[None]
    check("soft_histogram", bins, [x, x.flip(1) * 0.9])


@TILED_AND_DENSE
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype, bins):
    half = [tensor.to(dtype).requires_grad_() for tensor in inputs(500)[:2]]
    single = [tensor.detach().float().requires_grad_() for tensor in half]
    actual, expected = step("soft_histogram", bins, half, BACKEND), step("soft_histogram", bins, single, BACKEND)
    assert actual[0].dtype == torch.float32
    assert_same(actual, [expected[0], *(gradient.to(dtype) for gradient in expected[1:])])


@TILED_AND_DENSE
def test_strides(bins):
    x = image(600, rows=4).float().to(DEVICE)
    strided = x.mT.contiguous().mT[::2, ::2]
    leaf, dense = strided.detach().requires_grad_(), strided.contiguous().requires_grad_()
    for gradient in (torch.ones(2, bins.count), torch.rand(bins.count, 2).mT, torch.rand(bins.count).expand(2, -1)):
        results = []
        for each, upstream in ((leaf, gradient.to(DEVICE)), (dense, gradient.to(DEVICE).contiguous())):
            histogram = soft_histogram(each, bins, backend=BACKEND)
            results.append([histogram, torch.autograd.grad(histogram, each, upstream)[0]])
        assert_same(*results)


@TILED_AND_DENSE
def test_empty(bins):
    for shape in ((2, 0), (0, 5), (0, 0)):
        x = torch.rand(shape, device=DEVICE).requires_grad_()
        histogram = soft_histogram(x, bins, backend=BACKEND)
        histogram.sum().backward()
        assert histogram.shape == (shape[0], bins.count) and not histogram.any()
        assert x.grad.shape == shape


@TILED_AND_DENSE
def test_nan_and_infinite_samples(bins):
    x, _, w = inputs(3000, rows=4)
    x[0, 7], x[1, 7], w[2, 3] = torch.nan, torch.inf, torch.nan
    histogram, expected = (
        soft_histogram(x, bins, weights=w, backend=BACKEND),
        soft_histogram(x, bins, weights=w, backend="reference"),
    )
    kept = [3] if bins.boundary == "circular" else [1, 3]  # infinity has no place on a circle
    assert histogram[[0, 2]].isnan().all()
    assert torch.equal(histogram.isnan(), expected.isnan())
    assert_close(histogram[kept], expected[kept], SINGLE)
