"""Samples in the order of their pairs of tiles, each image on its own, without atomics and without waiting for the device.

    count    how many samples of every stretch of an image fall into every pair
    scan     over the stretches: how many of a pair come before each stretch, and in all
    offsets  over the pairs: the first slot of each, and its first segment
    order    sort each stretch by pair, and write it to its slots

A pair's samples are cut into *segments* of at most SEGMENT. How many there are depends on the data, their upper bound does not:
programs that walk over segments are launched for the bound, and surplus ones leave at once.

The result is one int32 tensor, a row an image, to be kept for the backward pass:

    | slots, PAIRS + 1 | first segments, PAIRS + 1 | 1 if a sample is NaN | samples in order, N |
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .axis import Axis, accumulator, tile_of
from .programs import flat_program

STRETCH, SEGMENT = 1024, 2048
#: the most pairs of tiles, whose counts a program holds
MOST_PAIRS = 8191
_COUNTED, _SCANNED, _COLUMNS = 1024, 64, 32


@triton.jit
def _pair_of(x, y, X: tl.constexpr, Y: tl.constexpr):
    return tile_of(x, X) * Y.SLOTS + tile_of(y, Y)


@triton.jit
def _count_kernel(
    x_ptr,  # (B, N)
    y_ptr,  # (B, N)
    counts_ptr,  # (B, stretches, PAIRS + 1) int32; the last counts NaN
    samples,
    stretches,
    X: tl.constexpr,
    Y: tl.constexpr,
    PADDED: tl.constexpr,  # a power of two above PAIRS
    COUNTED: tl.constexpr,
    STRETCH: tl.constexpr,
    ACC: tl.constexpr,
):
    image, stretch = flat_program(stretches)
    n = stretch * STRETCH + tl.arange(0, STRETCH)
    x = tl.load(x_ptr + image * samples + n, mask=n < samples, other=0.0).to(ACC)
    y = tl.load(y_ptr + image * samples + n, mask=n < samples, other=0.0).to(ACC)
    pairs: tl.constexpr = X.SLOTS * Y.SLOTS
    pair = tl.where(n < samples, _pair_of(x, y, X, Y), PADDED)
    bad = tl.sum(((x != x) | (y != y)).to(tl.int32))
    for first in range(0, PADDED, COUNTED):  # no more at a time than fit into registers
        bins = first + tl.arange(0, COUNTED)
        counts = tl.histogram(pair - first, COUNTED, mask=(pair >= first) & (pair < first + COUNTED))
        at = (image * stretches + stretch) * (pairs + 1) + bins
        tl.store(counts_ptr + at, tl.where(bins == pairs, bad, counts), mask=bins <= pairs)


@triton.jit
def _scan_kernel(
    counts_ptr,  # (B, stretches, PAIRS + 1) int32, replaced by how many come before
    totals_ptr,  # (B, PAIRS + 1) int32
    stretches,
    blocks,
    PAIRS: tl.constexpr,
    SCANNED: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    image, block = flat_program(blocks)
    column = block * COLUMNS + tl.arange(0, COLUMNS)
    before = tl.zeros([COLUMNS], tl.int32)
    for start in range(0, stretches, SCANNED):
        row = start + tl.arange(0, SCANNED)
        at = (image * stretches + row[:, None]) * (PAIRS + 1) + column[None, :]
        inside = (row < stretches)[:, None] & (column <= PAIRS)[None, :]
        counts = tl.load(counts_ptr + at, mask=inside, other=0)
        tl.store(counts_ptr + at, tl.cumsum(counts, 0) - counts + before[None, :], mask=inside)
        before += tl.sum(counts, 0)
    tl.store(totals_ptr + image * (PAIRS + 1) + column, before, mask=column <= PAIRS)


@triton.jit
def _offsets_kernel(
    totals_ptr,  # (B, PAIRS + 1) int32
    order_ptr,  # (B, 2 * PAIRS + 3 + N) int32
    width,
    PAIRS: tl.constexpr,
    PADDED: tl.constexpr,
    SEGMENT: tl.constexpr,
):
    image = tl.program_id(0).to(tl.int64)
    pair = tl.arange(0, PADDED)
    totals = tl.load(totals_ptr + image * (PAIRS + 1) + pair, mask=pair < PAIRS, other=0)
    segments = (totals + (SEGMENT - 1)) // SEGMENT
    row_ptr = order_ptr + image * width
    tl.store(row_ptr + pair, tl.cumsum(totals, 0) - totals, mask=pair <= PAIRS)
    tl.store(row_ptr + PAIRS + 1 + pair, tl.cumsum(segments, 0) - segments, mask=pair <= PAIRS)
    bad = tl.load(totals_ptr + image * (PAIRS + 1) + PAIRS)
    tl.store(row_ptr + 2 * PAIRS + 2, (bad > 0).to(tl.int32))


@triton.jit
def _same_pair(pair_a, count_a, pair_b, count_b):
    return pair_b, tl.where(pair_a == pair_b, count_a, 0) + count_b


@triton.jit
def _order_kernel(
    x_ptr,  # (B, N)
    y_ptr,  # (B, N)
    counts_ptr,  # (B, stretches, PAIRS + 1) int32: how many samples of a pair come before each stretch
    order_ptr,  # (B, 2 * PAIRS + 3 + N) int32
    samples,
    stretches,
    X: tl.constexpr,
    Y: tl.constexpr,
    STRETCH: tl.constexpr,
    ACC: tl.constexpr,
):
    image, stretch = flat_program(stretches)
    n = stretch * STRETCH + tl.arange(0, STRETCH)
    x = tl.load(x_ptr + image * samples + n, mask=n < samples, other=0.0).to(ACC)
    y = tl.load(y_ptr + image * samples + n, mask=n < samples, other=0.0).to(ACC)
    pairs: tl.constexpr = X.SLOTS * Y.SLOTS
    # sorting pair and place in one number keeps equal pairs in the samples' order
    key = tl.sort(tl.where(n < samples, _pair_of(x, y, X, Y), pairs) * STRETCH + tl.arange(0, STRETCH))
    pair, n = key // STRETCH, stretch * STRETCH + key % STRETCH
    _, rank = tl.associative_scan((pair, tl.full([STRETCH], 1, tl.int32)), 0, _same_pair)
    before = tl.load(counts_ptr + (image * stretches + stretch) * (pairs + 1) + pair, mask=n < samples, other=0)
    row_ptr = order_ptr + image * (2 * pairs + 3 + samples)
    slot = tl.load(row_ptr + pair, mask=n < samples, other=0) + before + rank - 1
    tl.store(row_ptr + 2 * pairs + 3 + slot, n, mask=n < samples)


@triton.jit
def segment_of(row_ptr, segment, PAIRS: tl.constexpr, PADDED: tl.constexpr, SEGMENT: tl.constexpr):
    """A segment's pair, the pointer to its samples, and how many they are; PADDED is a power of two, at least PAIRS."""
    pairs = tl.arange(0, PADDED)
    ends = tl.load(row_ptr + PAIRS + 2 + pairs, mask=pairs < PAIRS, other=2147483647)
    pair = tl.sum((ends <= segment).to(tl.int32))
    skipped = (segment - tl.load(row_ptr + PAIRS + 1 + pair)) * SEGMENT
    slot = tl.load(row_ptr + pair) + skipped
    count = tl.minimum(tl.load(row_ptr + pair + 1) - slot, SEGMENT)
    return pair, row_ptr + 2 * PAIRS + 3 + slot, count


