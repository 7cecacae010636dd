"""HarmonicGAN's two operators in plain dense PyTorch, the specification and the oracle of the tests, as in reference.py."""

from __future__ import annotations

import torch
from torch import Tensor

from .bins import Bins
from .reference import responses


def patch_histogram(x: Tensor, bins: Bins, patch: int, stride: int) -> Tensor:
    """(B, C, H, W) -> (B, patches, C*K): phi_h of every patch, in the order of `torch.nn.functional.unfold`."""
    patches = x.unfold(2, patch, stride).unfold(3, patch, stride).flatten(4)  # (B, C, rows, columns, patch^2)
    counts = responses(patches, bins).sum(-2)
    return counts.permute(0, 2, 3, 1, 4).flatten(3).flatten(1, 2)


def harmonic_energy(features: Tensor, outputs: Tensor, sigma: float, distance: str) -> Tensor:
    """(..., N, D), (..., N, E) -> (...): the sum over ordered pairs of exp(-|f_i - f_j|_1 / sigma^2) dist(a_i, a_j)."""
    weights = torch.exp(-_differences(features).abs().sum(-1) / sigma**2)
    differences = _differences(outputs)
    if distance == "l1":
        distances = differences.abs().sum(-1)
    else:
        squares = differences.square().sum(-1)
        # the root's slope at 0 is infinite: 0 is the subgradient that keeps training finite
        distances = torch.where(squares == 0, 0, torch.where(squares == 0, 1, squares).sqrt())
    return (weights * distances).sum((-2, -1))


def _differences(points: Tensor) -> Tensor:
    """(..., N, D) -> (..., N, N, D)."""
    return points.unsqueeze(-2) - points.unsqueeze(-3)
