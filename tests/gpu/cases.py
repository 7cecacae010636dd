"""The operators as the GPU tests call them, on which device, with which samples."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from huenet.kernels import Bins, histogram_emd, joint_histogram, mutual_information, soft_histogram
from tests.interpreted import cases
from tests.interpreted.cases import clustered, votes
from tests.kernels.strategies import WINDOWS, samples

DEVICE = torch.device("cuda")
#: the default, which must be "triton" there
BACKEND = None
#: as a warning filter: the default is not to fall back silently
NO_FALLBACK = "error:huenet.kernels uses its slower backend"

#: windows and numbers of bins: all with the logistic, two with the others, as most of the time goes into compiling
OPTIONS = [(window, count) for window in WINDOWS for count in (7, 64, 256, 257, 1000) if window == "logistic" or count in (7, 257)]
NUMBERS = (1, 2, 31, 32, 33, 1023, 1025, 2049, 100_003)


def _soft(x: Tensor, y: Tensor, weights: Tensor | None, bins: Bins, backend: str | None) -> Tensor:
    return soft_histogram(torch.stack([x, y]), bins, weights=weights, backend=backend)


def _joint(x: Tensor, y: Tensor, weights: Tensor | None, bins: Bins, backend: str | None) -> Tensor:
    return joint_histogram(x, y, bins, weights=weights, backend=backend)


def _information(x: Tensor, y: Tensor, weights: Tensor | None, bins: Bins, backend: str | None, marginals: str) -> Tensor:
    return torch.stack(mutual_information(x, y, bins, weights=weights, marginals=marginals, backend=backend))


def _distance(x: Tensor, y: Tensor, weights: Tensor | None, bins: Bins, backend: str | None) -> Tensor:
    target = soft_histogram(y, bins, weights=weights, backend=backend)
    return histogram_emd(x, target, bins, weights=weights, backend=backend)


#: every operator as f(x, y, weights or None, bins, backend), each of whose inputs has a gradient
OPERATORS: dict[str, Callable[..., Tensor]] = {
    "soft_histogram": _soft,
    "joint_histogram": _joint,
    "mutual_information": partial(_information, marginals="joint"),
    "mutual_information, Eq. 5": partial(_information, marginals="histogram"),
    "histogram_emd": _distance,
}


def image(count: int, rows: int = 1, seed: int = 0) -> Tensor:
    """Samples all over the range and beyond, then as many in clusters, the last of which lie at its ends and outside; float64."""
    return torch.cat([samples(rows, count - count // 2, seed=seed), clustered(count // 2, seed, rows)], -1)


def inputs(count: int, rows: int = 1, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """x, y and weights."""
    return [tensor.to(DEVICE, dtype) for tensor in (image(count, rows), image(count, rows, seed=1), votes(count, rows))]


def default(backend: str) -> str | None:
    """The backend to ask for, so that the default is what is tested."""
    return BACKEND if backend == "triton" else backend


def call(operator: str, bins: Bins):
    """An operator as `cases.check` calls it."""
    return lambda backend: lambda x, y, *w: OPERATORS[operator](x, y, w[0] if w else None, bins, default(backend))


def check(operator: str, bins: Bins, arguments: list[Tensor]) -> None:
    """Value and gradients on the device against the reference in float64, as tests/interpreted/cases.py says."""
    single, condition = None, 1.0
    if operator in ("soft_histogram", "joint_histogram"):
        single = call(operator, Bins(bins.count, window=bins.window))
    elif operator == "histogram_emd":
        # a distance is a difference of two histograms, and so is its gradient: what rounds them counts as many times as it is small
        condition = 1 / call(operator, bins)("reference")(*(a.double() for a in arguments)).min().item()
    cases.check(call(operator, bins), arguments, single, condition)


def step(operator: str, bins: Bins, leaves: list[Tensor], backend: str | None, upstream: Tensor | None = None) -> list[Tensor]:
    """The result and the gradients of all leaves: x, y and, as a third, weights."""
    result = OPERATORS[operator](*leaves, *[None] * (3 - len(leaves)), bins, backend)
    return [result.detach(), *torch.autograd.grad(result, leaves, torch.ones_like(result) if upstream is None else upstream)]


def assert_same(actual: list[Tensor], expected: list[Tensor]) -> None:
    """Equal in every bit: sums have a fixed order."""
    for a, e in zip(actual, expected, strict=True):
        assert torch.equal(a, e), f"{int((a != e).sum())} of {a.numel()} differ, by up to {(a - e).abs().max():.2e}"
