"""The fused earth mover's distance on a GPU against the dense reference in float64."""

from __future__ import annotations

import pytest
import torch

from huenet.kernels import Bins, histogram_emd, soft_histogram
from tests.gpu.cases import BACKEND, DEVICE, NO_FALLBACK, NUMBERS, OPTIONS, assert_same, check, default, inputs, step
from tests.interpreted import cases
from tests.kernels.strategies import BOUNDARIES

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("poisoned_buffers"), pytest.mark.filterwarnings(NO_FALLBACK)]
TILED_AND_DENSE = pytest.mark.parametrize("bins", [Bins(256, boundary="circular"), Bins(7)], ids=["tiled", "dense"])


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("window, count", OPTIONS)
def test_product_of_options(window, boundary, count):
    check("histogram_emd", Bins(count, window=window, boundary=boundary), inputs(600, rows=2))


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("circular", [False, True])
@pytest.mark.parametrize("bins", [Bins(64, boundary="circular"), Bins(257), Bins(2048), Bins(9)], ids=str)
def test_kinds_of_distance(bins, circular, squared):
    x, y, w = inputs(600, rows=2)
    target = soft_histogram(y.double(), bins, backend="reference")

    def distance(backend):
        return lambda x, w: histogram_emd(
            x, target.to(x.dtype), bins, circular=circular, squared=squared, weights=w, backend=default(backend)
        )

    size = histogram_emd(x.double(), target, bins, circular=circular, weights=w, backend="reference").min().item()
    cases.check(distance, [x, w], condition=1 / size)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("count", [7, 257])
def test_double_precision(boundary, count):
    check("histogram_emd", Bins(count, boundary=boundary), inputs(300, dtype=torch.float64))


@TILED_AND_DENSE
@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_of_samples(number, bins):
    check("histogram_emd", bins, inputs(number, rows=2 if number < 10_000 else 1)[:2])


@TILED_AND_DENSE
@pytest.mark.parametrize("values", [(0.3, 0.3), (0.1, 0.7), (0.301, 0.302), (0.0, 1.0)], ids=str)
def test_images_of_few_values(values, bins):
    x = torch.tensor(values, device=DEVICE).repeat(35_000)[None]
    check("histogram_emd", bins, [x, 0.2 + 0.5 * x.flip(1)])


@TILED_AND_DENSE
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype, bins):
    half = [tensor.to(dtype).requires_grad_() for tensor in inputs(500)[:2]]
    single = [tensor.detach().float().requires_grad_() for tensor in half]
    actual, expected = step("histogram_emd", bins, half, BACKEND), step("histogram_emd", bins, single, BACKEND)
    assert actual[0].dtype == torch.float32
    assert_same(actual, [expected[0], *(gradient.to(dtype) for gradient in expected[1:])])


@TILED_AND_DENSE
def test_strides(bins):
    """Of samples, of a target for all images, and of the gradient, which `step` gives as it comes from a sum."""
    x, _, _ = inputs(600, rows=2)
    target = soft_histogram(torch.rand(99, device=DEVICE), bins)
    results = []
    for leaf, goal in ((x.mT.contiguous().mT, target), (x, target.expand(2, -1).contiguous())):
        leaf.requires_grad_()
        distance = histogram_emd(leaf, goal, bins, backend=BACKEND)
        ones = torch.ones([], device=DEVICE).expand(2)
        results.append([distance, *torch.autograd.grad(distance, leaf, ones if goal is target else ones.contiguous())])
    assert_same(*results)


@TILED_AND_DENSE
def test_equal_histograms_are_at_distance_zero(bins):
    x = inputs(5000, rows=2)[0].requires_grad_()
    target = soft_histogram(x, bins, backend=BACKEND).detach()
    distance = histogram_emd(x, target, bins, backend=BACKEND)
    distance.sum().backward()
    assert not distance.any() and not x.grad.any()


@TILED_AND_DENSE
def test_empty(bins):
    for shape in ((2, 0), (0, 5), (0, 0)):
        x = torch.rand(shape, device=DEVICE).requires_grad_()
        distance = histogram_emd(x, torch.zeros(bins.count, device=DEVICE), bins, backend=BACKEND)
        distance.sum().backward()
        assert distance.shape == shape[:1] and not distance.any()
        assert x.grad.shape == shape


@TILED_AND_DENSE
def test_nan_samples(bins):
    x, y, _ = inputs(3000, rows=3)
    target = soft_histogram(y, bins, backend=BACKEND)
    x[0, 7], target[1, 3] = torch.nan, torch.nan
    distance = histogram_emd(x, target, bins, backend=BACKEND)
    assert distance.isnan().tolist() == [True, True, False]
