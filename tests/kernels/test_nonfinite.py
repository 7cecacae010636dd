"""NaN and infinity: the same in all backends, and what kernels/common/nonfinite.py says."""

from __future__ import annotations

import pytest
import torch

from huenet.kernels import Bins, mutual_information, soft_histogram
from huenet.kernels.common.cases import declared
from tests.kernels.agreement import check_not_finite

CASES = {name: module.CASES for name, module in declared().items()}
LABELS = [(name, label) for name, cases in CASES.items() for label in cases.settings]


@pytest.mark.parametrize("name, label", LABELS)
def test_values_that_are_not_finite(name, label):
    check_not_finite(CASES[name], CASES[name].settings[label], "torch", 20)


@pytest.mark.parametrize("backend", ["reference", "torch"])
def test_an_infinite_sample_has_no_place_on_a_circle(backend):
    """Elsewhere it responds in no bin, and moves nothing."""
    x = torch.tensor([0.2, torch.inf, 0.7], requires_grad=True)
    assert soft_histogram(x, Bins(64, boundary="circular"), backend=backend).isnan().all()
    histogram = soft_histogram(x, Bins(64), backend=backend)
    histogram.square().sum().backward()
    assert histogram.sum().item() == pytest.approx(2 / 3) and x.grad[1] == 0 and x.grad[0] != 0


@pytest.mark.parametrize("backend", ["reference", "torch"])
def test_one_infinite_weight_is_no_finite_information(backend):
    x = torch.rand(50)
    weights = torch.ones(50)
    weights[7] = torch.inf
    assert mutual_information(x, x, 16, weights=weights, backend=backend).information.isnan()
