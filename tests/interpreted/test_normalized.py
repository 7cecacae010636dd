"""Bins whose responses are divided by their sum, in the Triton kernels."""

from __future__ import annotations

import pytest
import torch

from tests.kernels.normalized import BINS, check, check_information


@pytest.mark.parametrize("bins, dtype", list(zip(BINS, [torch.float32, torch.float64] * 3)), ids=str)
def test_histograms_and_losses(bins, dtype):
    check(bins, dtype, 37, "triton")


def test_mutual_information():
    check_information("triton")
