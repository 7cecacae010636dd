"""Samples in the order of their pairs of tiles, each image on its own, without atomics and without waiting for the device.

    count    the pair of every sample, and how many samples of every stretch of an image fall into each
    scan     over the stretches: how many of a pair come before each stretch, and in all
    offsets  over the pairs: the first slot of each, and its first segment
    order    sort each stretch by pair, and write it to its slots

A pair's samples are cut into *segments* of at most SEGMENT, which the number of samples gives. How many there are depends on the
data, their upper bound does not: programs that walk over segments are launched for the bound, and surplus ones leave at once.

The result is one int32 tensor, a row an image, to be kept for the backward pass:

    | slots, PAIRS + 1 | first segments, PAIRS + 1 | 1 if a sample has no place | samples in order, N |
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..common.jit.axis import Axis
from ..common.jit.boundaries import placeless, tile_of
from ..common.jit.launch import Work, accumulator, kernel, launch
from ..common.jit.programs import image_and_part, load_samples
from ..common.jit.sizes import cdiv, next_power_of_2

STRETCH = 1024
#: a segment's samples: long ones add fewer windows up, short ones keep a GPU busy where all samples are alike; and the segments
#: wanted in all
SHORTEST, LONGEST, SEGMENTS = 128, 2048, 1024
#: the most pairs of tiles, whose counts a program holds
MOST_PAIRS = 8191
COUNTED, SCANNED, COLUMNS = 1024, 64, 32


@kernel
def _count_kernel(
    x_ptr,  # (B, N)
    y_ptr,  # (B, N)
    pairs_ptr,  # (B, N) int16: found once, as another kernel might round a coordinate otherwise
    counts_ptr,  # (B, NS, PAIRS + 1) int32; the last counts samples without a place
    N, NS, ax, ay, X: tl.constexpr, Y: tl.constexpr,
    PADDED: tl.constexpr,  # a power of two above PAIRS
    COUNTED: tl.constexpr, STRETCH: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    i_b, i_s = image_and_part(NS)
    o_n = i_s * STRETCH + tl.arange(0, STRETCH)
    x, y = load_samples(x_ptr, i_b, o_n, N, ACC), load_samples(y_ptr, i_b, o_n, N, ACC)
    pairs: tl.constexpr = X.SLOTS * Y.SLOTS
    pair = tile_of(x, ax, X) * Y.SLOTS + tile_of(y, ay, Y)
    tl.store(pairs_ptr + i_b * N + o_n, pair.to(tl.int16), mask=o_n < N)
    pair = tl.where(o_n < N, pair, PADDED)
    bad = tl.sum((placeless(x, ax, X) | placeless(y, ay, Y)).to(tl.int32))
    for first in range(0, PADDED, COUNTED):  # no more at a time than fit into registers
        o_p = first + tl.arange(0, COUNTED)
        counts = tl.histogram(pair - first, COUNTED, mask=(pair >= first) & (pair < first + COUNTED))
        at = (i_b * NS + i_s) * (pairs + 1) + o_p
        tl.store(counts_ptr + at, tl.where(o_p == pairs, bad, counts), mask=o_p <= pairs)


@kernel
def _scan_kernel(
    counts_ptr,  # (B, NS, PAIRS + 1) int32, replaced by how many come before
    totals_ptr,  # (B, PAIRS + 1) int32
    NS, NP, PAIRS: tl.constexpr, SCANNED: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    i_b, i_p = image_and_part(NP)
    o_p = i_p * COLUMNS + tl.arange(0, COLUMNS)
    before = tl.zeros([COLUMNS], tl.int32)
    for start in range(0, NS, SCANNED):
        o_s = start + tl.arange(0, SCANNED)
        at = (i_b * NS + o_s[:, None]) * (PAIRS + 1) + o_p[None, :]
        inside = (o_s < NS)[:, None] & (o_p <= PAIRS)[None, :]
        counts = tl.load(counts_ptr + at, mask=inside, other=0)
        tl.store(counts_ptr + at, tl.cumsum(counts, 0) - counts + before[None, :], mask=inside)
        before += tl.sum(counts, 0)
    tl.store(totals_ptr + i_b * (PAIRS + 1) + o_p, before, mask=o_p <= PAIRS)


@kernel
def _offsets_kernel(
    totals_ptr,  # (B, PAIRS + 1) int32
    order_ptr,  # (B, 2 * PAIRS + 3 + N) int32
    WIDTH, SEGMENT, PAIRS: tl.constexpr, PADDED: tl.constexpr,
):  # fmt: skip
    i_b = tl.program_id(0).to(tl.int64)
    o_p = tl.arange(0, PADDED)
    totals = tl.load(totals_ptr + i_b * (PAIRS + 1) + o_p, mask=o_p < PAIRS, other=0)
    segments = (totals + (SEGMENT - 1)) // SEGMENT
    row_ptr = order_ptr + i_b * WIDTH
    tl.store(row_ptr + o_p, tl.cumsum(totals, 0) - totals, mask=o_p <= PAIRS)
    tl.store(row_ptr + PAIRS + 1 + o_p, tl.cumsum(segments, 0) - segments, mask=o_p <= PAIRS)
    bad = tl.load(totals_ptr + i_b * (PAIRS + 1) + PAIRS)
    tl.store(row_ptr + 2 * PAIRS + 2, (bad > 0).to(tl.int32))


@triton.jit
def _same_pair(pair_a, count_a, pair_b, count_b):
    return pair_b, tl.where(pair_a == pair_b, count_a, 0) + count_b


@kernel
def _order_kernel(
    pairs_ptr,  # (B, N) int16
    counts_ptr,  # (B, NS, PAIRS + 1) int32: how many samples of a pair come before each stretch
    order_ptr,  # (B, 2 * PAIRS + 3 + N) int32
    N, NS, PAIRS: tl.constexpr, STRETCH: tl.constexpr,
):  # fmt: skip
    i_b, i_s = image_and_part(NS)
    o_n = i_s * STRETCH + tl.arange(0, STRETCH)
    pair = tl.load(pairs_ptr + i_b * N + o_n, mask=o_n < N, other=PAIRS).to(tl.int32)
    # sorting pair and place in one number keeps equal pairs in the samples' order
    key = tl.sort(pair * STRETCH + tl.arange(0, STRETCH))
    pair, o_n = key // STRETCH, i_s * STRETCH + key % STRETCH
    _, rank = tl.associative_scan((pair, tl.full([STRETCH], 1, tl.int32)), 0, _same_pair)
    before = tl.load(counts_ptr + (i_b * NS + i_s) * (PAIRS + 1) + pair, mask=o_n < N, other=0)
    row_ptr = order_ptr + i_b * (2 * PAIRS + 3 + N)
    slot = tl.load(row_ptr + pair, mask=o_n < N, other=0) + before + rank - 1
    tl.store(row_ptr + 2 * PAIRS + 3 + slot, o_n, mask=o_n < N)


@triton.jit
def segment_of(row_ptr, i_s, SEGMENT, PAIRS: tl.constexpr, PADDED: tl.constexpr):
    """A segment's pair, the pointer to its samples, and how many they are; PADDED is a power of two, at least PAIRS."""
    o_p = tl.arange(0, PADDED)
    ends = tl.load(row_ptr + PAIRS + 2 + o_p, mask=o_p < PAIRS, other=2147483647)
    pair = tl.sum((ends <= i_s).to(tl.int32))
    skipped = (i_s - tl.load(row_ptr + PAIRS + 1 + pair)) * SEGMENT
    slot = tl.load(row_ptr + pair) + skipped
    count = tl.minimum(tl.load(row_ptr + pair + 1) - slot, SEGMENT)
    return pair, row_ptr + 2 * PAIRS + 3 + slot, count


