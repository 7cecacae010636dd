"""Results of operators do not depend on torch's global defaults, which belong to the program around."""

from __future__ import annotations

import pytest
import torch

from huenet.kernels.common.cases import declared
from tests.kernels.strategies import gradients

CASES = [(module.CASES, label) for module in declared().values() for label in module.CASES.settings]


@pytest.mark.parametrize("backend", ["torch", "reference"])
@pytest.mark.parametrize("cases, label", CASES, ids=lambda value: getattr(value, "name", value))
def test_defaults_of_the_program_around_change_nothing(cases, label, backend):
    settings = cases.settings[label]
    inputs = cases.draw(settings, min(cases.small, 20), dtype=torch.float32)

    def found():
        return gradients(lambda *given: cases.run(list(given), backend, settings), inputs)

    expected, expected_gradients = found()
    try:
        torch.set_default_dtype(torch.float64)
        result, slopes = found()
    finally:
        torch.set_default_dtype(torch.float32)
    assert result.dtype == expected.dtype and torch.equal(result, expected)
    assert all(torch.equal(a, e) for a, e in zip(slopes, expected_gradients, strict=True))
