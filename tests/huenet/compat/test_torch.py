"""huenet.compat.torch: torch.histc's counts, soft counts with a gradient, errors."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from huenet.compat.torch import histc
from huenet.kernels import Bins, soft_histogram
from tests.assertions import assert_close

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
#: what torch can count in half precision before its sums stop, and bins that are numbers of bfloat16
FEW = 200


def on_edges(bins: int, low: float, high: float, seed: int) -> torch.Tensor:
    """Edges of bins, what lies a rounding beside them, and samples in and beyond the range; float64."""
    generator = torch.Generator().manual_seed(seed)
    edges = torch.linspace(low, high, bins + 1, dtype=torch.float64)
    others = low + (high - low) * (torch.rand(FEW // 2, generator=generator, dtype=torch.float64) * 1.4 - 0.2)
    return torch.cat([edges, edges.float().nextafter(torch.tensor(1e9)).double(), others])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@settings(max_examples=150, deadline=None)
@given(
    bins=st.integers(1, 90),
    low=st.floats(-100, 100),
    width=st.floats(0.5, 100),
    own=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_counts_are_torchs(dtype, bins, low, width, own, seed):
    """Not one sample in another bin, edges included. At most 282 of them, so that torch's own sums of bfloat16, which stop at 256,
    seldom do."""
    x = on_edges(bins, low, low + width, seed).to(dtype)
    ends = (0, 0) if own else (low, low + width)
    expected = torch.histc(x, bins, *ends)
    assume(expected.max() < 256)
    found = histc(x, bins, *ends)
    assert found.dtype == expected.dtype and torch.equal(found, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    "bins, ends", [(1, (0, 0)), (7, (0.1, 0.7)), (256, (0, 0)), (256, (0.0, 1.0)), (10_000, (-3, 5.3)), (100, (0.1, 0.2))]
)
def test_many_samples(dtype, bins, ends):
    """More than are counted at a time."""
    x = torch.randn(700, 900, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)
    assert torch.equal(histc(x, bins, *ends), torch.histc(x, bins, *ends))


@pytest.mark.parametrize(
    "x, arguments",
    [
        (torch.rand(2, 3, 40), {}),  # 100 bins over the samples' own range
        (torch.rand(50), {"bins": 5, "min": 3, "max": 3}),
        (torch.full((4,), 2.0), {"bins": 5}),
        (torch.full((4,), -7.0), {"bins": 6, "min": 2, "max": 2}),
        (torch.full((4,), 1e9), {"bins": 5}),  # one more on either side is the same number in float32
        (torch.full((4,), 1e9), {"bins": 8}),
        (torch.tensor(0.3), {"bins": 5, "min": 0, "max": 1}),
        (torch.empty(0), {"bins": 5}),
        (torch.empty(0), {"bins": 5, "min": 0, "max": 1}),
        (torch.tensor([1.0, float("inf"), float("nan"), 0.25, -float("inf")]), {"bins": 5, "min": 0, "max": 1}),
        (torch.full((3,), float("nan")), {"bins": 5, "min": 0, "max": 1}),
        (torch.tensor([0.0, 1.0]).repeat(500), {"bins": 64, "min": 0, "max": 1}),  # saturated
        (torch.tensor([-5.0, 5.0]).repeat(500), {"bins": 64, "min": 0, "max": 1}),
        (torch.rand(8, 9).T, {"bins": 5, "min": torch.tensor(0.25), "max": torch.tensor(0.75)}),
    ],
)
def test_special_samples_and_ranges(x, arguments):
    assert torch.equal(histc(x, **arguments), torch.histc(x, **arguments))
    assert torch.equal(histc(input=x.double(), **arguments), torch.histc(input=x.double(), **arguments))


@pytest.mark.parametrize("dtype, beyond", [(torch.float32, 2**24 + 2), (torch.float16, 5000), (torch.bfloat16, 1024)], ids=str)
def test_counts_do_not_stop(dtype, beyond):
    """Where sums of the dtype would no longer change by one."""
    assert histc(torch.full((1,), 0.5, dtype=dtype).expand(beyond), 3, 0, 1).tolist() == [0, beyond, 0]


@pytest.mark.parametrize("dtype, high", [(torch.float16, 1000.0), (torch.float32, 3e38), (torch.float64, 1.7e308)], ids=str)
def test_ranges_whose_product_with_the_bins_overflows(dtype, high):
    """Where torch writes outside its histogram. Samples in the middles of bins, of a range that no number of the dtype spans in the
    last two cases."""
    low, bins = (0.0 if dtype == torch.float16 else -high), 100
    place = (torch.arange(bins, dtype=torch.float64) + 0.5) / bins
    x = (low * (1 - place) + high * place).to(dtype)
    assert histc(x, bins, low, high).tolist() == [1] * bins


def test_a_range_without_width_in_the_dtype():
    assert histc(torch.full((3,), 0.1), 5, 0.1, 0.1 + 1e-10).tolist() == [0, 0, 3, 0, 0]


def test_hard_counts_have_no_gradient_and_are_deterministic():
    x = torch.rand(1000, requires_grad=True)
    try:
        torch.use_deterministic_algorithms(True)
        assert not histc(x, 10).requires_grad
    finally:
        torch.use_deterministic_algorithms(False)


def test_out():
    x, out = torch.rand(100), torch.empty(0)
    assert histc(x, 7, out=out) is out and torch.equal(out, torch.histc(x, 7))


@pytest.mark.parametrize("shape", [(50,), (2, 3, 17), ()], ids=str)
@pytest.mark.parametrize("boundary", ["reflect", "open"])
def test_soft_counts_are_the_triangles_sums(shape, boundary):
    """Written out: every sample's triangle at the bins' centres and, for "reflect", at those of its images beyond the edges."""
    x = torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 3 - 1
    bins, low, high = 9, -0.5, 1.5
    with_gradient = x.clone().requires_grad_()
    inside = x.flatten()[(x.flatten() >= low) & (x.flatten() <= high)].requires_grad_()
    t, k = (inside - low) * bins / (high - low), torch.arange(bins) + 0.5
    images = [t, -t, 2 * bins - t] if boundary == "reflect" else [t]
    expected = sum((1 - (image.unsqueeze(1) - k).abs()).clamp_min(0) for image in images).sum(0)
    found = histc(with_gradient, bins, low, high, differentiable=True, boundary=boundary)
    assert_close(found, expected, 1e-10)
    votes = torch.arange(bins, dtype=torch.float64) ** 2
    (expected_gradient,) = torch.autograd.grad(expected @ votes, inside)
    (gradient,) = torch.autograd.grad(found @ votes, with_gradient)
    chosen = (x >= low) & (x <= high)
    assert_close(gradient[chosen].flatten(), expected_gradient, 1e-10)
    assert not gradient[~chosen].any()
    single = histc(x.float(), bins, low, high, differentiable=True, boundary=boundary)
    assert single.dtype == torch.float32
    assert_close(single, expected, 1e-6)


def test_soft_counts_sum_to_what_is_in_the_range():
    x = torch.rand(1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2
    x[:3] = torch.tensor([0.0, 1.0, float("nan")])
    hard, soft = histc(x, 16, 0, 1), histc(x, 16, 0, 1, differentiable=True)
    assert soft.sum().item() == pytest.approx(hard.sum().item(), rel=1e-12)
    x = x.requires_grad_()
    histc(x, 16, 0, 1, differentiable=True).square().sum().backward()
    assert x.grad.isfinite().all() and x.grad.any() and x.grad[2] == 0


@pytest.mark.parametrize("value", [0.0, 2.0, 1e9])
def test_soft_counts_of_a_constant_are_in_the_middle(value):
    assert_close(histc(torch.full((4,), value), 5, differentiable=True), torch.tensor([0.0, 0.0, 4.0, 0.0, 0.0]), 1e-6)


def test_soft_counts_take_the_samples_own_range_and_any_window():
    x = torch.rand(500, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    bins = Bins(20, x.min().item(), x.max().item(), 0.4, "open", "logistic")
    found = histc(x, 20, differentiable=True, window="logistic", bandwidth=0.4, boundary="open", backend="reference")
    assert_close(found, 500 * soft_histogram(x, bins), 1e-12)


@pytest.mark.parametrize("empty", [torch.empty(0), torch.full((3,), float("nan")), torch.full((3,), 7.0)])
def test_soft_counts_of_nothing_are_zero(empty):
    assert histc(empty, 4, 0, 1, differentiable=True).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_soft_counts_of_half_precision(dtype):
    x = torch.rand(300, generator=torch.Generator().manual_seed(0)).to(dtype)
    found = histc(x, 8, 0, 1, differentiable=True)
    assert found.dtype == dtype and torch.equal(found, histc(x.float(), 8, 0, 1, differentiable=True).to(dtype))


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda x: histc([0.5]), TypeError, "input must be a torch.Tensor, got list"),
        (lambda x: histc(x.long()), TypeError, "input must be a floating tensor, got torch.int64"),
        (lambda x: histc(x, 0), ValueError, "bins must be at least 1, got 0"),
        (lambda x: histc(x, 5.0), TypeError, "bins must be an integer, got 5.0"),
        (lambda x: histc(x, 5, 2, 1), ValueError, "max must be larger than min, got min=2.0 and max=1.0"),
        (lambda x: histc(x, 5, float("nan"), 1), ValueError, "min and max must be finite in torch.float32, got nan and 1.0"),
        (lambda x: histc(x, 5, 0, 1e39), ValueError, "min and max must be finite in torch.float32, got 0.0 and inf"),
        (lambda x: histc(x / 0, 5), ValueError, "the extremes of input, .* must be finite in torch.float32, got inf and inf"),
        (lambda x: histc(x * float("nan"), 5), ValueError, "the extremes of input, .* must be finite"),
        (lambda x: histc(x, 5, out=torch.empty(5).double()), TypeError, "out must be a tensor of input's dtype and device"),
        (lambda x: histc(x, 5, out=torch.empty(5), differentiable=True), ValueError, "out must be None with differentiable=True"),
        (lambda x: histc(x, 5, differentiable=True, window="square"), ValueError, "bins.window must be one of"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call(torch.rand(4) + 0.1)