@triton.jit
def segments_of(row_ptr, PAIRS: tl.constexpr):
    """How many segments an image has."""
    return tl.load(row_ptr + 2 * PAIRS + 1)


@triton.jit
def has_placeless(row_ptr, PAIRS: tl.constexpr):
    """Whether a sample of an image has no place."""
    return tl.load(row_ptr + 2 * PAIRS + 2) > 0


def too_many_pairs(x: Axis, y: Axis) -> str | None:
    """Why samples cannot be ordered, None if they can."""
    pairs = x.SLOTS * y.SLOTS
    return None if pairs <= MOST_PAIRS else f"orders samples by at most {MOST_PAIRS} pairs of {x.TILE} x {y.TILE} bins, got {pairs}"


def new_order(x: Tensor, axes: tuple[Axis, Axis]) -> Tensor:
    """The order of samples x (B, N) and others, unwritten."""
    return x.new_empty(len(x), 2 * axes[0].SLOTS * axes[1].SLOTS + 3 + x.shape[1], dtype=torch.int32)


def segment_length(x: Tensor) -> int:
    """How many of samples x (B, N) a segment has at most."""
    return min(max(next_power_of_2(cdiv(x.numel(), SEGMENTS)), SHORTEST), LONGEST)


def most_segments(x: Tensor, axes: tuple[Axis, Axis]) -> int:
    """An upper bound of an image's segments, of samples x (B, N)."""
    return x.shape[1] // segment_length(x) + min(axes[0].SLOTS * axes[1].SLOTS, x.shape[1])


def order_samples(x: Tensor, y: Tensor, axes: tuple[Axis, Axis]) -> Tensor:
    """Samples (B, N), not empty -> their order."""
    (batch, samples), pairs = x.shape, axes[0].SLOTS * axes[1].SLOTS
    stretches, blocks, padded = cdiv(samples, STRETCH), cdiv(pairs + 1, COLUMNS), next_power_of_2(pairs + 1)
    counts = x.new_empty(batch, stretches, pairs + 1, dtype=torch.int32)
    totals = x.new_empty(batch, pairs + 1, dtype=torch.int32)
    pair_of, order = x.new_empty(x.shape, dtype=torch.int16), new_order(x, axes)
    by_sample = Work("sample", STRETCH, x.numel())
    launch(
        _count_kernel, batch * stretches, x, y, pair_of, counts, samples, stretches, X=axes[0], Y=axes[1], PADDED=padded,
        COUNTED=min(padded, COUNTED), STRETCH=STRETCH, ACC=accumulator(x.dtype), work=by_sample,
    )  # fmt: skip
    launch(
        _scan_kernel, batch * blocks, counts, totals, stretches, blocks, PAIRS=pairs, SCANNED=SCANNED, COLUMNS=COLUMNS,
        work=Work("count", SCANNED * COLUMNS, counts.numel()),
    )  # fmt: skip
    launch(
        _offsets_kernel, batch, totals, order, order.shape[1], segment_length(x), PAIRS=pairs, PADDED=padded,
        work=Work("pair", pairs, totals.numel()),
    )  # fmt: skip
    launch(
        _order_kernel, batch * stretches, pair_of, counts, order, samples, stretches, PAIRS=pairs, STRETCH=STRETCH, work=by_sample
    )
    return order
