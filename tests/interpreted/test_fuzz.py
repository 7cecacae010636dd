"""A few cases of what `make fuzz` runs hundreds of, in the kernels: see tests/kernels/fuzz.py."""

from __future__ import annotations

import pytest

from tests.kernels.fuzz import NAMES, fuzzed


@pytest.mark.parametrize("operator", [name for name in NAMES if name != "emd"])  # which has no kernels
def test_the_kernels_are_the_reference(operator):
    fuzzed(operator, "triton", 3, most=12)
