"""Soft histogram of samples (Hue-Net, Eq. 5).

    h[k] = sum_n s_n window(t_n - k - 1/2),      s_n = 1/N or the normalised weight
    dL/dx_n = s_n dt/dx sum_k G[k] window'(t_n - k - 1/2),      dL/ds_n = sum_k G[k] window(t_n - k - 1/2)

with G the upstream gradient. Only the bins within a sample's reach enter (see tiles.py), and nothing but the samples and weights
is kept for the backward pass.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from . import arguments, reference
from .bins import Bins, as_bins
from .registration import once_differentiable, operator
from .tiles import Axis, Responses, Runs, parts


def _forward(x: Tensor, shares: Tensor | None, bins: Bins) -> Tensor:
    """(B, N) -> (B, K) by runs of samples of one tile."""
    axis = Axis.covering(bins, x)
    # float64, as a constant image adds all its runs to one block
    blocks = x.new_zeros(len(x) * axis.blocks, axis.tile, dtype=torch.float64)
    for part in parts(x):
        ordered = _Ordered(x, shares, axis, part)
        first = ordered.image * axis.blocks + ordered.tile
        for piece in ordered.runs.pieces(axis):
            responses = Responses(axis, ordered.distance[piece])
            windows = torch.bmm((ordered.share[piece] * responses.factor).unsqueeze(1), responses.values).squeeze(1).double()
            for i, block in enumerate(windows.split(axis.tile, dim=1)):
                blocks.index_add_(0, first[piece] + i, block)
    return axis.fold(blocks.view(len(x), axis.blocks * axis.tile), 1).to(x.dtype)


def _backward(grad: Tensor, x: Tensor, shares: Tensor | None, bins: Bins, needs: list[bool]) -> tuple[Tensor, Tensor]:
    """Gradients with respect to x and shares, empty where not needed."""
    axis = Axis.covering(bins, x)
    grad_x, grad_shares = (x.new_empty(x.shape if need else 0) for need in needs)
    # G over the reach of every tile, a view: (B, tiles, reach)
    reaches = axis.unfold(grad, 1).unfold(1, axis.reach, axis.tile)
    for part in parts(x):
        ordered = _Ordered(x, shares, axis, part)
        slope, response = torch.empty_like(ordered.share), torch.empty_like(ordered.share)
        for piece in ordered.runs.pieces(axis):
            responses = Responses(axis, ordered.distance[piece])
            upstream = reaches[ordered.image[piece], ordered.tile[piece]].unsqueeze(-1)
            if needs[0]:
                slope[piece] = torch.bmm(responses.slopes() * (responses.slope_factor * bins.scale), upstream).squeeze(-1)
            if needs[1]:
                response[piece] = torch.bmm(responses.values * responses.factor, upstream).squeeze(-1)
        if needs[0]:
            grad_x[part] = ordered.runs.scatter(slope.mul_(ordered.share), x[part])
        if needs[1]:
            grad_shares[part] = ordered.runs.scatter(response, x[part])
    return grad_x, grad_shares


class _Ordered:
    """A part of the samples in runs of one tile: distances from its centre and shares, (runs, length), and where runs belong."""

    def __init__(self, x: Tensor, shares: Tensor | None, axis: Axis, part: tuple[slice, slice]) -> None:
        samples = x[part]
        tile, distance = axis.locate(samples)
        image = torch.arange(len(samples), device=x.device).unsqueeze(1)
        self.runs = Runs.of(image * axis.count + tile, len(samples) * axis.count, axis.reach)
        self.distance = self.runs.gather(distance)
        self.share = self.runs.gather(torch.full_like(samples, 1 / x.shape[1]) if shares is None else shares[part])
        self.image, self.tile = self.runs.tiles // axis.count + part[0].start, self.runs.tiles % axis.count


@operator("soft_histogram")
def _op(x: Tensor, shares: Tensor | None, bins: str, backend: str) -> Tensor:
    x, shares = arguments.contiguous(x, shares)
    if backend == "triton" and x.numel():
        return _fused().forward(x, shares, Bins.from_spec(bins))
    return arguments.spread_nan(_forward(x, shares, Bins.from_spec(bins)), x, shares)


@operator("soft_histogram_backward")
def _op_backward(
    grad: Tensor, x: Tensor, shares: Tensor | None, bins: str, backend: str, needs: list[bool]
) -> tuple[Tensor, Tensor]:
    backward = _fused().backward if backend == "triton" and x.numel() else _backward
    return backward(*arguments.contiguous(grad, x, shares), Bins.from_spec(bins), needs)


def _fused() -> ModuleType:
    """The Triton kernels, imported when first used."""
    from .fused import histogram

    return histogram


@_op.register_fake
def _(x: Tensor, shares: Tensor | None, bins: str, backend: str) -> Tensor:
    return x.new_empty(x.shape[0], Bins.from_spec(bins).count)


@_op_backward.register_fake
def _(grad: Tensor, x: Tensor, shares: Tensor | None, bins: str, backend: str, needs: list[bool]) -> tuple[Tensor, Tensor]:
    grad_x, grad_shares = (x.new_empty(x.shape if need else 0) for need in needs)
    return grad_x, grad_shares


def _setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
    x, shares, *ctx.plain = inputs
    ctx.save_for_backward(x, shares)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    needs = list(ctx.needs_input_grad[:2])
    grads = _op_backward(grad, *ctx.saved_tensors, *ctx.plain, needs)
    return *(g if need else None for g, need in zip(grads, needs)), None, None


_op.register_autograd(_differentiate, setup_context=_setup_context)
once_differentiable(_op_backward)


def soft_histogram(x: Tensor, bins: int | Bins = 256, *, weights: Tensor | None = None, backend: str | None = None) -> Tensor:
    """Differentiable histogram of the samples on the last dimension: the mean response of each bin (Hue-Net, Eq. 5).

    Args:
        x: samples, (..., N), floating; half precision is computed and returned in float32. Values outside the bins' range are
            treated as `Bins` says; a NaN sample makes its whole histogram NaN.
        bins: number of bins over [0, 1], or `Bins`.
        weights: non-negative votes, broadcastable to x, normalised to mean 1 over the samples; soft masks, differentiable.
            Where they sum to zero the histogram and its gradients are zero. Negative ones are not refused: the formula stands.
        backend: "triton" (fused kernels, for GPUs; not run on one yet), "torch" (block-sparse, any device) or "reference" (dense
            PyTorch, whose backward pass autocast may round). None is "triton" on a GPU, or "torch" with a warning where that cannot
            serve, and "torch" elsewhere.

    Returns:
        (..., K), non-negative, summing to 1 but for what an `open` boundary loses. No samples give zeros.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        RuntimeError: on second or forward-mode derivatives and `torch.func` transforms, unless backend is "reference".
    """
    bins = as_bins(bins)
    x = arguments.samples("x", x)
    shares = arguments.shares(x, weights)
    backend = arguments.choose_backend(backend, x, lambda: _fused().unserved(bins, x.dtype))
    if backend == "reference":
        with torch.autocast(x.device.type, enabled=False):
            return reference.soft_histogram(x, bins, shares)
    arguments.plain_autograd_only(x, *([] if shares is None else [shares]))
    histogram = _op(arguments.rows(x), arguments.rows(shares), bins.spec, backend)
    return histogram.view(*x.shape[:-1], bins.count)
