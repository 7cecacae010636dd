"""Inputs and bins that the operator tests draw on."""

from __future__ import annotations

import torch
from torch import Tensor

from huenet.kernels import Bins
from huenet.kernels.common import cases
from huenet.kernels.common.windows import WINDOWS as ENTRIES

#: in full products with everything else, and those that are tried in fewer combinations
WINDOWS = ("logistic", "gaussian", "triangular", "bspline")
OTHER_WINDOWS = ("rbf", "inverse_quadratic", "box", "epanechnikov", "xu", "truncated_gaussian")
ALL_WINDOWS = WINDOWS + OTHER_WINDOWS
BOUNDARIES = ("open", "reflect", "circular")
COUNTS = (1, 2, 7, 64, 100, 256, 257, 1000)


def boundaries_of(window: str) -> tuple[str, ...]:
    return ("open",) if ENTRIES[window].endless else BOUNDARIES


def samples(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64, spill: float = 0.1) -> Tensor:
    """Samples over [0, 1] and `spill` beyond either end."""
    return cases.uniform(*shape, seed=seed, spill=spill).to(dtype)


def clustered(count: int, seed: int = 0, rows: int = 1) -> Tensor:
    """Samples in few tiles, and some at the ends of the range and outside, (rows, count) float64."""
    return cases.clustered(rows, count, seed=seed)


def votes(count: int, rows: int = 1) -> Tensor:
    return cases.votes(rows, count)


def upstream(like: Tensor, seed: int = 100) -> Tensor:
    """A random gradient, scaled so that no bin dominates."""
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(like)


def gradients(function, inputs: list[Tensor], seed: int = 100) -> tuple[Tensor, list[Tensor]]:
    """The result of function(*inputs) and its gradients for a random upstream gradient."""
    leaves = [tensor.detach().clone().requires_grad_() for tensor in inputs]
    result = function(*leaves)
    return result.detach(), list(torch.autograd.grad(result, leaves, upstream(result, seed)))


def bins_of(window: str, boundary: str, count: int, bandwidth: float | None = None) -> Bins:
    return Bins(count, window=window, boundary=boundary, bandwidth=bandwidth)
