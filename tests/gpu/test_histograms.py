"""Histograms, mutual information and distances on a GPU against the dense reference in float64: beyond the cases of every operator,
the product of options, numbers of samples, and images of few values."""

from __future__ import annotations

import pytest
import torch

from huenet.kernels import Bins, histogram_emd, joint_histogram, soft_histogram
from tests.assertions import assert_close
from tests.gpu.cases import BACKEND, DEVICE, FUSED, HISTOGRAMS, NO_FALLBACK, NUMBERS, OPTIONS, check, draw, step
from tests.kernels.agreement import SINGLE
from tests.kernels.strategies import BOUNDARIES, gradients, samples

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("poisoned_buffers"), pytest.mark.filterwarnings(NO_FALLBACK)]
EVERY = pytest.mark.parametrize("operator", HISTOGRAMS)
TILED_AND_DENSE = pytest.mark.parametrize("bins", [Bins(256, boundary="circular"), Bins(7)], ids=["tiled", "dense"])


def inputs(
    operator: str, count: int, rows: int = 1, dtype: torch.dtype = torch.float32, weighted: bool = True
) -> list[torch.Tensor]:
    return draw(FUSED[operator], {"weighted": weighted}, count, rows, dtype)


@EVERY
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("window, count", OPTIONS)
def test_product_of_options(operator, window, boundary, count):
    check(operator, Bins(count, window=window, boundary=boundary), inputs(operator, 600, rows=2))


@pytest.mark.parametrize("marginals", ["joint", "histogram"])
@pytest.mark.parametrize("count", [7, 257])
def test_marginals(marginals, count):
    for boundary in BOUNDARIES:
        check("mutual_information", Bins(count, boundary=boundary), inputs("mutual_information", 600, rows=2), marginals=marginals)


@EVERY
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("count", [7, 257])
def test_double_precision(operator, boundary, count):
    check(operator, Bins(count, boundary=boundary), inputs(operator, 300, dtype=torch.float64))


@pytest.mark.parametrize("bandwidth", [0.05, 1.5, 20.0])
@pytest.mark.parametrize("boundary", ["open", "circular"])
def test_bandwidths(bandwidth, boundary):
    bins, x = Bins(256, -1.0, 2.0, bandwidth, boundary), samples(2, 300).float().to(DEVICE).requires_grad_()
    results = [soft_histogram(leaf, bins, backend=backend) for leaf, backend in ((x, BACKEND), (x.double(), "reference"))]
    actual, expected = (torch.autograd.grad(h, x, torch.linspace(-1, 1, 256, device=DEVICE).to(h).expand_as(h))[0] for h in results)
    assert_close(results[0], results[1], SINGLE)
    # the gradient of so even a ramp is as small as it, over a bin: rounding counts as many times more
    assert_close(actual, expected, 256 * SINGLE)


@pytest.mark.parametrize("bandwidth", [0.05, 1.5])
@pytest.mark.parametrize(
    "bins, bins_y", [(Bins(256, boundary="circular"), 1000), (Bins(257), Bins(64, boundary="reflect")), (Bins(100), 7)]
)
def test_two_kinds_of_bins(bins, bins_y, bandwidth):
    bins = Bins(bins.count, bandwidth=bandwidth, boundary=bins.boundary)
    given = inputs("joint_histogram", 400, weighted=False)
    (actual, slopes), (expected, expected_slopes) = (
        gradients(lambda x, y, b=backend: joint_histogram(x, y, bins, bins_y, backend=b), [tensor.to(dtype) for tensor in given])
        for backend, dtype in ((BACKEND, torch.float32), ("reference", torch.float64))
    )
    assert_close(actual, expected, SINGLE)
    for a, e in zip(slopes, expected_slopes):
        assert_close(a, e, 2 * SINGLE)  # at an open end the gradients of a sample's last bins nearly cancel


@EVERY
@TILED_AND_DENSE
@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_of_samples(operator, number, bins):
    if operator == "mutual_information" and number < 31:
        pytest.skip("few samples have hardly any information, whose gradient is then rounding")
    rows = 2 if number < 10_000 else 1
    if number > 1:  # the weight of a sample alone has no effect
        check(operator, bins, inputs(operator, number, rows))
    check(operator, bins, inputs(operator, number, rows, weighted=False))


@EVERY
@TILED_AND_DENSE
@pytest.mark.parametrize("values", [(0.3, 0.3), (0.1, 0.7), (0.301, 0.302), (0.0, 1.0)], ids=str)
def test_images_of_few_values(operator, values, bins):
    """Among them long sums in one place, which matrix units must not truncate."""
    x = torch.tensor(values, device=DEVICE).repeat(35_000)[None]
    given = [x, x.roll(1) * 0.9][: len(FUSED[operator].inputs) - 1]
    if operator != "mutual_information":
        check(operator, bins, given)
        return
    settings = {"bins": bins, "weighted": False}
    actual = step(FUSED[operator], settings, [z.requires_grad_() for z in given], BACKEND)
    expected = step(FUSED[operator], settings, [z.detach().double().requires_grad_() for z in given], "reference")
    # terms of some nats, each rounded; gradients of images without information are small differences of what single samples give
    assert (actual[0] - expected[0]).abs().max() <= 10 * SINGLE
    for a, e in zip(actual[1:], expected[1:]):
        assert (a - e).abs().max() <= 100 * SINGLE * bins.count / x.shape[1]


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("circular", [False, True])
@pytest.mark.parametrize("bins", [Bins(64, boundary="circular"), Bins(257), Bins(2048), Bins(5000), Bins(9)], ids=str)
def test_kinds_of_distance(bins, circular, squared):
    check("histogram_emd", bins, inputs("histogram_emd", 600, rows=2), circular=circular, squared=squared)


@TILED_AND_DENSE
def test_a_target_for_all_images(bins):
    x, target = samples(2, 600).float().to(DEVICE), soft_histogram(torch.rand(99, device=DEVICE), bins)
    shared, apart = (histogram_emd(x, goal, bins, backend=BACKEND) for goal in (target, target.expand(2, -1).contiguous()))
    assert torch.equal(shared, apart)


@TILED_AND_DENSE
def test_equal_histograms_are_at_distance_zero(bins):
    x = samples(2, 5000).float().to(DEVICE).requires_grad_()
    target = soft_histogram(x, bins, backend=BACKEND).detach()
    distance = histogram_emd(x, target, bins, backend=BACKEND)
    distance.sum().backward()
    assert not distance.any() and not x.grad.any()


@TILED_AND_DENSE
def test_no_samples(bins):
    for operator in HISTOGRAMS:
        leaves = [torch.rand(2, 0, device=DEVICE).requires_grad_() for _ in FUSED[operator].inputs[:-1]]
        result, *grads = step(FUSED[operator], {"bins": bins, "weighted": False}, leaves, BACKEND)
        assert len(result) == 2 and (operator == "histogram_emd" or not result.any())
        assert all(grad.shape == (2, 0) for grad in grads)


@TILED_AND_DENSE
def test_nan_and_infinite_samples(bins):
    x, w = inputs("soft_histogram", 3000, rows=4)
    x[0, 7], x[1, 7], w[2, 3] = torch.nan, torch.inf, torch.nan
    histogram, expected = (soft_histogram(x, bins, weights=w, backend=backend) for backend in (BACKEND, "reference"))
    kept = [3] if bins.boundary == "circular" else [1, 3]  # infinity has no place on a circle
    assert histogram[[0, 2]].isnan().all()
    assert torch.equal(histogram.isnan(), expected.isnan())
    assert_close(histogram[kept], expected[kept], SINGLE)
