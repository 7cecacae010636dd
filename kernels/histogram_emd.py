"""Earth mover's distance from the soft histogram of samples to a target histogram, as one operator.

The formulas are those of histogram.py and emd.py. Backend "triton" finds the distance where the histogram is added up, and its
gradient with respect to the histogram at once, so that only that K-vector an image is kept for the backward pass; the other
backends, and bins that the fused kernels do not hold, do one after the other.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from . import arguments, reference
from .bins import Bins, as_bins
from .emd import root_mean, squared_emd
from .histogram import soft_histogram
from .registration import once_differentiable, operator


@operator("histogram_emd")
def _op(x: Tensor, shares: Tensor | None, target: Tensor, bins: str, circular: bool) -> tuple[Tensor, Tensor]:
    """Squared distances (B,), and their gradients with respect to the histograms, rounded and what rounding left, (B, 2, K)."""
    return _fused().forward(*arguments.contiguous(x, shares, target), Bins.from_spec(bins), circular)


@operator("histogram_emd_backward")
def _op_backward(
    grad: Tensor, x: Tensor, shares: Tensor | None, slope: Tensor, bins: str, needs: list[bool]
) -> tuple[Tensor, Tensor]:
    grad, x, shares = arguments.contiguous(grad, x, shares)
    return _fused().backward(slope, x, shares, Bins.from_spec(bins), needs, scale=grad)


def _fused() -> ModuleType:
    """The Triton kernels, imported when first used."""
    from .fused import emd

    return emd


@_op.register_fake
def _(x: Tensor, shares: Tensor | None, target: Tensor, bins: str, circular: bool) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape[0]), x.new_empty(x.shape[0], 2, Bins.from_spec(bins).count)


@_op_backward.register_fake
def _(grad: Tensor, x: Tensor, shares: Tensor | None, slope: Tensor, bins: str, needs: list[bool]) -> tuple[Tensor, Tensor]:
    grad_x, grad_shares = (x.new_empty(x.shape if need else 0) for need in needs)
    return grad_x, grad_shares


def _setup_context(ctx: Any, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
    x, shares, _target, ctx.bins, _circular = inputs
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(x, shares, output[1])


def _differentiate(ctx: Any, grad: Tensor, _slope: None) -> tuple[Tensor | None, ...]:
    x, shares, slope = ctx.saved_tensors
    needs = list(ctx.needs_input_grad[:2])
    grads = _op_backward(grad, x, shares, slope, ctx.bins, needs) if any(needs) else (None, None)
    grad_target = -slope[:, 0] * grad.unsqueeze(-1) if ctx.needs_input_grad[2] else None
    return *(g if need else None for g, need in zip(grads, needs)), grad_target, None, None


_op.register_autograd(_differentiate, setup_context=_setup_context)
once_differentiable(_op_backward)


def histogram_emd(
    x: Tensor,
    target: Tensor,
    bins: int | Bins = 256,
    *,
    circular: bool = True,
    squared: bool = False,
    weights: Tensor | None = None,
    backend: str | None = None,
) -> Tensor:
    """Earth mover's distance from the soft histogram of the samples on the last dimension to a target (Hue-Net, Eq. 5, 12-14).

    The same as `emd(soft_histogram(x, bins, weights=weights), target, circular=circular)`, or `squared_emd`, in one operator.

    Args:
        x, weights: samples and their votes, (..., N), as for `soft_histogram`.
        target: histogram, (..., K); leading dimensions broadcast against those of x. Differentiable.
        bins: number of bins over [0, 1], or `Bins`; K is their count.
        circular: bins on a circle (Eq. 14), as hues; their boundary is the bins' own affair.
        squared: the raw sum of squares (Eq. 13) instead of its root per bin (Eq. 12).
        backend: as for `soft_histogram`.

    Returns:
        (...), non-negative. At 0 the gradient is 0.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        RuntimeError: on second or forward-mode derivatives and `torch.func` transforms, unless backend is "reference".
    """
    bins = as_bins(bins)
    x, target = _broadcast(x, target, bins)
    if not isinstance(squared, bool) or not isinstance(circular, bool):
        raise TypeError(f"circular and squared must be True or False, got {circular!r} and {squared!r}")
    backend = arguments.choose_backend(backend, x, lambda: _unserved(bins, x.dtype))
    if backend == "triton" and x.numel() and not _fused().unfused(bins, x.dtype):
        shares = arguments.shares(x, weights)
        arguments.plain_autograd_only(x, target, *([] if shares is None else [shares]))
        cost = _op(*map(arguments.rows, (x, shares, target)), bins.spec, circular)[0].view(x.shape[:-1])
    else:
        histogram = soft_histogram(x, bins, weights=weights, backend=backend)
        if backend == "reference":
            with torch.autocast(x.device.type, enabled=False):
                cost = reference.squared_emd(histogram, target, circular)
        else:
            cost = squared_emd(histogram, target, circular=circular)
    return cost if squared else root_mean(cost, bins.count)


def _unserved(bins: Bins, dtype: torch.dtype) -> str | None:
    from .fused import histogram

    return histogram.unserved(bins, dtype)


def _broadcast(x: Tensor, target: Tensor, bins: Bins) -> tuple[Tensor, Tensor]:
    """Samples (..., N) and target (..., K) over the same leading dimensions, in their common dtype."""
    x, target = arguments.samples("x", x), arguments.samples("target", target)
    if target.shape[-1] != bins.count:
        raise ValueError(f"target must have as many bins as bins says, expected {bins.count}, got {tuple(target.shape)}")
    return arguments.one_batch(x, target, ("x", "target"), 1)
