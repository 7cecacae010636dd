"""Mutual information and the fused earth mover's distance of backend "triton" against the dense reference in float64."""

from __future__ import annotations

import importlib

import pytest
import torch

from huenet.kernels import Bins, histogram_emd, mutual_information, soft_histogram
from huenet.kernels.common.cases import declared
from tests.kernels.agreement import check, check_case
from tests.kernels.strategies import BOUNDARIES, WINDOWS, clustered, samples, votes

LOCAL = declared()["local_mutual_information"].CASES


def terms(bins, marginals, bins_y=None):
    return lambda backend: (
        lambda x, y, *w: torch.stack(
            mutual_information(x, y, bins, bins_y, weights=w[0] if w else None, marginals=marginals, backend=backend)
        )
    )


def distance(bins, target, circular, squared):
    return lambda backend: (
        lambda x, *w: histogram_emd(
            x, target.to(x.dtype), bins, circular=circular, squared=squared, weights=w[0] if w else None, backend=backend
        )
    )


@pytest.mark.parametrize("marginals", ["joint", "histogram"])
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("count, count_y", [(100, 64), (16, 16), (129, 64)])
def test_information(count, count_y, boundary, marginals):
    x, y, w = clustered(20).float(), clustered(20, seed=1).float(), votes(20).float()
    check(terms(Bins(count, boundary=boundary), marginals, count_y), [x, y, w])


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("marginals", ["joint", "histogram"])
def test_information_of_windows(window, marginals):
    check(terms(Bins(100, window=window), marginals), [clustered(30).float(), clustered(30, seed=1).float()])


def test_information_in_double_precision_and_wide_windows():
    check(terms(Bins(100, boundary="circular"), "joint"), [clustered(12), clustered(12, seed=1), votes(12)])
    check(terms(Bins(256, bandwidth=1.0), "histogram"), [clustered(12).float(), clustered(12, seed=1).float()])


@pytest.mark.parametrize("marginals", ["joint", "histogram"])
def test_nan_spreads_as_in_the_reference(marginals):
    x, y = clustered(20, rows=2).float(), clustered(20, seed=1, rows=2).float()
    x[0, 3] = torch.nan
    result, expected = (
        torch.stack(mutual_information(x, y, 64, marginals=marginals, backend=backend)) for backend in ("triton", "reference")
    )
    assert expected[:3, 0].isnan().all()
    assert torch.equal(result.isnan(), expected.isnan())


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("circular", [False, True])
@pytest.mark.parametrize("bins", [Bins(64, boundary="circular"), Bins(257), Bins(100, boundary="reflect"), Bins(9)], ids=str)
def test_distance(bins, circular, squared):
    target = soft_histogram(samples(2, 50, seed=9, spill=0.0), bins, backend="reference")
    x, w = clustered(40, rows=2), votes(40, rows=2)
    # a distance is a difference of two histograms, and so is its gradient: what rounds them counts as many times as it is small
    size = histogram_emd(x, target, bins, circular=circular, weights=w, backend="reference").min().item()
    check(distance(bins, target, circular, squared), [x.float(), w.float()], condition=1 / size)


def test_distance_of_equal_histograms_is_exactly_zero():
    x = clustered(40).float().requires_grad_()
    target = soft_histogram(x, Bins(64, boundary="circular"), backend="triton").detach()
    loss = histogram_emd(x, target, Bins(64, boundary="circular"), backend="triton")
    loss.sum().backward()
    assert loss.item() == 0
    assert not x.grad.any()


def test_gradient_of_the_target():
    x, bins = clustered(20), Bins(128)
    target = soft_histogram(samples(1, 50, spill=0.0), bins).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: histogram_emd(x, t, bins, backend="triton"), (target,), fast_mode=True)


@pytest.mark.parametrize("count, marginals", [(16, "joint"), (128, "histogram")])
def test_gradcheck(count, marginals):
    x, y = (samples(1, 2, seed=seed, spill=0.0).requires_grad_() for seed in range(2))
    function = terms(Bins(count), marginals)("triton")
    assert torch.autograd.gradcheck(function, (x, y), fast_mode=True, check_undefined_grad=False)  # there is but one result


def test_gradcheck_of_the_distance():
    target = soft_histogram(samples(1, 20, seed=5, spill=0.0), Bins(128))
    x = samples(1, 2, spill=0.0).requires_grad_()
    assert torch.autograd.gradcheck(distance(Bins(128), target, True, False)("triton"), (x,), fast_mode=True)


def test_opcheck():
    spec = Bins(64).spec
    x, y = (samples(1, 2, seed=seed, spill=0.0, dtype=torch.float32) for seed in range(2))
    target = soft_histogram(samples(1, 20, seed=5, spill=0.0, dtype=torch.float32), Bins(64))
    operator = importlib.import_module("huenet.kernels.mutual_information").OPERATOR.op
    torch.library.opcheck(operator, (x.requires_grad_(), y, None, spec, spec, "joint", "triton"))
    operator = importlib.import_module("huenet.kernels.histogram_emd").OPERATOR.op
    torch.library.opcheck(operator, (x, None, target, spec, True, "triton"))


@pytest.mark.parametrize("label", LOCAL.settings)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_patches_of_mutual_information(label, dtype):
    """The kernels' own tests are above: here are few patches, all at a time and one by one."""
    portable = importlib.import_module("huenet.kernels.local_mutual_information.portable")
    inputs = LOCAL.draw(LOCAL.settings[label], 5, dtype=dtype)
    check_case(LOCAL, LOCAL.settings[label], inputs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(portable, "CPU_NUMBERS", 1)
        check_case(LOCAL, LOCAL.settings[label], inputs)
