"""Every operator's kernels in the interpreter at the block sizes that ship, which the other tests shrink: one image each, long
enough that programs share it, and values and gradients against the reference."""

from __future__ import annotations

import pytest
import torch

from huenet.kernels import Bins
from huenet.kernels.common.cases import Cases, declared
from tests.kernels.agreement import check_case

#: samples, points, or pixels a side: a block and a half of the operator's own
SIZES = {
    "soft_histogram": 200,
    "joint_histogram": 80,
    "mutual_information": 80,
    "histogram_emd": 200,
    "squared_mutual_information": 700,
    "contextual_similarity": 70,
    "harmonic_energy": 150,
    "patch_histogram": 12,
    "response_sum": 700,
}
FUSED = [module.CASES for module in declared().values() if module.CASES.compiled]


@pytest.fixture
def small_blocks() -> None:
    """In place of the one that shrinks blocks."""


@pytest.mark.parametrize("cases", FUSED, ids=lambda cases: cases.name)
def test_agrees_with_the_reference(cases: Cases) -> None:
    settings = next(iter(cases.settings.values()))
    if "bins" in settings and "patch" not in settings:
        settings = {**settings, "bins": Bins(64)}  # few tiles and one image at the boundary: time goes by the number of programs
    check_case(cases, settings, cases.draw(settings, SIZES[cases.name], dtype=torch.float32))


def test_every_operator_has_a_size() -> None:
    assert set(SIZES) == {cases.name for cases in FUSED}
