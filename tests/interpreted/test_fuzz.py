"""A few cases of what `make fuzz` runs hundreds of, in the kernels: see tests/kernels/fuzz.py."""

from __future__ import annotations

import pytest

from tests.kernels.fuzz import NAMES, fuzzed


# those have no kernels of their own
@pytest.mark.parametrize("operator", [name for name in NAMES if name not in ("emd", "local_mutual_information")])
def test_the_kernels_are_the_reference(operator):
    fuzzed(operator, "triton", 3, most=12)
