"""Votes of samples normalised to shares of one, in few passes over them, with the rounding of float64."""

from typing import Any

import torch
from torch import Tensor


def normalised(weights: Tensor, dtype: torch.dtype) -> Tensor:
    """Weights (..., N) over their sum, in `dtype`; zero where they sum to zero, NaN where one is not finite.

    Computed in float64, as the sum of large or tiny weights must neither overflow nor vanish, and rounded once: float32 shares are
    right to 2^-24. Differentiable any number of times.
    """
    watched = torch._C._are_functorch_transforms_active() or torch.compiler.is_compiling()
    if watched or torch.autograd.forward_ad.unpack_dual(weights).tangent is not None:
        return _by_formula(weights, dtype)
    return _Normalised.apply(weights, dtype) if weights.requires_grad and torch.is_grad_enabled() else over_sum(weights, dtype)[0]


def _by_formula(weights: Tensor, dtype: torch.dtype) -> Tensor:
    """For whoever differentiates it otherwise, or compiles it."""
    weights = weights.double()
    return (weights / _divisor(weights)).to(dtype)


def _divisor(weights: Tensor) -> Tensor:
    """What weights are divided by, float64: their sum, infinite where that is 0, and NaN where it is not finite, else one infinite
    weight would leave the others 0."""
    total = weights.sum(-1, keepdim=True, dtype=torch.float64)
    return torch.where(total.isfinite(), total, torch.nan).masked_fill(total == 0, torch.inf)


def over_sum(weights: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Shares and the divisor, without autograd, in two passes."""
    divisor = _divisor(weights)
    return torch.div(weights, divisor, out=weights.new_empty(weights.shape, dtype=dtype)), divisor


def over_sum_backward(grad: Tensor, shares: Tensor, divisor: Tensor) -> Tensor:
    """The gradient of weights from that of their shares, all in float64."""
    return (grad - (grad * shares).sum(-1, keepdim=True)) / divisor


class _Normalised(torch.autograd.Function):
    """Autograd would make a float64 tensor for every step of the formula, and as many more on the way back."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, dtype: torch.dtype) -> Tensor:
        shares, divisor = over_sum(weights, dtype)
        ctx.save_for_backward(weights, divisor, shares if dtype == torch.float64 else None)
        return shares

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None]:
        """dL/dw = (G - G . shares) / sum, whose two parts nearly cancel where G is nearly constant: float64 up to the last step."""
        weights, divisor, shares = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative may follow
            return torch.autograd.grad(_by_formula(weights, grad.dtype), weights, grad, create_graph=True)[0], None
        if shares is None and weights.dtype == torch.float32:  # of which products in float64 neither overflow nor vanish
            mean = torch.addcmul(torch.zeros_like(divisor), grad, weights).sum(-1, keepdim=True) / divisor
        else:
            mean = (grad * (weights / divisor if shares is None else shares)).sum(-1, keepdim=True)
        slope = weights.new_empty(weights.shape)
        return torch.addcdiv(-mean / divisor, grad, divisor, out=slope), None
