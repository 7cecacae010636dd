"""Soft histogram without sort or atomics.

Forward: for a block of samples, a one-hot of their tiles [SLOTS x BLOCK] times their responses [BLOCK x REACH] is one product
that adds every sample to its tile's reach. A program walks over its part of an image's samples and writes its sums once; a second
kernel adds the parts, overlaps the reaches and folds the boundaries. Every sum has a fixed order.

Backward: the upstream gradient over the reach of every tile, [SLOTS x REACH], stays on chip; the transposed one-hot picks each
sample's row, and the sum of that row times the responses' derivatives is the sample's gradient.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..bins import Bins
from .axis import Axis, accumulator, extended_bin, extended_tile, locate, make_axis, precision, real_bin, untiled
from .windows import responses

BLOCK = 64
#: programs wanted in all, some waves of them on the largest GPUs
PROGRAMS = 2048


@triton.jit
def _forward_kernel(
    x_ptr,  # (B, N)
    shares_ptr,  # (B, N) if WEIGHTED
    sums_ptr,  # (B, PARTS, SLOTS, A.REACH)
    samples,
    A: tl.constexpr,
    PARTS: tl.constexpr,
    SLOTS: tl.constexpr,
    BLOCK: tl.constexpr,
    WEIGHTED: tl.constexpr,
    ACC: tl.constexpr,
    PRECISION: tl.constexpr,
):
    image, part = tl.program_id(0).to(tl.int64), tl.program_id(1)
    slots = tl.arange(0, SLOTS)
    sums = tl.zeros([SLOTS, A.REACH], ACC)
    for start in range(part * BLOCK, samples, PARTS * BLOCK):
        n = start + tl.arange(0, BLOCK)
        tile, u, _ = locate(tl.load(x_ptr + image * samples + n, mask=n < samples, other=0.0).to(ACC), A)
        value, _ = responses(u, A, False)
        if WEIGHTED:
            value *= tl.load(shares_ptr + image * samples + n, mask=n < samples, other=0.0).to(ACC)[:, None]
        one_hot = (slots[:, None] == tile[None, :]) & (n < samples)[None, :]
        sums = tl.dot(one_hot.to(ACC), value, acc=sums, input_precision=PRECISION, out_dtype=ACC)
    at = ((image * PARTS + part) * SLOTS + slots[:, None]) * A.REACH + tl.arange(0, A.REACH)[None, :]
    tl.store(sums_ptr + at, sums)


@triton.jit
def _fold_kernel(
    sums_ptr,  # (B, PARTS, SLOTS, A.REACH)
    histogram_ptr,  # (B, A.COUNT)
    factor,
    A: tl.constexpr,
    IMAGES: tl.constexpr,
    PARTS: tl.constexpr,
    SLOTS: tl.constexpr,
    BLOCK: tl.constexpr,
    ACC: tl.constexpr,
):
    """A block of bins, each the sum of its places in all reaches over all parts."""
    image = tl.program_id(0).to(tl.int64)
    k = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    total = tl.zeros([BLOCK], ACC)
    for mirror in range(IMAGES):
        place = extended_bin(k, mirror, A)
        for back in range(A.REACH // A.TILE):
            tile, first = extended_tile(place // A.TILE, back, A)
            exists = (k < A.COUNT) & (place >= 0) & (tile >= 0)
            at = tile * A.REACH + first + place % A.TILE
            for part in range(PARTS):
                total += tl.load(sums_ptr + (image * PARTS + part) * SLOTS * A.REACH + at, mask=exists, other=0.0)
    tl.store(histogram_ptr + image * A.COUNT + k, total * factor, mask=k < A.COUNT)


@triton.jit
def _backward_kernel(
    grad_ptr,  # (B, A.COUNT)
    x_ptr,  # (B, N)
    shares_ptr,  # (B, N) if WEIGHTED
    grad_x_ptr,  # (B, N) if NEEDS_X
    grad_shares_ptr,  # (B, N) if NEEDS_SHARES
    samples,
    factor,
    A: tl.constexpr,
    PARTS: tl.constexpr,
    SLOTS: tl.constexpr,
    BLOCK: tl.constexpr,
    WEIGHTED: tl.constexpr,
    NEEDS_X: tl.constexpr,
    NEEDS_SHARES: tl.constexpr,
    ACC: tl.constexpr,
    PRECISION: tl.constexpr,
):
    image, part = tl.program_id(0).to(tl.int64), tl.program_id(1)
    slots = tl.arange(0, SLOTS)
    k = real_bin(slots[:, None], tl.arange(0, A.REACH)[None, :], A)
    upstream = tl.load(grad_ptr + image * A.COUNT + k, mask=k >= 0, other=0.0).to(ACC) * factor
    for start in range(part * BLOCK, samples, PARTS * BLOCK):
        n = start + tl.arange(0, BLOCK)
        tile, u, sign = locate(tl.load(x_ptr + image * samples + n, mask=n < samples, other=0.0).to(ACC), A)
        value, derivative = responses(u, A, NEEDS_X)
        one_hot = (tile[:, None] == slots[None, :]).to(ACC)
        row = tl.dot(one_hot, upstream, input_precision=PRECISION, out_dtype=ACC)
        if NEEDS_X:
            gradient = tl.sum(row * derivative, axis=1) * (sign * A.SLOPE)
            if WEIGHTED:
                gradient *= tl.load(shares_ptr + image * samples + n, mask=n < samples, other=0.0).to(ACC)
            tl.store(grad_x_ptr + image * samples + n, gradient, mask=n < samples)
        if NEEDS_SHARES:
            tl.store(grad_shares_ptr + image * samples + n, tl.sum(row * value, axis=1), mask=n < samples)


def unserved(bins: Bins, dtype: torch.dtype) -> str | None:
    """Why the kernels cannot serve these bins, None if they can."""
    return untiled(bins, dtype)


def forward(x: Tensor, shares: Tensor | None, bins: Bins) -> Tensor:
    """(B, N) contiguous, not empty -> (B, K)."""
    (batch, samples), axis = x.shape, make_axis(bins, x.dtype)
    parts, slots = _schedule(x, axis)
    acc = accumulator(x)
    sums = x.new_empty(batch, parts, slots, axis.REACH)
    _forward_kernel[batch, parts](
        x, shares, sums, samples, axis.frozen, parts, slots, BLOCK, WEIGHTED=shares is not None, ACC=acc, PRECISION=precision(x)
    )
    histogram = x.new_empty(batch, bins.count)
    factor = 1 / samples if shares is None else 1.0
    _fold_kernel[batch, triton.cdiv(bins.count, BLOCK)](
        sums, histogram, factor, axis.frozen, axis.images, parts, slots, BLOCK, ACC=acc
    )
    return histogram


def backward(grad: Tensor, x: Tensor, shares: Tensor | None, bins: Bins, needs: list[bool]) -> tuple[Tensor, Tensor]:
    """Gradients with respect to x and shares, empty where not needed; all inputs contiguous and not empty."""
    (batch, samples), axis = x.shape, make_axis(bins, x.dtype)
    parts, slots = _schedule(x, axis)
    grad_x, grad_shares = (x.new_empty(x.shape if need else 0) for need in needs)
    factor = 1 / samples if shares is None else 1.0
    _backward_kernel[batch, parts](
        grad, x, shares, grad_x, grad_shares, samples, factor, axis.frozen, parts, slots, BLOCK,
        WEIGHTED=shares is not None, NEEDS_X=needs[0], NEEDS_SHARES=needs[1], ACC=accumulator(x), PRECISION=precision(x),
    )  # fmt: skip
    return grad_x, grad_shares


def _schedule(x: Tensor, axis: Axis) -> tuple[int, int]:
    """How many programs share an image, and the tiles padded to what a matrix product takes."""
    batch, samples = x.shape
    parts = min(triton.cdiv(samples, BLOCK), triton.cdiv(PROGRAMS, batch))
    return parts, max(16, triton.next_power_of_2(axis.SLOTS))
