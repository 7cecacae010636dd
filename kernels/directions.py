"""Vectors of length 1/2 in given directions: their squared distance is the cosine distance, |u - v|^2 = (1 - cos) / 2.

    u = v / (2 |v|),      dL/dv = (G - 4 (G . u) u) / (2 |v|)

A zero vector gets the direction of (1, ..., 1), and no gradient. Only u and |v| are kept, where autograd would keep v too, and make
half a dozen tensors of its size on the way back.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .registration import once_differentiable, operator


@operator("half_directions")
def _op(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """(..., C) -> vectors of length 1/2, contiguous, and twice the lengths (..., 1)."""
    vectors = vectors.contiguous()
    doubled = 2 * torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return (vectors / doubled).masked_fill_(doubled == 0, 0.5 / math.sqrt(vectors.shape[-1])), doubled


@operator("half_directions_backward")
def _op_backward(grad: Tensor, halves: Tensor, doubled: Tensor) -> Tensor:
    along = torch.einsum("...c,...c->...", grad, halves).mul_(-4).unsqueeze(-1)
    return torch.addcmul(grad.contiguous(), along, halves).div_(doubled).masked_fill_(doubled == 0, 0)


@_op.register_fake
def _(vectors: Tensor) -> tuple[Tensor, Tensor]:
    return vectors.new_empty(vectors.shape), vectors.new_empty(*vectors.shape[:-1], 1)


@_op_backward.register_fake
def _(grad: Tensor, halves: Tensor, doubled: Tensor) -> Tensor:
    return grad.new_empty(grad.shape)


def _setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
    ctx.save_for_backward(*output)
    ctx.mark_non_differentiable(output[1])


def _differentiate(ctx: Any, grad: Tensor, unused: Tensor) -> Tensor:
    return _op_backward(grad, *ctx.saved_tensors)


_op.register_autograd(_differentiate, setup_context=_setup_context)
once_differentiable(_op_backward)


def half_directions(vectors: Tensor) -> Tensor:
    """Vectors of length 1/2 in the directions of `vectors`, (..., C) of float32 or float64. Differentiable once."""
    return _op(vectors)[0]
