"""A toy window in the Triton kernels, which are made for it from its entry alone."""

from __future__ import annotations

import pytest

from huenet.kernels.common.windows import WINDOWS
from tests.kernels.strategies import BOUNDARIES
from tests.kernels.toy import TOY, check_toy


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("count", [5, 70])
def test_a_toy_window_works_everywhere(monkeypatch, boundary, count):
    monkeypatch.setitem(WINDOWS, "toy", TOY)
    check_toy("triton", count, boundary)
