"""Harmonic energy in plain dense PyTorch: the specification, the oracle of the tests and a baseline. Memory of order N x N x D."""

import torch
from torch import Tensor

from ..common.nonfinite import spoil


def forward(features: Tensor, outputs: Tensor, sigma: float, distance: str) -> Tensor:
    """(..., N, D), (..., N, E) -> (...): the sum over ordered pairs of exp(-|f_i - f_j|_1 / sigma^2) dist(a_i, a_j)."""
    weights = torch.exp(-_differences(features).abs().sum(-1) / sigma**2)
    differences = _differences(outputs)
    if distance == "l1":
        distances = differences.abs().sum(-1)
    else:
        squares = differences.square().sum(-1)
        # the root's slope at 0 is infinite: 0 is the subgradient that keeps training finite
        distances = torch.where(squares == 0, 0, torch.where(squares == 0, 1, squares).sqrt())
    return spoil((weights * distances).sum((-2, -1)), 0, features, outputs)


def _differences(points: Tensor) -> Tensor:
    """(..., N, D) -> (..., N, N, D)."""
    return points.unsqueeze(-2) - points.unsqueeze(-3)
