"""Earth mover's distance between histograms on a line or a circle (Hue-Net, Eq. 12-15).

With d = p - q over K bins and D its cumulative sum, the squared distance on a line is sum_i D_i^2. On a circle it is the least
over cyclic shifts l of the same sum for d rolled by -l. Rolling subtracts D_{l-1} and, where the masses differ by T = D_{K-1},
adds T to the first l terms, so the cost of every shift follows from two cumulative sums, in O(K) for all of them:

    cost(l) = sum D^2 + 2 T sum_{i<l} D_i + l T^2 - 2 D_{l-1} (sum D + l T) + K D_{l-1}^2,      D_{-1} = 0

Only the best shift is taken from it; the distance itself is summed anew from the rolled difference, so that equal histograms are
at distance exactly 0. The gradient goes through that shift: dL/dd_k = 2 g sum_{i>=k} D_i in the rolled order.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from . import arguments
from .registration import once_differentiable, operator


def _best_shift(difference: Tensor) -> Tensor:
    """The cyclic shift l of least squared cost (Eq. 14), (B, K) float64 -> (B,)."""
    count = difference.shape[-1]
    cumulative = difference.cumsum(-1)
    total = cumulative[:, -1:]
    before = torch.nn.functional.pad(cumulative[:, :-1], (1, 0))  # D_{l-1}
    sum_before = torch.nn.functional.pad(cumulative.cumsum(-1)[:, :-1], (1, 0))  # sum_{i<l} D_i
    shift = torch.arange(count, device=difference.device, dtype=difference.dtype)
    grand = cumulative.sum(-1, keepdim=True)
    return (2 * total * sum_before + shift * total**2 - 2 * before * (grand + shift * total) + count * before**2).argmin(-1)


def _rolled_index(difference: Tensor, circular: bool) -> Tensor:
    """Bins in the order in which their differences are accumulated, (B, K)."""
    count = difference.shape[-1]
    index = torch.arange(count, device=difference.device).expand_as(difference)
    return (index + _best_shift(difference).unsqueeze(-1)) % count if circular else index


@operator("squared_emd")
def _op(p: Tensor, q: Tensor, circular: bool) -> Tensor:
    difference = p.double() - q.double()
    rolled = difference.gather(-1, _rolled_index(difference, circular))
    return rolled.cumsum(-1).square().sum(-1).to(p.dtype)


@operator("squared_emd_backward")
def _op_backward(grad: Tensor, p: Tensor, q: Tensor, circular: bool) -> Tensor:
    """The gradient with respect to p; that with respect to q is its negative."""
    difference = p.double() - q.double()
    index = _rolled_index(difference, circular)
    slope = 2 * difference.gather(-1, index).cumsum(-1).flip(-1).cumsum(-1).flip(-1)
    return (torch.empty_like(slope).scatter_(-1, index, slope) * grad.unsqueeze(-1)).to(p.dtype)


@_op.register_fake
def _(p: Tensor, q: Tensor, circular: bool) -> Tensor:
    return p.new_empty(p.shape[0])


@_op_backward.register_fake
def _(grad: Tensor, p: Tensor, q: Tensor, circular: bool) -> Tensor:
    return p.new_empty(p.shape)


def _setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
    p, q, ctx.circular = inputs
    ctx.save_for_backward(p, q)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    slope = _op_backward(grad, *ctx.saved_tensors, ctx.circular)
    return slope if ctx.needs_input_grad[0] else None, -slope if ctx.needs_input_grad[1] else None, None


_op.register_autograd(_differentiate, setup_context=_setup_context)
once_differentiable(_op_backward)


def squared_emd(p: Tensor, q: Tensor, *, circular: bool = False) -> Tensor:
    """Sum over bins of the squared difference of the cumulative histograms (Hue-Net, Eq. 13); circular: Eq. 14.

    Args:
        p, q: histograms, (..., K), leading dimensions broadcast. Masses may differ; the formulas are applied as they stand.
        circular: the least value over the K cyclic shifts of both histograms (bins on a circle, as hues).

    Returns:
        (...), non-negative; of order K. 0 for equal histograms, with zero gradient.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        RuntimeError: on second or forward-mode derivatives and `torch.func` transforms.
    """
    p, q = arguments.histograms(p, q, circular)
    arguments.plain_autograd_only(p, q)
    return _op(arguments.rows(p), arguments.rows(q), circular).view(p.shape[:-1])


def emd(p: Tensor, q: Tensor, *, circular: bool = False, order: int = 2) -> Tensor:
    """Earth mover's distance of order 1 or 2 between histograms, per bin: (1/K sum |CDF difference|^order)^(1/order), Eq. 12.

    Args:
        p, q: histograms, (..., K), leading dimensions broadcast.
        circular: bins on a circle (Eq. 14). Order 1 subtracts the median of the CDF difference, which is the least cyclic shift
            when the masses are equal (Werman et al. 1985).
        order: 2 (the paper's) or 1 (earth mover's distance in its usual sense, in units of the range).

    Returns:
        (...), non-negative. At 0 the gradient is 0.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        RuntimeError: on second or forward-mode derivatives and `torch.func` transforms of order 2.
    """
    if order not in (1, 2):
        raise ValueError(f"order must be 1 or 2, got {order!r}")
    p, q = arguments.histograms(p, q, circular)
    if order == 2:
        return root_mean(squared_emd(p, q, circular=circular), p.shape[-1])
    cumulative = (p.double() - q.double()).cumsum(-1)
    if circular:
        cumulative = cumulative - cumulative.median(-1, keepdim=True).values
    return cumulative.abs().mean(-1).to(p.dtype)


def root_mean(cost: Tensor, count: int) -> Tensor:
    """sqrt(cost / count). Its slope at 0 is infinite, the distance's one-sided: 0 is the subgradient that keeps training finite."""
    mean = cost / count
    return torch.where(mean == 0, 0, torch.where(mean == 0, 1, mean).sqrt())
