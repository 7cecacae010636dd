"""Joint histograms on a GPU against the dense reference in float64."""

from __future__ import annotations

import pytest
import torch

from huenet.kernels import Bins, joint_histogram
from tests.assertions import assert_close
from tests.gpu.cases import BACKEND, DEVICE, NO_FALLBACK, NUMBERS, OPTIONS, assert_same, check, image, inputs, step
from tests.interpreted.cases import SINGLE
from tests.kernels.strategies import BOUNDARIES, gradients

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("poisoned_buffers"), pytest.mark.filterwarnings(NO_FALLBACK)]
TILED_AND_DENSE = pytest.mark.parametrize("bins", [Bins(256, boundary="circular"), Bins(7)], ids=["tiled", "dense"])


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("window, count", OPTIONS)
def test_product_of_options(window, boundary, count):
    check("joint_histogram", Bins(count, window=window, boundary=boundary), inputs(600, rows=2))


@pytest.mark.parametrize("bandwidth", [0.05, 1.5])
@pytest.mark.parametrize(
    "bins, bins_y", [(Bins(256, boundary="circular"), 1000), (Bins(257), Bins(64, boundary="reflect")), (100, 7)]
)
def test_two_kinds_of_bins(bins, bins_y, bandwidth):
    bins = Bins(bins, bandwidth=bandwidth) if isinstance(bins, int) else Bins(bins.count, 0, 1, bandwidth, bins.boundary)
    results = [
        gradients(
            lambda x, y, b=backend: joint_histogram(x, y, bins, bins_y, backend=b), [tensor.to(dtype) for tensor in inputs(400)[:2]]
        )
        for backend, dtype in ((BACKEND, torch.float32), ("reference", torch.float64))
    ]
    (actual, slopes), (expected, expected_slopes) = results
    assert_close(actual, expected, SINGLE)
    for a, e in zip(slopes, expected_slopes):
        assert_close(a, e, 2 * SINGLE)  # at an open end the gradients of a sample's last bins nearly cancel


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("count", [7, 257])
def test_double_precision(boundary, count):
    check("joint_histogram", Bins(count, boundary=boundary), inputs(300, dtype=torch.float64))


@TILED_AND_DENSE
@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_of_samples(number, bins):
    check("joint_histogram", bins, inputs(number)[: 3 if number > 1 else 2])  # the weight of a sample alone has no effect
    check("joint_histogram", bins, inputs(number, rows=2 if number < 10_000 else 1)[:2])


@TILED_AND_DENSE
@pytest.mark.parametrize("values", [(0.3, 0.3), (0.1, 0.7), (0.301, 0.302), (0.0, 1.0)], ids=str)
def test_images_of_few_values(values, bins):
    """Among them long sums in one place, which matrix units must not truncate."""
    x = torch.tensor(values, device=DEVICE).repeat(35_000)[None]
    check("joint_histogram", bins, [x, x.flip(1) * 0.9])


@TILED_AND_DENSE
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype, bins):
    half = [tensor.to(dtype).requires_grad_() for tensor in inputs(500)[:2]]
    single = [tensor.detach().float().requires_grad_() for tensor in half]
    actual, expected = step("joint_histogram", bins, half, BACKEND), step("joint_histogram", bins, single, BACKEND)
    assert actual[0].dtype == torch.float32
    assert_same(actual, [expected[0], *(gradient.to(dtype) for gradient in expected[1:])])


@TILED_AND_DENSE
def test_strides(bins):
    x, y = (image(600, rows, seed).float().to(DEVICE) for seed, rows in ((0, 4), (1, 1)))
    strided = x.mT.contiguous().mT[::2, ::2].detach().requires_grad_()
    dense = strided.detach().contiguous().requires_grad_()
    row = torch.rand(bins.count, device=DEVICE)
    for upstream in (torch.ones([], device=DEVICE).expand(2, bins.count, bins.count), row.expand(2, bins.count, -1)):
        results = []
        for leaf, other, gradient in ((strided, y[:, ::2], upstream), (dense, y[:, ::2].repeat(2, 1), upstream.contiguous())):
            joint = joint_histogram(leaf, other, bins, backend=BACKEND)
            results.append([joint, torch.autograd.grad(joint, leaf, gradient)[0]])
        assert_same(*results)


@TILED_AND_DENSE
def test_empty(bins):
    for shape in ((2, 0), (0, 5), (0, 0)):
        x, y = (torch.rand(shape, device=DEVICE).requires_grad_() for _ in range(2))
        joint = joint_histogram(x, y, bins, backend=BACKEND)
        joint.sum().backward()
        assert joint.shape == (shape[0], bins.count, bins.count) and not joint.any()
        assert x.grad.shape == y.grad.shape == shape


@TILED_AND_DENSE
def test_nan_samples(bins):
    x, y, w = inputs(3000, rows=4)
    x[0, 7], y[1, 2000], w[2, 3] = torch.nan, torch.nan, torch.nan
    joint, expected = (joint_histogram(x, y, bins, weights=w, backend=backend) for backend in (BACKEND, "reference"))
    assert joint[:3].isnan().all()
    assert torch.equal(joint.isnan(), expected.isnan())
    assert_close(joint[3], expected[3], SINGLE)
