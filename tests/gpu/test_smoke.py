"""Whether the kernels run on this GPU at all: every operator in its first case, result and gradients against the dense reference in
float64, each as a test of its own that a process takes (`make gpu`). Most of the time is compiling."""

from __future__ import annotations

import pytest
import torch

from tests.gpu.cases import BACKEND, EVERY, NO_FALLBACK, draw, sizes
from tests.kernels.agreement import check_case

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings(NO_FALLBACK)]


@pytest.mark.parametrize("operator", EVERY)
def test_agrees_with_the_reference(operator):
    cases = EVERY[operator]
    settings = next(iter(cases.settings.values()))
    check_case(cases, settings, draw(cases, settings, min(sizes(cases), 600), 2, torch.float32), BACKEND)
