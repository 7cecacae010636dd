"""Vectors of length 1/2 in given directions: their squared distance is the cosine distance, |u - v|^2 = (1 - cos) / 2.

    u = v / (2 |v|),      dL/dv = (G - 4 (G . u) u) / (2 |v|)

A zero vector gets the direction of (1, ..., 1), and no gradient. Only u and |v| are kept, where autograd would keep v too, and make
half a dozen tensors of its size on the way back.
"""

import math
import sys

import torch
from torch import Tensor

from ..common.operator import Operator


def kept(vectors: Tensor) -> list[Tensor]:
    """Twice the lengths, (..., 1)."""
    return [vectors.new_empty(*vectors.shape[:-1], 1)]


def forward(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """(..., C) -> vectors of length 1/2 and what is kept."""
    doubled = 2 * torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    zero = doubled == 0
    # what is added is 0 but for zero vectors: a mask over all channels takes twice as long
    halves = (vectors / doubled.masked_fill(zero, 1)).add_(zero * (0.5 / math.sqrt(vectors.shape[-1])))
    return halves, doubled


def backward(grad: Tensor, halves: Tensor, doubled: Tensor, needs: list[bool]) -> list[Tensor]:
    along = torch.linalg.vecdot(grad, halves).mul_(-4).unsqueeze(-1)
    return [torch.addcmul(grad, along, halves).div_(doubled.masked_fill(doubled == 0, math.inf))]  # 0, but NaN stays


OPERATOR = Operator(
    "half_directions",
    "vectors",
    result=lambda vectors: vectors.shape,
    reference=None,
    portable=sys.modules[__name__],
    fused=False,
    saves="result",
)


def half_directions(vectors: Tensor) -> Tensor:
    """Vectors of length 1/2 in the directions of `vectors`, (..., C) of float32 or float64. Differentiable once."""
    return OPERATOR(vectors)
