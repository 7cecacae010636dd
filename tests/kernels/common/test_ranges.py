"""Ranges that are tensors: measured from the data, without the host waiting for them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from huenet.kernels import Bins, histogram_emd, joint_histogram, mutual_information, patch_histogram, soft_histogram
from huenet.kernels.common.jit.launch import recorded
from tests.kernels.strategies import BOUNDARIES, WINDOWS


def samples(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(7)).mul_(30).add_(1000.1).to(dtype)


CALLS = {
    "soft_histogram": lambda x, bins, backend: soft_histogram(x, bins, backend=backend),
    "joint_histogram": lambda x, bins, backend: joint_histogram(x, 0.2 * x.flip(-1), bins, Bins(5, 0, 250), backend=backend),
    "mutual_information": lambda x, bins, backend: torch.stack(
        mutual_information(x, 0.2 * x.flip(-1), bins, Bins(5, 0, 250), backend=backend)
    ),
    "histogram_emd": lambda x, bins, backend: histogram_emd(x, torch.eye(bins.count, dtype=x.dtype)[0], bins, backend=backend),
    "patch_histogram": lambda x, bins, backend: patch_histogram(x.view(-1, 1, 8, 8), bins, patch=4, backend=backend),
}


@pytest.mark.parametrize("backend", ["torch", "reference"])
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_it_is_what_bins_of_the_numbers_are(call, window, boundary, backend):
    x = samples(2, 64)
    settings = {"bandwidth": 1.0, "boundary": boundary, "window": window}
    given = [x.clone().requires_grad_() for _ in range(2)]
    found = call(given[0], Bins.of(given[0], 16, **settings), backend)
    expected = call(given[1], Bins(16, x.min().item(), x.max().item(), **settings), backend)
    # twelve digits, less the three by which a thousand is farther from zero than the range is wide
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9 * expected.detach().abs().max().item())
    upstream = torch.cos(torch.arange(found.numel(), dtype=x.dtype)).view_as(found)
    slopes = [torch.autograd.grad(result, to, upstream)[0] for result, to in zip((found, expected), given)]
    # but of the two extremes, which lie at knots
    inner = (x > x.min()) & (x < x.max())
    torch.testing.assert_close(slopes[0][inner], slopes[1][inner], rtol=1e-9, atol=1e-9 * slopes[1].abs().max().item())


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_the_extremes_are_differentiated_where_wanted(call):
    x = samples(1, 64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: call(x, Bins.of(x, 8, gradient=True, bandwidth=1.0), "torch"), x)
    slope = [
        torch.autograd.grad(call(x, Bins.of(x, 8, gradient=wanted, bandwidth=1.0), "torch").pow(2).sum(), x)[0]
        for wanted in (False, True)
    ]
    extreme = (x == x.min()) | (x == x.max())
    torch.testing.assert_close(slope[0][~extreme], slope[1][~extreme])
    assert (slope[0][extreme] - slope[1][extreme]).abs().max() > 1e-3 * slope[0].abs().max()


def test_a_range_that_has_gradients_gets_them():
    x, low, high = samples(2, 50), torch.tensor([[900.0], [950.0]], dtype=torch.float64), torch.tensor(1100.0, dtype=torch.float64)
    given = x.requires_grad_(), low.requires_grad_(), high.requires_grad_()
    assert torch.autograd.gradcheck(lambda x, low, high: soft_histogram(x, Bins.between(low, high, 7, bandwidth=1.0)), given)


def test_float32_samples_are_placed_with_one_rounding():
    x = samples(4096, dtype=torch.float32)
    bins = Bins.of(x, 256)
    middle, width = (bins.low + bins.high) / 2, bins.high - bins.low
    wrong = (bins.place(x).double() - (x.double() - middle) / width).abs().max() * 256
    assert wrong <= 256 * 2.0**-26
    # a response moves by at most 1/(4 W) of its mass a bin (Eq. 6), and a mean over samples by no more
    expected = soft_histogram(x.double(), Bins(256, x.min().item(), x.max().item()), backend="reference")
    assert (soft_histogram(x, bins) - expected).abs().max() <= 2e-6 + 256 * 2.0**-26 / (4 * 0.4)


def test_every_row_has_its_own_range():
    x = samples(3, 40) * torch.tensor([[1.0], [5.0], [-2.0]], dtype=torch.float64)
    found = soft_histogram(x, Bins.of(x, 9, dim=-1))
    for row, histogram in zip(x, found, strict=True):
        torch.testing.assert_close(soft_histogram(row, Bins.of(row, 9)), histogram)
    images = x[:, :36].reshape(1, 3, 6, 6)
    found = patch_histogram(images, Bins.of(images, 4, dim=(2, 3)), patch=3)
    alone = [patch_histogram(images[:, c : c + 1], Bins.of(images[:, c : c + 1], 4), patch=3) for c in range(3)]
    torch.testing.assert_close(found, torch.cat(alone, -1))


def test_edges_and_centers_are_numpys():
    x = samples(3, 40)
    for bins, row in ((Bins.of(x[1], 6), 0), (Bins.of(x, 6, dim=-1), 1)):
        edges = np.histogram_bin_edges(x[1].numpy(), 6)
        np.testing.assert_allclose(bins.edges.reshape(-1, 7)[row], edges, rtol=1e-14)
        np.testing.assert_allclose(bins.centers.reshape(-1, 6)[row], (edges[1:] + edges[:-1]) / 2, rtol=1e-14)


def test_all_samples_alike_lie_in_the_middle_of_a_range_of_1():
    x = torch.full((20,), 3.25, requires_grad=True)
    for gradient in (False, True):
        histogram = soft_histogram(x, Bins.of(x, 5, gradient=gradient))
        torch.testing.assert_close(histogram, soft_histogram(x, Bins(5, 2.75, 3.75)))
        assert torch.autograd.grad(histogram.square().sum(), x)[0].isfinite().all()


def test_values_that_are_not_finite_do_not_widen_the_range():
    x = samples(2, 30)
    spoilt = torch.cat([x, torch.tensor([[math.inf, -math.inf], [math.nan, math.inf]])], 1)
    bins = Bins.of(spoilt, 7)
    assert torch.equal(bins.low, x.min()) and torch.equal(bins.high, x.max())
    histogram = soft_histogram(spoilt, bins)
    torch.testing.assert_close(histogram[0] * (32 / 30), soft_histogram(x[0], bins))
    assert histogram[1].isnan().all()
    none = torch.tensor([math.inf, -math.inf])
    assert torch.equal(soft_histogram(none, Bins.of(none, 3)), torch.zeros(3))


def test_a_range_in_the_wrong_order_is_seen():
    x = samples(30)
    assert soft_histogram(x, Bins.between(x.max(), x.min(), 5)).isnan().all()
    assert soft_histogram(x, Bins.between(x.new_tensor(math.nan), 5.0, 5)).isnan().all()


class _NoWaiting(TorchDispatchMode):
    """An error where a number is read from a tensor, which a GPU would be waited for."""

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        assert function.overloadpacket is not torch.ops.aten._local_scalar_dense, "the host waits"
        return function(*arguments, **(keywords or {}))


def test_the_host_does_not_wait():
    x = samples(2, 30).requires_grad_()
    with pytest.raises(AssertionError, match="waits"), _NoWaiting():
        x.max().item()
    with _NoWaiting():
        bins = Bins.of(x, 16, dim=-1, gradient=True)
        bins.place(x).sum().backward()
    # and what tensors do not hold cannot be read: the fused kernels are launched all the same
    pytest.importorskip("triton")
    absent = torch.empty(2, 30, device="meta")
    with recorded() as launches:
        assert soft_histogram(absent, Bins.of(absent, 64)).shape == (2, 64)
    assert launches


def test_compiled_whole():
    x = samples(2, 30)

    def loss(x):
        bins = Bins.of(x, 16, dim=-1, gradient=True)
        return mutual_information(x, x.flip(-1), bins).information.sum()

    given = [x.clone().requires_grad_() for _ in range(2)]
    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)(given[0])
    torch.testing.assert_close(compiled, loss(given[1]))
    slopes = [torch.autograd.grad(result, to)[0] for result, to in zip((compiled, loss(given[1])), given)]
    torch.testing.assert_close(*slopes)


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda x: Bins.of([1.0]), TypeError, "x must be a floating torch.Tensor, got list"),
        (lambda x: Bins.of(x.int()), TypeError, "x must be a floating torch.Tensor, got torch.int32"),
        (lambda x: Bins.of(x[:, :0], dim=-1), ValueError, r"x must have samples along dim -1, got \(2, 0\)"),
        (lambda x: Bins.between(0.0, 1.0), ValueError, "low or high must be a torch.Tensor"),
        (lambda x: Bins.between(x[:, :1], x[:1, :3].bool()), TypeError, "high must be a tensor of real numbers, got torch.bool"),
        (lambda x: Bins.between(x[0, :3], x[0, :4]), ValueError, r"high must broadcast against low of shape \(3,\), got \(4,\)"),
        (lambda x: soft_histogram(x, Bins.of(x, 0)), ValueError, "bins.count must be at least 1"),
        (lambda x: soft_histogram(x[0], Bins.of(x, 8, dim=-1)), ValueError, r"expected a shape for \(10,\), got \(2, 1\)"),
        (lambda x: soft_histogram(x.to("meta"), Bins.of(x)), ValueError, "bins must be on the device of the samples"),
    ],
)
def test_bad_arguments_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make(samples(2, 10))


def test_an_int_on_the_second_axis_takes_the_firsts_range():
    x = samples(30)
    bins = Bins.of(x, 8, window="bspline")
    torch.testing.assert_close(joint_histogram(x, x, bins, 4), joint_histogram(x, x, bins, Bins.of(x, 4, window="bspline")))
