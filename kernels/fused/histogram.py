"""Soft histogram without sort or atomics.

Forward: for a block of samples, their responses [SPAN x BLOCK] times a one-hot of their tiles [BLOCK x SLOTS] is one product that
adds every sample to its tile's reach. A program walks over its part of an image's samples and writes its sums once; a second kernel
adds the parts, overlaps the reaches and folds the boundaries. Every sum has a fixed order.

Backward: the upstream gradient over the reach of every tile, [SPAN x SLOTS], stays on chip; the one-hot picks each sample's
column, and the sum of that column times the responses' derivatives is the sample's gradient.

Reaches are one SPAN wide unless windows are: then programs of the forward kernel share them, and the backward kernel walks over its
samples again for each.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..bins import Bins
from . import dense
from .axis import SPAN, Axis, accumulator, distance, extended_bin, extended_tile, is_tiled, make_axis, precision, real_bin, tile_of
from .programs import flat_program, sample_share, store_sum
from .windows import responses

#: samples at a time for each warp
BLOCK, FOLD, PARTS_AT_ONCE = 32, 64, 32
#: programs wanted in all, some waves of them on the largest GPUs
PROGRAMS = 4096
#: the most tiles, whose reaches a program holds
MOST_SLOTS = 128


@triton.jit
def _forward_kernel(
    x_ptr,  # (B, N)
    shares_ptr,  # (B, N) if WEIGHTED
    sums_ptr,  # (B, parts, A.REACH * SLOTS + 1): the last is 0, or NaN if a sample or share is
    samples,
    parts,
    A: tl.constexpr,
    SLOTS: tl.constexpr,
    BLOCK: tl.constexpr,
    WEIGHTED: tl.constexpr,
    ACC: tl.constexpr,
    PRECISION: tl.constexpr,
):
    image, part = flat_program(parts * A.STEPS)
    first, part = part % A.STEPS * A.SPAN, part // A.STEPS
    slots = tl.arange(0, SLOTS)
    sums, bad = tl.zeros([A.SPAN, SLOTS], ACC), tl.zeros([BLOCK], ACC)
    for start in range(part * BLOCK, samples, parts * BLOCK):
        n = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + image * samples + n, mask=n < samples, other=0.0).to(ACC)
        tile = tile_of(x, A)
        u, rest, _ = distance(x, tile, A)
        value, _ = responses(u, rest, first, A, False)
        bad += u * 0
        if WEIGHTED:
            share = tl.load(shares_ptr + image * samples + n, mask=n < samples, other=0.0).to(ACC)
            bad += share * 0
            value *= share[None, :]
        one_hot = (slots[None, :] == tile[:, None]) & (n < samples)[:, None]
        sums = tl.dot(value, one_hot.to(ACC), acc=sums, input_precision=PRECISION, out_dtype=ACC)
    sums = (sums * A.FACTOR + sums * A.FACTOR_LOW) * sample_share(samples, WEIGHTED, ACC)
    sums_ptr += (image * parts + part) * (A.REACH * SLOTS + 1)
    tl.store(sums_ptr + (first + tl.arange(0, A.SPAN))[:, None] * SLOTS + slots[None, :], sums)
    if first == 0:
        tl.store(sums_ptr + A.REACH * SLOTS, tl.sum(bad))


@triton.jit
def folded(
    sums_ptr, image, parts, k, A: tl.constexpr, IMAGES: tl.constexpr, SLOTS: tl.constexpr,
    PARTS_AT_ONCE: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """Bins k of an image's histogram, each the sum of its places in all reaches over all parts."""
    sums_ptr += image * parts * (A.REACH * SLOTS + 1)
    total = tl.zeros(k.shape, ACC)
    for start in range(0, parts, PARTS_AT_ONCE):
        part = start + tl.arange(0, PARTS_AT_ONCE)
        some = part < parts
        part_ptr = sums_ptr + part.to(tl.int64) * (A.REACH * SLOTS + 1)
        for mirror in range(IMAGES):
            place = extended_bin(k, mirror, A)
            if tl.max(place) >= 0:  # most bins are far from the ends of the range
                for back in range(A.REACH // A.TILE):
                    tile, first = extended_tile(place // A.TILE, back, A)
                    exists = (k < A.COUNT) & (place >= 0) & (tile >= 0)
                    at = (first + place % A.TILE) * SLOTS + tile
                    total += tl.sum(tl.load(part_ptr[:, None] + at[None, :], mask=some[:, None] & exists[None, :], other=0.0), 0)
        total += tl.sum(tl.load(part_ptr + A.REACH * SLOTS, mask=some, other=0.0))
    return total


@triton.jit
def _fold_kernel(
    sums_ptr,  # (B, parts, A.REACH * SLOTS + 1)
    histogram_ptr,  # (B, A.COUNT)
    parts,
    blocks,
    A: tl.constexpr,
    IMAGES: tl.constexpr,
    SLOTS: tl.constexpr,
    FOLD: tl.constexpr,
    PARTS_AT_ONCE: tl.constexpr,
    ACC: tl.constexpr,
):
    image, block = flat_program(blocks)
    k = block * FOLD + tl.arange(0, FOLD)
    total = folded(sums_ptr, image, parts, k, A, IMAGES, SLOTS, PARTS_AT_ONCE, ACC)
    tl.store(histogram_ptr + image * A.COUNT + k, total, mask=k < A.COUNT)


@triton.jit
def _backward_kernel(
    grad_ptr,  # (B, A.COUNT), or (B, 2, A.COUNT) if IN_TWO: rounded, and what rounding left
    scale_ptr,  # (B,) if IN_TWO: what an image's gradient is to be multiplied by
    x_ptr,  # (B, N)
    shares_ptr,  # (B, N) if WEIGHTED
    grad_x_ptr,  # (B, N) if NEEDS_X
    grad_shares_ptr,  # (B, N) if NEEDS_SHARES
    samples,
    parts,
    A: tl.constexpr,
    SLOTS: tl.constexpr,
    BLOCK: tl.constexpr,
    IN_TWO: tl.constexpr,
    WEIGHTED: tl.constexpr,
    NEEDS_X: tl.constexpr,
    NEEDS_SHARES: tl.constexpr,
    ACC: tl.constexpr,
    PRECISION: tl.constexpr,
):
    image, part = flat_program(parts)
    for step in range(A.STEPS):
        _backward_span(
            grad_ptr, scale_ptr, x_ptr, shares_ptr, grad_x_ptr, grad_shares_ptr, image, part, step * A.SPAN, samples, parts,
            A, SLOTS, BLOCK, IN_TWO, WEIGHTED, NEEDS_X, NEEDS_SHARES, ACC, PRECISION,
        )  # fmt: skip


@triton.jit
def _centered(grad_ptr, k, A: tl.constexpr, SLOTS: tl.constexpr, SLOPES_ONLY: tl.constexpr):
    """A gradient in two parts at bins k [SPAN, SLOTS], less its value at the tile's centre where that changes nothing.

    It changes nothing for gradients with respect to samples whose responses sum to a constant; what is left is small, and keeps its
    digits.
    """
    gradient = tl.load(grad_ptr + k, mask=k >= 0, other=0.0)
    rest = tl.load(grad_ptr + A.COUNT + k, mask=k >= 0, other=0.0)
    if SLOPES_ONLY and (A.WINDOW == "logistic" or A.WINDOW == "gaussian" or A.BANDWIDTH == 1):
        tile = tl.arange(0, SLOTS)
        center = real_bin(tile, A.REACH // 2, A)
        some = center >= 0
        if A.BOUNDARY != "circular":  # near the ends bins are dropped, or samples lie outside
            some = some & (tile > 0) & (tile < A.TILES - 1)
        gradient -= tl.load(grad_ptr + center, mask=some, other=0.0)[None, :]
        rest -= tl.load(grad_ptr + A.COUNT + center, mask=some, other=0.0)[None, :]
    return gradient + rest


@triton.jit
def _backward_span(
    grad_ptr, scale_ptr, x_ptr, shares_ptr, grad_x_ptr, grad_shares_ptr, image, part, first, samples, parts,
    A: tl.constexpr, SLOTS: tl.constexpr, BLOCK: tl.constexpr, IN_TWO: tl.constexpr, WEIGHTED: tl.constexpr,
    NEEDS_X: tl.constexpr, NEEDS_SHARES: tl.constexpr, ACC: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """What one span of the reach adds to the gradients."""
    slots = tl.arange(0, SLOTS)
    k = real_bin(slots[None, :], (first + tl.arange(0, A.SPAN))[:, None], A)
    if IN_TWO:
        upstream = _centered(grad_ptr + image * 2 * A.COUNT, k, A, SLOTS, not NEEDS_SHARES) * tl.load(scale_ptr + image).to(ACC)
    else:
        upstream = tl.load(grad_ptr + image * A.COUNT + k, mask=k >= 0, other=0.0).to(ACC)
    upstream *= A.FACTOR
    for start in range(part * BLOCK, samples, parts * BLOCK):
        n = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + image * samples + n, mask=n < samples, other=0.0).to(ACC)
        tile = tile_of(x, A)
        u, rest, sign = distance(x, tile, A)
        value, derivative = responses(u, rest, first, A, NEEDS_X)
        one_hot = (slots[:, None] == tile[None, :]).to(ACC)
        column = tl.dot(upstream, one_hot, input_precision=PRECISION, out_dtype=ACC)
        if NEEDS_X:
            share = sample_share(samples, WEIGHTED, ACC)
            if WEIGHTED:
                share = tl.load(shares_ptr + image * samples + n, mask=n < samples, other=0.0).to(ACC)
            gradient = tl.sum(column * derivative, axis=0) * (share * sign * (A.SLOPE_FACTOR / A.FACTOR))
            store_sum(grad_x_ptr + image * samples + n, gradient, n < samples, first)
        if NEEDS_SHARES:
            store_sum(grad_shares_ptr + image * samples + n, tl.sum(column * value, axis=0), n < samples, first)


def too_many_tiles(bins: Bins, dtype: torch.dtype) -> str | None:
    """Why so many bins cannot be held on chip, None if they can."""
    slots = padded_slots(make_axis(bins, dtype))
    return f"holds at most {MOST_SLOTS * 16} bins on chip, got {bins.count}" if slots > MOST_SLOTS else None


def unserved(bins: Bins, dtype: torch.dtype) -> str | None:
    """Why the kernels cannot serve these bins, None if they can."""
    return too_many_tiles(bins, dtype) if is_tiled(bins, dtype) else dense.too_wide(bins, dtype)


def forward(x: Tensor, shares: Tensor | None, bins: Bins) -> Tensor:
    """(B, N) contiguous, not empty -> (B, K)."""
    if not is_tiled(bins, x.dtype):
        return dense.soft_forward(x, shares, bins)
    axis = make_axis(bins, x.dtype)
    sums, parts = fill_sums(x, shares, axis)
    histogram, blocks = x.new_empty(len(x), bins.count), triton.cdiv(bins.count, FOLD)
    _fold_kernel[(len(x) * blocks,)](
        sums, histogram, parts, blocks, axis.frozen, axis.images, padded_slots(axis), FOLD, PARTS_AT_ONCE,
        accumulator(x),
    )  # fmt: skip
    return histogram


def fill_sums(x: Tensor, shares: Tensor | None, axis: Axis) -> tuple[Tensor, int]:
    """What every part of every image adds to the reaches of all tiles, and the number of parts."""
    (batch, samples), slots, parts = x.shape, padded_slots(axis), _parts(x)
    sums = x.new_empty(batch, parts, axis.REACH * slots + 1)
    _forward_kernel[(batch * parts * axis.STEPS,)](
        x, shares, sums, samples, parts, axis.frozen, slots, BLOCK, WEIGHTED=shares is not None, ACC=accumulator(x),
        PRECISION=precision(x), num_warps=warps(slots, x.dtype),
    )  # fmt: skip
    return sums, parts


def backward(
    grad: Tensor, x: Tensor, shares: Tensor | None, bins: Bins, needs: list[bool], scale: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Gradients with respect to x and shares, empty where not needed; all inputs contiguous and not empty.

    With `scale` (B,), a factor of each image's gradient, `grad` comes in two parts, (B, 2, K): rounded, and what rounding left.
    """
    if not is_tiled(bins, x.dtype):
        return dense.soft_backward(grad, x, shares, bins, needs)
    axis, parts = make_axis(bins, x.dtype), _parts(x)
    grad_x, grad_shares = (x.new_empty(x.shape if need else 0) for need in needs)
    _backward_kernel[(len(x) * parts,)](
        grad, scale, x, shares, grad_x, grad_shares, x.shape[1], parts, axis.frozen, padded_slots(axis),
        BLOCK, IN_TWO=scale is not None, WEIGHTED=shares is not None, NEEDS_X=needs[0], NEEDS_SHARES=needs[1], ACC=accumulator(x),
        PRECISION=precision(x), num_warps=warps(padded_slots(axis), x.dtype),
    )  # fmt: skip
    return grad_x, grad_shares


def _parts(x: Tensor) -> int:
    """How many programs share an image."""
    return min(triton.cdiv(x.shape[1], 4 * BLOCK), triton.cdiv(PROGRAMS, len(x)))


def padded_slots(axis: Axis) -> int:
    """The tiles, padded to what a matrix product takes."""
    return max(16, triton.next_power_of_2(axis.SLOTS))


def warps(slots: int, dtype: torch.dtype) -> int:
    """One for 1,024 cells of float32 on chip, 32 registers of each thread."""
    return max(SPAN * slots * dtype.itemsize // 4096, 1)
