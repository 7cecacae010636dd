"""A toy window in the Triton kernels, which are made for it from its entry alone."""

from __future__ import annotations

import pytest
import torch

from huenet.kernels import Bins, soft_histogram
from huenet.kernels.common.windows import WINDOWS
from tests.kernels.strategies import BOUNDARIES
from tests.kernels.strategies import WINDOWS as NAMES
from tests.kernels.toy import TOY, check_toy


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("count", [5, 70])
def test_a_toy_window_works_everywhere(monkeypatch, boundary, count):
    monkeypatch.setitem(WINDOWS, "toy", TOY)
    check_toy("triton", count, boundary)


@pytest.mark.parametrize("window", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tails_keep_their_digits(window, dtype):
    """Bins far from a sample: a response of exp(-80) has an exponent that is rounded to 80 times the rounding of one, some times
    over; float64's polynomial is right to 6e-14."""
    x = torch.tensor([[0.01], [0.37], [0.499], [0.92]], dtype=dtype)
    bins = Bins(12, window=window)
    expected = soft_histogram(x.double(), bins, backend="reference")
    actual = soft_histogram(x, bins, backend="triton")
    seen = expected > 1e-34
    error = ((actual.double() - expected) / expected)[seen].abs().max()
    assert error <= 4 * 80 * torch.finfo(dtype).eps + 6e-14, f"{error:.2e}"
    assert (actual.double()[~seen] <= 2e-34).all()