@triton.jit
def segments_of(row_ptr, PAIRS: tl.constexpr):
    """How many segments an image has."""
    return tl.load(row_ptr + 2 * PAIRS + 1)


def too_many_tiles(x: Axis, y: Axis) -> str | None:
    """Why samples cannot be ordered, None if they can."""
    pairs = x.SLOTS * y.SLOTS
    return None if pairs <= MOST_PAIRS else f"orders samples by at most {MOST_PAIRS} pairs of {x.TILE} x {y.TILE} bins, got {pairs}"


def order_width(samples: int, x: Axis, y: Axis) -> int:
    """Length of a row of the order."""
    return 2 * x.SLOTS * y.SLOTS + 3 + samples


def most_segments(samples: int, x: Axis, y: Axis) -> int:
    """An upper bound of an image's segments."""
    return samples // SEGMENT + min(x.SLOTS * y.SLOTS, samples)


def order_samples(x: Tensor, y: Tensor, axis_x: Axis, axis_y: Axis) -> Tensor:
    """Samples (B, N) contiguous, not empty -> their order, (B, order_width) int32."""
    (batch, samples), pairs = x.shape, axis_x.SLOTS * axis_y.SLOTS
    stretches, blocks, width = triton.cdiv(samples, STRETCH), triton.cdiv(pairs + 1, _COLUMNS), order_width(samples, axis_x, axis_y)
    counts = torch.empty(batch, stretches, pairs + 1, dtype=torch.int32, device=x.device)
    totals = torch.empty(batch, pairs + 1, dtype=torch.int32, device=x.device)
    order = torch.empty(batch, width, dtype=torch.int32, device=x.device)
    padded, axes, acc = triton.next_power_of_2(pairs + 1), (axis_x.frozen, axis_y.frozen), accumulator(x)
    _count_kernel[(batch * stretches,)](x, y, counts, samples, stretches, *axes, padded, min(padded, _COUNTED), STRETCH, acc)
    _scan_kernel[(batch * blocks,)](counts, totals, stretches, blocks, pairs, _SCANNED, _COLUMNS)
    _offsets_kernel[(batch,)](totals, order, width, pairs, padded, SEGMENT)
    _order_kernel[(batch * stretches,)](x, y, counts, order, samples, stretches, *axes, STRETCH, acc)
    return order
