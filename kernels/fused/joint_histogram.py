"""Joint soft histogram, block-sparse by pair of tiles.

Samples are first put in the order of their tile pairs, each image on its own and without atomics: count how many samples of every
stretch of an image fall into every pair; sums of these counts say where they go; sort each stretch by pair and write it there. A
pair's samples begin at a multiple of BLOCK and are cut into *segments* of at most SEGMENT. How many segments there are depends
on the data, their upper bound does not: surplus programs leave at once, and the host never waits.

Forward: one program a segment. It builds the responses P and Q of BLOCK samples at a time, [BLOCK x REACH], and the matrix unit
adds up P^T Q, the segment's window. Windows are written once, then overlapped and folded at the boundaries, in a fixed order.
Backward: the same segments, each with its window of the upstream gradient G on chip: V = Q G^T, and a sample's gradient is the sum
of P' V over its row. Nothing of the size samples x bins is ever in memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..bins import Bins
from .axis import Axis, accumulator, extended_bin, extended_tile, locate, make_axis, precision, real_bin, untiled
from .windows import responses

STRETCH, BLOCK, SEGMENT, FOLD = 1024, 64, 2048, 16


@triton.jit
def _pair_of(x_ptr, y_ptr, image, n, samples, X: tl.constexpr, Y: tl.constexpr, ACC: tl.constexpr):
    """Tile pair of each sample; for those beyond the last, one more than there are."""
    tile_x, _, _ = locate(tl.load(x_ptr + image * samples + n, mask=n < samples, other=0.0).to(ACC), X)
    tile_y, _, _ = locate(tl.load(y_ptr + image * samples + n, mask=n < samples, other=0.0).to(ACC), Y)
    return tl.where(n < samples, tile_x * Y.SLOTS + tile_y, X.SLOTS * Y.SLOTS)


@triton.jit
def _count_kernel(
    x_ptr,  # (B, N)
    y_ptr,  # (B, N)
    counts_ptr,  # (B, stretches, PAIRS) int32
    samples,
    X: tl.constexpr,
    Y: tl.constexpr,
    PADDED: tl.constexpr,  # a power of two above PAIRS
    STRETCH: tl.constexpr,
    ACC: tl.constexpr,
):
    image, stretch = tl.program_id(0).to(tl.int64), tl.program_id(1)
    n = stretch * STRETCH + tl.arange(0, STRETCH)
    pair = _pair_of(x_ptr, y_ptr, image, n, samples, X, Y, ACC)
    pairs: tl.constexpr = X.SLOTS * Y.SLOTS
    bins = tl.arange(0, PADDED)
    at = (image * tl.num_programs(1) + stretch) * pairs + bins
    tl.store(counts_ptr + at, tl.histogram(pair, PADDED), mask=bins < pairs)


@triton.jit
def _same_pair(pair_a, count_a, pair_b, count_b):
    return pair_b, tl.where(pair_a == pair_b, count_a, 0) + count_b


@triton.jit
def _order_kernel(
    x_ptr,  # (B, N)
    y_ptr,  # (B, N)
    starts_ptr,  # (B, stretches, PAIRS) int32: first slot of a stretch's samples of a pair
    order_ptr,  # (B, capacity) int32: the sample in each slot
    samples,
    capacity,
    X: tl.constexpr,
    Y: tl.constexpr,
    STRETCH: tl.constexpr,
    ACC: tl.constexpr,
):
    image, stretch = tl.program_id(0).to(tl.int64), tl.program_id(1)
    n = stretch * STRETCH + tl.arange(0, STRETCH)
    pair = _pair_of(x_ptr, y_ptr, image, n, samples, X, Y, ACC)
    # sorting pair and place in one number keeps equal pairs in the samples' order
    key = tl.sort(pair * STRETCH + tl.arange(0, STRETCH))
    pair, n = key // STRETCH, stretch * STRETCH + key % STRETCH
    _, rank = tl.associative_scan((pair, tl.full([STRETCH], 1, tl.int32)), 0, _same_pair)
    pairs: tl.constexpr = X.SLOTS * Y.SLOTS
    at = (image * tl.num_programs(1) + stretch) * pairs + pair
    slot = tl.load(starts_ptr + at, mask=n < samples, other=0) + rank - 1
    tl.store(order_ptr + image * capacity + slot, n, mask=n < samples)


@triton.jit
def _segment(first_ptr, slots_ptr, totals_ptr, image, segment, PAIRS: tl.constexpr, PADDED: tl.constexpr, SEGMENT: tl.constexpr):
    """The pair of a segment, its first slot and its number of samples."""
    bins = tl.arange(0, PADDED)
    ends = tl.load(first_ptr + image * (PAIRS + 1) + bins + 1, mask=bins < PAIRS, other=2147483647)
    pair = tl.sum((ends <= segment).to(tl.int32))
    skipped = (segment - tl.load(first_ptr + image * (PAIRS + 1) + pair)) * SEGMENT
    samples = tl.minimum(tl.load(totals_ptr + image * PAIRS + pair) - skipped, SEGMENT)
    return pair, tl.load(slots_ptr + image * PAIRS + pair) + skipped, samples


@triton.jit
def _forward_kernel(
    x_ptr,  # (B, N)
    y_ptr,  # (B, N)
    shares_ptr,  # (B, N) if WEIGHTED
    order_ptr,  # (B, capacity)
    first_ptr,  # (B, PAIRS + 1): first segment of each pair
    slots_ptr,  # (B, PAIRS): first slot of each pair
    totals_ptr,  # (B, PAIRS): samples of each pair
    windows_ptr,  # (B, segments, X.REACH, Y.REACH)
    samples,
    capacity,
    X: tl.constexpr,
    Y: tl.constexpr,
    PADDED: tl.constexpr,
    BLOCK: tl.constexpr,
    SEGMENT: tl.constexpr,
    WEIGHTED: tl.constexpr,
    ACC: tl.constexpr,
    PRECISION: tl.constexpr,
):
    image, segment = tl.program_id(0).to(tl.int64), tl.program_id(1)
    pairs: tl.constexpr = X.SLOTS * Y.SLOTS
    if segment >= tl.load(first_ptr + image * (pairs + 1) + pairs):
        return
    _pair, slot, count = _segment(first_ptr, slots_ptr, totals_ptr, image, segment, pairs, PADDED, SEGMENT)
    window = tl.zeros([X.REACH, Y.REACH], ACC)
    for start in range(0, count, BLOCK):
        j = start + tl.arange(0, BLOCK)
        n = image * samples + tl.load(order_ptr + image * capacity + slot + j, mask=j < count, other=0)
        _, u, _ = locate(tl.load(x_ptr + n, mask=j < count, other=0.0).to(ACC), X)
        _, v, _ = locate(tl.load(y_ptr + n, mask=j < count, other=0.0).to(ACC), Y)
        p, _ = responses(u, X, False)
        q, _ = responses(v, Y, False)
        share = (j < count).to(ACC)
        if WEIGHTED:
            share = tl.load(shares_ptr + n, mask=j < count, other=0.0).to(ACC)
        window = tl.dot(tl.trans(p * share[:, None]), q, acc=window, input_precision=PRECISION, out_dtype=ACC)
    at = (image * tl.num_programs(1) + segment) * X.REACH + tl.arange(0, X.REACH)
    tl.store(windows_ptr + at[:, None] * Y.REACH + tl.arange(0, Y.REACH)[None, :], window)


@triton.jit
def _fold_kernel(
    windows_ptr,  # (B, segments, X.REACH, Y.REACH)
    first_ptr,  # (B, PAIRS + 1)
    joint_ptr,  # (B, X.COUNT, Y.COUNT)
    segments,
    factor,
    X: tl.constexpr,
    Y: tl.constexpr,
    IMAGES_X: tl.constexpr,
    IMAGES_Y: tl.constexpr,
    FOLD: tl.constexpr,
    ACC: tl.constexpr,
):
    """A square of the joint histogram, each cell the sum of its places in all windows that reach it."""
    image = tl.program_id(0).to(tl.int64)
    k = tl.program_id(1) * FOLD + tl.arange(0, FOLD)[:, None]
    m = tl.program_id(2) * FOLD + tl.arange(0, FOLD)[None, :]
    inside = (k < X.COUNT) & (m < Y.COUNT)
    pairs: tl.constexpr = X.SLOTS * Y.SLOTS
    total = tl.zeros([FOLD, FOLD], ACC)
    for mirror in range(IMAGES_X * IMAGES_Y):
        place_x, place_y = extended_bin(k, mirror // IMAGES_Y, X), extended_bin(m, mirror % IMAGES_Y, Y)
        for back in range((X.REACH // X.TILE) * (Y.REACH // Y.TILE)):
            tile_x, w = extended_tile(place_x // X.TILE, back // (Y.REACH // Y.TILE), X)
            tile_y, h = extended_tile(place_y // Y.TILE, back % (Y.REACH // Y.TILE), Y)
            exists = inside & (place_x >= 0) & (tile_x >= 0) & (place_y >= 0) & (tile_y >= 0)
            at = image * (pairs + 1) + tile_x * Y.SLOTS + tile_y
            first = tl.load(first_ptr + at, mask=exists, other=0)
            last = tl.load(first_ptr + at + 1, mask=exists, other=0)
            cell = (w + place_x % X.TILE) * Y.REACH + h + place_y % Y.TILE
            for step in range(tl.max(last - first)):
                window = (image * segments + first + step) * X.REACH * Y.REACH
                total += tl.load(windows_ptr + window + cell, mask=first + step < last, other=0.0)
    tl.store(joint_ptr + (image * X.COUNT + k) * Y.COUNT + m, total * factor, mask=inside)


@triton.jit
def _backward_kernel(
    grad_ptr,  # (B, X.COUNT, Y.COUNT)
    x_ptr,  # (B, N)
    y_ptr,  # (B, N)
    shares_ptr,  # (B, N) if WEIGHTED
    order_ptr,  # (B, capacity)
    first_ptr,  # (B, PAIRS + 1)
    slots_ptr,  # (B, PAIRS)
    totals_ptr,  # (B, PAIRS)
    grad_x_ptr,  # (B, N) if NEEDS_X
    grad_y_ptr,  # (B, N) if NEEDS_Y
    grad_shares_ptr,  # (B, N) if NEEDS_SHARES
    samples,
    capacity,
    factor,
    X: tl.constexpr,
    Y: tl.constexpr,
    PADDED: tl.constexpr,
    BLOCK: tl.constexpr,
    SEGMENT: tl.constexpr,
    WEIGHTED: tl.constexpr,
    NEEDS_X: tl.constexpr,
    NEEDS_Y: tl.constexpr,
    NEEDS_SHARES: tl.constexpr,
    ACC: tl.constexpr,
    PRECISION: tl.constexpr,
):
    image, segment = tl.program_id(0).to(tl.int64), tl.program_id(1)
    pairs: tl.constexpr = X.SLOTS * Y.SLOTS
    if segment >= tl.load(first_ptr + image * (pairs + 1) + pairs):
        return
    pair, slot, count = _segment(first_ptr, slots_ptr, totals_ptr, image, segment, pairs, PADDED, SEGMENT)
    k = real_bin(pair // Y.SLOTS, tl.arange(0, X.REACH), X)[:, None]
    m = real_bin(pair % Y.SLOTS, tl.arange(0, Y.REACH), Y)[None, :]
    at = (image * X.COUNT + k) * Y.COUNT + m
    upstream = tl.load(grad_ptr + at, mask=(k >= 0) & (m >= 0), other=0.0).to(ACC) * factor
    for start in range(0, count, BLOCK):
        j = start + tl.arange(0, BLOCK)
        n = image * samples + tl.load(order_ptr + image * capacity + slot + j, mask=j < count, other=0)
        _, u, sign_x = locate(tl.load(x_ptr + n, mask=j < count, other=0.0).to(ACC), X)
        _, v, sign_y = locate(tl.load(y_ptr + n, mask=j < count, other=0.0).to(ACC), Y)
        p, slope_p = responses(u, X, NEEDS_X)
        q, slope_q = responses(v, Y, NEEDS_Y)
        share = tl.full([BLOCK], 1.0, ACC)
        if WEIGHTED:
            share = tl.load(shares_ptr + n, mask=j < count, other=0.0).to(ACC)
        if NEEDS_X or NEEDS_SHARES:
            along_x = tl.dot(q, tl.trans(upstream), input_precision=PRECISION, out_dtype=ACC)
            if NEEDS_X:
                gradient = tl.sum(slope_p * along_x, axis=1) * (share * sign_x * X.SLOPE)
                tl.store(grad_x_ptr + n, gradient, mask=j < count)
            if NEEDS_SHARES:
                tl.store(grad_shares_ptr + n, tl.sum(p * along_x, axis=1), mask=j < count)
        if NEEDS_Y:
            along_y = tl.dot(p, upstream, input_precision=PRECISION, out_dtype=ACC)
            gradient = tl.sum(slope_q * along_y, axis=1) * (share * sign_y * Y.SLOPE)
            tl.store(grad_y_ptr + n, gradient, mask=j < count)


@dataclass(frozen=True)
class Order:
    """Samples in the order of their tile pairs: what forward and backward walk along."""

    order: Tensor  # (B, capacity) int32
    first: Tensor  # (B, pairs + 1) int32, first segment of each pair; the last is the number of segments
    slots: Tensor  # (B, pairs) int32, first slot of each pair
    totals: Tensor  # (B, pairs) int32
    segments: int  # at most so many

    @classmethod
    def of(cls, x: Tensor, y: Tensor, axis_x: Axis, axis_y: Axis) -> Order:
        """The order of samples (B, N); nothing here waits for the device."""
        (batch, samples), pairs = x.shape, axis_x.SLOTS * axis_y.SLOTS
        stretches = triton.cdiv(samples, STRETCH)
        counts = torch.empty(batch, stretches, pairs, dtype=torch.int32, device=x.device)
        grid, acc = (batch, stretches), accumulator(x)
        padded = triton.next_power_of_2(pairs + 1)
        _count_kernel[grid](x, y, counts, samples, axis_x.frozen, axis_y.frozen, padded, STRETCH, acc)
        totals = counts.sum(1, dtype=torch.int32)
        slots = _exclusive_sum((totals + (BLOCK - 1)) // BLOCK * BLOCK)
        starts = slots.unsqueeze(1) + counts.cumsum(1, dtype=torch.int32) - counts
        first = torch.nn.functional.pad(((totals + (SEGMENT - 1)) // SEGMENT).cumsum(1, dtype=torch.int32), (1, 0))
        occupied = min(pairs, samples)
        capacity = samples + occupied * (BLOCK - 1)
        order = torch.empty(batch, capacity, dtype=torch.int32, device=x.device)
        _order_kernel[grid](x, y, starts, order, samples, capacity, axis_x.frozen, axis_y.frozen, STRETCH, acc)
        return cls(order, first, slots, totals, samples // SEGMENT + occupied)


def _exclusive_sum(values: Tensor) -> Tensor:
    return values.cumsum(1, dtype=torch.int32) - values


def unserved(bins_x: Bins, bins_y: Bins, dtype: torch.dtype) -> str | None:
    """Why the kernels cannot serve these bins, None if they can."""
    return untiled(bins_x, dtype) or untiled(bins_y, dtype)


def forward(x: Tensor, y: Tensor, shares: Tensor | None, bins_x: Bins, bins_y: Bins) -> Tensor:
    """(B, N), (B, N) contiguous, not empty -> (B, Kx, Ky)."""
    (batch, samples), axis_x, axis_y = x.shape, make_axis(bins_x, x.dtype), make_axis(bins_y, x.dtype)
    o = Order.of(x, y, axis_x, axis_y)
    windows = x.new_empty(batch, o.segments, axis_x.REACH, axis_y.REACH)
    padded = triton.next_power_of_2(axis_x.SLOTS * axis_y.SLOTS)
    _forward_kernel[batch, o.segments](
        x, y, shares, o.order, o.first, o.slots, o.totals, windows, samples, o.order.shape[1], axis_x.frozen, axis_y.frozen, padded,
        BLOCK, SEGMENT, WEIGHTED=shares is not None, ACC=accumulator(x), PRECISION=precision(x),
    )  # fmt: skip
    joint = x.new_empty(batch, bins_x.count, bins_y.count)
    grid = batch, triton.cdiv(bins_x.count, FOLD), triton.cdiv(bins_y.count, FOLD)
    factor = 1 / samples if shares is None else 1.0
    _fold_kernel[grid](
        windows, o.first, joint, o.segments, factor, axis_x.frozen, axis_y.frozen, axis_x.images, axis_y.images, FOLD,
        accumulator(x),
    )  # fmt: skip
    return joint


def backward(
    grad: Tensor, x: Tensor, y: Tensor, shares: Tensor | None, bins_x: Bins, bins_y: Bins, needs: list[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients with respect to x, y and shares, empty where not needed; all inputs contiguous and not empty."""
    (batch, samples), axis_x, axis_y = x.shape, make_axis(bins_x, x.dtype), make_axis(bins_y, x.dtype)
    o = Order.of(x, y, axis_x, axis_y)
    grad_x, grad_y, grad_shares = (x.new_empty(x.shape if need else 0) for need in needs)
    padded = triton.next_power_of_2(axis_x.SLOTS * axis_y.SLOTS)
    _backward_kernel[batch, o.segments](
        grad, x, y, shares, o.order, o.first, o.slots, o.totals, grad_x, grad_y, grad_shares, samples, o.order.shape[1],
        1 / samples if shares is None else 1.0, axis_x.frozen, axis_y.frozen, padded, BLOCK, SEGMENT, WEIGHTED=shares is not None,
        NEEDS_X=needs[0], NEEDS_Y=needs[1], NEEDS_SHARES=needs[2], ACC=accumulator(x), PRECISION=precision(x),
    )  # fmt: skip
    return grad_x, grad_y, grad_shares
