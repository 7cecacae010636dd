"""A few hundred cases of what `make fuzz` runs thousands of: see fuzz.py."""

from __future__ import annotations

import pytest

from tests.kernels.fuzz import NAMES, fuzzed


@pytest.mark.parametrize("operator", NAMES)
def test_the_torch_backend_is_the_reference(operator):
    fuzzed(operator, "torch", 40, most=40)
