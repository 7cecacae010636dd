"""Joint soft histogram of paired samples (Hue-Net, Eq. 23-24).

    J[k, l] = sum_n s_n P_nk Q_nl,     P_nk = window_x(t_n - k - 1/2),  Q_nl = window_y(v_n - l - 1/2),  s_n = 1/N or the weight
    V_nk = sum_l G[k, l] Q_nl,         dL/dx_n = s_n dt/dx sum_k P'_nk V_nk,      dL/ds_n = sum_k P_nk V_nk

with G the upstream gradient; y as x with the roles exchanged. A sample reaches a small square of bins, so both sums run over runs
of samples of one pair of tiles (see tiles.py): about 600 of 65,536 multiply-adds a sample at K = 256, and nothing of size
N x K. Only samples and weights are kept for the backward pass.
"""

from __future__ import annotations

import itertools
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from . import arguments, reference
from .bins import Bins, as_bins_pair
from .registration import once_differentiable, operator
from .tiles import Axis, Responses, Runs, joint_axes, parts


def _forward(x: Tensor, y: Tensor, shares: Tensor | None, bins_x: Bins, bins_y: Bins) -> Tensor:
    """(B, N), (B, N) -> (B, Kx, Ky) by runs of one pair of tiles."""
    axes = ax, ay = joint_axes(bins_x, bins_y, x, y)
    # float64, as a constant image adds all its runs to one block
    blocks = x.new_zeros(len(x) * ax.blocks * ay.blocks, ax.tile * ay.tile, dtype=torch.float64)
    for part in parts(x):
        ordered = _Ordered(x, y, shares, axes, part)
        first = (ordered.image * ax.blocks + ordered.tile_x) * ay.blocks + ordered.tile_y
        for piece in ordered.runs.pieces(ax, ay):
            p, q = Responses(ax, ordered.distance_x[piece]), Responses(ay, ordered.distance_y[piece])
            weighted = p.values.mul_((ordered.share[piece] * (p.factor * q.factor)).unsqueeze(-1))
            windows = torch.bmm(weighted.mT, q.values)
            for i, j in itertools.product(range(ax.reach // ax.tile), range(ay.reach // ay.tile)):
                block = windows[:, i * ax.tile : (i + 1) * ax.tile, j * ay.tile : (j + 1) * ay.tile]
                blocks.index_add_(0, first[piece] + (i * ay.blocks + j), block.double().flatten(1))
    extended = blocks.view(len(x), ax.blocks, ay.blocks, ax.tile, ay.tile).transpose(2, 3)
    extended = extended.reshape(len(x), ax.blocks * ax.tile, ay.blocks * ay.tile)
    return ay.fold(ax.fold(extended, 1), 2).to(x.dtype)


def _backward(
    grad: Tensor, x: Tensor, y: Tensor, shares: Tensor | None, bins_x: Bins, bins_y: Bins, needs: list[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients with respect to x, y and shares, empty where not needed."""
    axes = ax, ay = joint_axes(bins_x, bins_y, x, y)
    grads = tuple(x.new_empty(x.shape if need else 0) for need in needs)
    # G over the reach of every pair of tiles, a view: (B, tiles x, tiles y, reach x, reach y)
    reaches = ay.unfold(ax.unfold(grad, 1), 2).unfold(1, ax.reach, ax.tile).unfold(2, ay.reach, ay.tile)
    for part in parts(x):
        ordered = _Ordered(x, y, shares, axes, part)
        slopes = [torch.empty_like(ordered.share) if need else None for need in needs]
        for piece in ordered.runs.pieces(ax, ay):
            p, q = Responses(ax, ordered.distance_x[piece]), Responses(ay, ordered.distance_y[piece])
            upstream = reaches[ordered.image[piece], ordered.tile_x[piece], ordered.tile_y[piece]]
            along_x = torch.bmm(q.values, upstream.mT) if needs[0] or needs[2] else None
            if needs[2]:
                slopes[2][piece] = torch.linalg.vecdot(p.values, along_x).mul_(p.factor * q.factor)
            if needs[1]:
                along_y = torch.bmm(p.values, upstream)
                slopes[1][piece] = torch.linalg.vecdot(q.slopes(), along_y).mul_(p.factor * q.slope_factor * bins_y.scale)
            if needs[0]:
                slopes[0][piece] = torch.linalg.vecdot(p.slopes(), along_x).mul_(p.slope_factor * q.factor * bins_x.scale)
        for grad_part, slope, share in zip(grads, slopes, (ordered.share, ordered.share, None)):
            if slope is not None:
                grad_part[part] = ordered.runs.scatter(slope if share is None else slope.mul_(share), x[part])
    return grads


class _Ordered:
    """A part of the samples in runs of one pair of tiles: distances from their centres and shares, (runs, length), and where runs
    belong."""

    def __init__(self, x: Tensor, y: Tensor, shares: Tensor | None, axes: tuple[Axis, Axis], part: tuple[slice, slice]) -> None:
        (ax, ay), samples = axes, x[part]
        tile_x, distance_x = ax.locate(samples)
        tile_y, distance_y = ay.locate(y[part])
        image = torch.arange(len(samples), device=x.device).unsqueeze(1)
        pairs = ax.count * ay.count
        self.runs = Runs.of((image * ax.count + tile_x) * ay.count + tile_y, len(samples) * pairs, max(ax.reach, ay.reach))
        self.distance_x, self.distance_y = self.runs.gather(distance_x), self.runs.gather(distance_y)
        self.share = self.runs.gather(torch.full_like(samples, 1 / x.shape[1]) if shares is None else shares[part])
        self.image = self.runs.tiles // pairs + part[0].start
        self.tile_x, self.tile_y = self.runs.tiles // ay.count % ax.count, self.runs.tiles % ay.count


@operator("joint_histogram")
def _op(x: Tensor, y: Tensor, shares: Tensor | None, bins_x: str, bins_y: str, backend: str) -> tuple[Tensor, Tensor]:
    """The joint histogram, and the order of the samples that the Triton kernels walk along (else empty)."""
    (x, y, shares), bins = arguments.contiguous(x, y, shares), (Bins.from_spec(bins_x), Bins.from_spec(bins_y))
    if backend == "triton" and x.numel():
        return _fused().forward(x, y, shares, *bins)
    return arguments.spread_nan(_forward(x, y, shares, *bins), x, y, shares), x.new_empty(x.shape[0], 0, dtype=torch.int32)


@operator("joint_histogram_backward")
def _op_backward(
    grad: Tensor,
    x: Tensor,
    y: Tensor,
    shares: Tensor | None,
    order: Tensor,
    bins_x: str,
    bins_y: str,
    backend: str,
    needs: list[bool],
) -> tuple[Tensor, Tensor, Tensor]:
    (grad, x, y, shares), bins = arguments.contiguous(grad, x, y, shares), (Bins.from_spec(bins_x), Bins.from_spec(bins_y))
    if backend == "triton" and x.numel():
        return _fused().backward(grad, x, y, shares, order, *bins, needs)
    return _backward(grad, x, y, shares, *bins, needs)


def _fused() -> ModuleType:
    """The Triton kernels, imported when first used."""
    from .fused import joint_histogram

    return joint_histogram


@_op.register_fake
def _(x: Tensor, y: Tensor, shares: Tensor | None, bins_x: str, bins_y: str, backend: str) -> tuple[Tensor, Tensor]:
    (batch, samples), bins = x.shape, (Bins.from_spec(bins_x), Bins.from_spec(bins_y))
    width = _fused().order_width(samples, *bins, x.dtype) if backend == "triton" and x.numel() else 0
    return x.new_empty(batch, bins[0].count, bins[1].count), x.new_empty(batch, width, dtype=torch.int32)


@_op_backward.register_fake
def _(
    grad: Tensor,
    x: Tensor,
    y: Tensor,
    shares: Tensor | None,
    order: Tensor,
    bins_x: str,
    bins_y: str,
    backend: str,
    needs: list[bool],
) -> tuple[Tensor, Tensor, Tensor]:
    grad_x, grad_y, grad_shares = (x.new_empty(x.shape if need else 0) for need in needs)
    return grad_x, grad_y, grad_shares


def _setup_context(ctx: Any, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
    x, y, shares, *ctx.plain = inputs
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(x, y, shares, output[1])


def _differentiate(ctx: Any, grad: Tensor, _order: None) -> tuple[Tensor | None, ...]:
    needs = list(ctx.needs_input_grad[:3])
    grads = _op_backward(grad, *ctx.saved_tensors, *ctx.plain, needs)
    return *(g if need else None for g, need in zip(grads, needs)), None, None, None


_op.register_autograd(_differentiate, setup_context=_setup_context)
once_differentiable(_op_backward)


def joint_histogram(
    x: Tensor,
    y: Tensor,
    bins: int | Bins = 256,
    bins_y: int | Bins | None = None,
    *,
    weights: Tensor | None = None,
    backend: str | None = None,
) -> Tensor:
    """Differentiable joint histogram of paired samples on the last dimension (Hue-Net, Eq. 23-24).

    Args:
        x, y: samples, (..., N) with the same N and leading dimensions that broadcast; floating. Half precision is computed and
            returned in float32. A NaN sample makes its whole joint histogram NaN.
        bins, bins_y: bins of x and of y. `bins_y` None repeats `bins`; an int is `bins` with that count.
        weights: non-negative votes of the pairs, broadcastable to x, normalised to mean 1; where they sum to zero the histogram
            and its gradients are zero.
        backend: "triton" (fused kernels, for GPUs; not run on one yet), "torch" (block-sparse, any device) or "reference" (dense
            PyTorch, whose backward pass autocast may round). None is "triton" on a GPU, or "torch" with a warning where that cannot
            serve, and "torch" elsewhere.

    Returns:
        (..., Kx, Ky), non-negative, summing to 1 but for what `open` boundaries lose.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        RuntimeError: on second or forward-mode derivatives and `torch.func` transforms, unless backend is "reference".
    """
    bins_x, bins_y = as_bins_pair(bins, bins_y)
    x, y = arguments.paired(x, y)
    shares = arguments.shares(x, weights)
    backend = arguments.choose_backend(backend, x, lambda: _fused().unserved(bins_x, bins_y, x.dtype))
    if backend == "reference":
        with torch.autocast(x.device.type, enabled=False):
            return reference.joint_histogram(x, y, bins_x, bins_y, shares)
    arguments.plain_autograd_only(x, y, *([] if shares is None else [shares]))
    joint, _ = _op(*map(arguments.rows, (x, y, shares)), bins_x.spec, bins_y.spec, backend)
    return joint.view(*x.shape[:-1], bins_x.count, bins_y.count)
