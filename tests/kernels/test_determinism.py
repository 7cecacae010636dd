"""The same inputs give the same bits."""

from __future__ import annotations

import pytest
import torch

from huenet.kernels.common.cases import declared
from tests.kernels.strategies import gradients

CASES = {name: module.CASES for name, module in declared().items()}


@pytest.mark.parametrize("name, label", [(name, label) for name, cases in CASES.items() for label in cases.settings])
def test_every_run_gives_the_same_bits(name, label):
    cases, settings = CASES[name], CASES[name].settings[label]
    inputs = cases.draw(settings, cases.small, rows=2, dtype=torch.float32)
    (first, slopes), (second, slopes_again) = (
        gradients(lambda *given: cases.run(list(given), "torch", settings), inputs) for _ in range(2)
    )
    assert torch.equal(first, second)
    assert all(map(torch.equal, slopes, slopes_again))
