"""The operators as the GPU tests call them, on which device, with which samples."""

from __future__ import annotations

import torch
from torch import Tensor

from huenet.kernels import Bins
from huenet.kernels.common.cases import Cases, Settings, declared
from tests.kernels.agreement import check_case
from tests.kernels.strategies import WINDOWS

DEVICE = torch.device("cuda")
#: the default, which must be "triton" there
BACKEND = None
#: as a warning filter: the default is not to fall back silently
NO_FALLBACK = "error:huenet.kernels uses its slower backend"

#: windows and numbers of bins: all with the logistic, two with the others, as most of the time goes into compiling
OPTIONS = [(window, count) for window in WINDOWS for count in (7, 64, 256, 257, 1000) if window == "logistic" or count in (7, 257)]
NUMBERS = (1, 2, 31, 32, 33, 1023, 1025, 2049, 100_003)

#: every operator, and those that have kernels
EVERY = {name: module.CASES for name, module in declared().items()}
FUSED = {name: cases for name, cases in EVERY.items() if cases.compiled}
#: those whose every sample is one of a histogram's
HISTOGRAMS = ("soft_histogram", "joint_histogram", "mutual_information", "histogram_emd")
#: every operator in its first case, and histograms also where every sample meets every bin
FEW_CASES = [
    (name, label)
    for name, cases in EVERY.items()
    for number, label in enumerate(cases.settings)
    if not number or "few, circular" in label
]


def sizes(cases: Cases) -> int:
    """Samples, points, or pixels a side, that keep a GPU test short and take several programs."""
    sides = {"patch_histogram": 40, "local_mutual_information": 40}
    return {**sides, "contextual_similarity": 300, "harmonic_energy": 300}.get(cases.name, 5000)


def draw(cases: Cases, settings: Settings, size: int, rows: int = 1, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Inputs on the device."""
    return [tensor.to(DEVICE) for tensor in cases.draw(settings, size, rows, dtype)]


def check(operator: str, bins: Bins, given: list[Tensor], **settings: object) -> None:
    """A histogram's value and gradients on the device against the reference in float64, as tests/kernels/agreement.py says; without
    weights where there is one input fewer."""
    cases = FUSED[operator]
    check_case(cases, {"bins": bins, "weighted": len(given) == len(cases.inputs), **settings}, given, BACKEND)


def step(
    cases: Cases, settings: Settings, leaves: list[Tensor], backend: str | None, upstream: Tensor | None = None
) -> list[Tensor]:
    """The result and the gradients of all leaves."""
    result = cases.run(leaves, backend, settings)
    return [result.detach(), *torch.autograd.grad(result, leaves, torch.ones_like(result) if upstream is None else upstream)]


def assert_same(actual: list[Tensor], expected: list[Tensor]) -> None:
    """Equal in every bit: sums have a fixed order."""
    for a, e in zip(actual, expected, strict=True):
        assert torch.equal(a, e), f"{int((a != e).sum())} of {a.numel()} differ, by up to {(a - e).abs().max():.2e}"
