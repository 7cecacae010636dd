"""Vectors of length 1/2 in the directions of points: their squared distance is the cosine distance, |u - w|^2 = (1 - cos) / 2.

    v = point - mean,    u = v / (2 |v|),      dL/dpoint = (G - 4 (G . u) u) / (2 |v|),      dL/dmean = - sum dL/dpoint

A zero vector, which is one shorter than the rounding of point and mean too, gets the direction of (1, ..., 1), and no gradient.
Only u and 2 |v| are kept, where autograd would keep v too, and make half a dozen tensors of its size on the way back.
"""

import math
import sys

import torch
from torch import Tensor

from ..common.operator import Operator
from .reference import CANCELLED


def kept(points: Tensor, mean: Tensor | None) -> list[Tensor]:
    """What vectors were divided by, (..., 1)."""
    return [points.new_empty(*points.shape[:-1], 1)]


def forward(points: Tensor, mean: Tensor | None) -> tuple[Tensor, Tensor]:
    """(..., C) -> vectors of length 1/2 and what is kept."""
    vectors = points if mean is None else points - mean
    length = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    rounding = CANCELLED * torch.finfo(points.dtype).eps
    least = 0 if mean is None else torch.linalg.vector_norm(mean, dim=-1, keepdim=True) * rounding
    zero = ~(length > least)  # NaN is one too, and stays
    doubled = (2 * length).masked_fill_(zero, math.inf)
    diagonal = torch.zeros_like(doubled).masked_fill_(zero, 0.5 / math.sqrt(points.shape[-1]))
    # added to all, as a mask over all channels takes twice as long
    return torch.addcdiv(diagonal, vectors, doubled), doubled


def backward(grad: Tensor, halves: Tensor, mean: Tensor | None, doubled: Tensor, needs: list[bool]) -> list[Tensor]:
    along = torch.linalg.vecdot(grad, halves).mul_(-4).unsqueeze(-1)
    slope = torch.addcmul(grad, along, halves).div_(doubled)  # 0 of zero vectors, but NaN stays
    of_mean = grad.new_empty(0) if mean is None or not needs[1] else -slope.sum_to_size(mean.shape)
    return [slope if needs[0] else grad.new_empty(0), of_mean]


OPERATOR = Operator(
    "half_directions",
    "points mean?",
    result=lambda points, mean: points.shape,
    reference=None,
    portable=sys.modules[__name__],
    fused=False,
    saves="result mean",
)


def half_directions(points: Tensor, mean: Tensor | None = None) -> Tensor:
    """Vectors of length 1/2 in the directions of points (..., C) from a mean that broadcasts against them, or from the origin;
    float32 or float64. Differentiable once."""
    return OPERATOR(points, mean)
