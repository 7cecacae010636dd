"""Inputs and bins that the operator tests draw on."""

from __future__ import annotations

import torch
from torch import Tensor

from huenet.kernels import Bins

WINDOWS = ("logistic", "gaussian", "triangular", "bspline")
BOUNDARIES = ("open", "reflect", "circular")
COUNTS = (1, 2, 7, 64, 100, 256, 257, 1000)


def samples(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64, spill: float = 0.1) -> Tensor:
    """Samples over [0, 1] and `spill` beyond either end."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(shape, generator=generator, dtype=torch.float64) * (1 + 2 * spill) - spill).to(dtype)


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
