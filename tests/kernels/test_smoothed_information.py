"""Information with smoothing constants."""

from __future__ import annotations

import pytest
import torch

from huenet.kernels import Bins, MutualInformation, joint_histogram, smoothed_information
from tests.assertions import assert_close
from tests.kernels.strategies import samples

#: relative, of float64's rounding of some thousand terms
EXACT = 1e-12


def joints(dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """(3, 16, 9), with cells, rows and columns that are 0."""
    joint = joint_histogram(samples(3, 200), samples(3, 200, seed=1), Bins(16, window="triangular"), 9)
    joint[:, 3] = joint[..., 5] = 0
    return joint.to(dtype).requires_grad_()


@pytest.mark.parametrize("nr, dr", [(1e-7, 1e-7), (0.0, 1e-7), (1e-3, 1e-4)])
def test_the_formula(nr, dr):
    joint = joints()
    independent = joint.sum(-1).unsqueeze(-1) * joint.sum(-2).unsqueeze(-2)
    expected = (joint * ((joint + nr) / (independent + dr) + dr).log()).sum((1, 2))
    found = smoothed_information(joint, nr, dr)
    assert_close(found, expected, EXACT)
    (slope,), (wanted,) = (torch.autograd.grad(each.square().sum(), joint) for each in (found, expected))
    assert_close(slope, wanted, EXACT)
    assert_close(smoothed_information(joint.detach().float(), nr, dr), expected, 1e-5)


def test_without_constants_it_is_the_information():
    joint = joints()
    found, expected = smoothed_information(joint, 0, 0), MutualInformation.of_joint(joint).information
    assert_close(found, expected, EXACT)
    (slope,), (wanted,) = (torch.autograd.grad(each.sum(), joint) for each in (found, expected))
    there = joint > 0  # elsewhere of_joint has the slope of p and q
    # the sums' slopes, which smoothed_information has whole
    assert_close(slope[there], wanted[there], EXACT)
    assert slope.isfinite().all()


def test_defaults_and_shapes():
    joint = joints()
    assert_close(smoothed_information(joint), smoothed_information(joint, 1e-7, 1e-7), EXACT)
    assert smoothed_information(joint.view(3, 1, 16, 9)).shape == (3, 1)
    assert smoothed_information(joint.half()).dtype == torch.float32
    assert smoothed_information(joint).lt(MutualInformation.of_joint(joint).information).all()
    assert torch.autograd.gradgradcheck(smoothed_information, joint[:1, :2, :2].detach().clone().requires_grad_())


def test_a_nan_shows():
    joint = joints().detach()
    joint[1, 2, 2] = torch.nan
    assert smoothed_information(joint).isnan().tolist() == [False, True, False]
    assert smoothed_information(joint, 0, 0).isnan().tolist() == [False, True, False]


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"joint must have bins on its last two dimensions, got \(4,\)"):
        smoothed_information(torch.rand(4))
    with pytest.raises(TypeError, match="joint must be a floating tensor"):
        smoothed_information(torch.ones(4, 4, dtype=torch.int64))
    with pytest.raises(ValueError, match="smooth_nr must not be negative, got -1"):
        smoothed_information(torch.rand(4, 4), -1)
    with pytest.raises(ValueError, match="smooth_dr must be finite, got nan"):
        smoothed_information(torch.rand(4, 4), 0, torch.nan)
