"""Bins whose responses are divided by their sum, in plain PyTorch; tests/interpreted has the same of the kernels."""

from __future__ import annotations

import pytest
import torch

from huenet.kernels import Bins, joint_histogram, mutual_information, patch_histogram, response_sum, soft_histogram
from tests.assertions import assert_close
from tests.kernels.normalized import BINS, EXACT, SINGLE, check, check_information, written_out
from tests.kernels.strategies import samples


@pytest.mark.parametrize("backend", ["torch", "reference"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("bins", BINS, ids=str)
def test_histograms_and_losses(bins, dtype, backend):
    check(bins, dtype, 300, backend)


@pytest.mark.parametrize("backend", ["torch", "reference"])
def test_mutual_information(backend):
    check_information(backend)


@pytest.mark.parametrize("bins", BINS, ids=str)
def test_each_sample_counts_once(bins):
    assert_close(soft_histogram(samples(500), bins).sum(), torch.tensor(1.0, dtype=torch.float64), EXACT)


def test_samples_outside_count_as_the_nearer_end_and_do_not_move():
    x = torch.tensor([-3.0, 1.5, 0.5], dtype=torch.float64, requires_grad=True)
    histogram = soft_histogram(x, BINS[0])
    assert_close(histogram, soft_histogram(x.detach().clamp(0, 1), BINS[0]), EXACT)
    (slope,) = torch.autograd.grad(histogram.square().sum(), x)
    assert slope[0] == slope[1] == 0


def test_narrow_windows_are_for_joint_histograms():
    bins = Bins(16, window="rbf", bandwidth=0.1, normalized=True)
    x, y = samples(400, spill=0.0), samples(400, seed=1, spill=0.0)
    with pytest.raises(ValueError, match=r"bins\.bandwidth must be such that neighbouring windows overlap"):
        soft_histogram(x, bins)
    assert_close(joint_histogram(x, y, bins), written_out(x, bins).mT @ written_out(y, bins) / 400, EXACT)
    # half a bin from two centres an exponent is 35, rounded to twice 2^-24 of itself, in a response and in its sum, on both axes
    narrowest = Bins(16, window="rbf", bandwidth=0.06, normalized=True)
    single = joint_histogram(x.float(), y.float(), narrowest)
    assert_close(single, written_out(x.float().double(), narrowest).mT @ written_out(y.float().double(), narrowest) / 400, 2e-5)
    with pytest.raises(ValueError, match=r"bins\.bandwidth must be such that neighbouring windows overlap"):
        joint_histogram(x, y, Bins(16, window="rbf", bandwidth=0.05, normalized=True))


def test_what_is_refused():
    with pytest.raises(TypeError, match=r"bins\.normalized must be True or False, got 1"):
        Bins(8, normalized=1)
    with pytest.raises(ValueError, match="marginals must be 'joint' where bins are normalized, got 'histogram'"):
        mutual_information(samples(9), samples(9), BINS[0], marginals="histogram")
    with pytest.raises(ValueError, match="bins must not be normalized for patch histograms"):
        patch_histogram(samples(1, 1, 8, 8), BINS[0])


def test_a_range_of_the_data_may_be_normalized():
    x = samples(2, 300)
    bins = Bins.of(x, 23, dim=-1, window="rbf", normalized=True)
    plain = [soft_histogram(row, Bins(23, row.min().item(), row.max().item(), window="rbf", normalized=True)) for row in x]
    assert_close(soft_histogram(x, bins), torch.stack(plain), 1e-10)  # ends may be rounded to either side of a sample


def test_sums_of_responses():
    x = samples(3, 50)
    for bins in BINS:
        counted = soft_histogram(x.unsqueeze(-1), Bins(bins.count, bins.low, bins.high, bins.bandwidth, bins.boundary, bins.window))
        assert_close(response_sum(x, bins), counted.sum(-1), EXACT)
    assert response_sum(torch.tensor([[0.5, torch.nan], [0.5, torch.inf]]), 8).isnan().any(-1).tolist() == [True, False]


@pytest.mark.parametrize("made_inside", [False, True])
def test_compiled_whole(made_inside):
    make = lambda: Bins(16, window="rbf", normalized=True)  # noqa: E731
    bins, x = make(), samples(2, 90, dtype=torch.float32, spill=0.0)
    function = lambda x: soft_histogram(x, make() if made_inside else bins).square().sum()  # noqa: E731
    compiled = torch.compile(function, backend="aot_eager", fullgraph=True, dynamic=True)
    assert_close(compiled(x), function(x), EXACT)


@pytest.mark.parametrize("outside", [1.5, 2.4, 2.8125, 5.0, -0.7, -1.9, -40.0])
def test_samples_far_outside_a_mirrored_range_count_once(outside):
    bins = Bins(16, window="rbf", boundary="reflect", normalized=True)
    for backend in ("torch", "reference"):
        assert_close(soft_histogram(torch.tensor([outside]), bins, backend=backend).sum(), torch.tensor(1.0), SINGLE)


@pytest.mark.parametrize("bandwidth", [0.14, 0.5])
def test_many_samples_are_not_divided_by_what_polynomials_left(bandwidth):
    """Of so many, cells would be the least work; they are right to roundings of the peak, which sums of 1e-3 would magnify."""
    bins = Bins(32, window="rbf", bandwidth=bandwidth, normalized=True)
    x, y = (samples(1 << 16, seed=seed, dtype=torch.float32, spill=0.0) for seed in (0, 1))
    expected = written_out(x.double(), bins).mT @ written_out(y.double(), bins) / len(x)
    assert_close(joint_histogram(x, y, bins), expected, SINGLE)
    edge = torch.full((1 << 16,), 16.001 / 32)
    at_edge = written_out(edge[:1].double(), bins).mT @ written_out(edge[:1].double(), bins)
    assert_close(joint_histogram(edge, edge, bins), at_edge, 10 * SINGLE)  # a distance of half a bin, over a narrow window, squared
