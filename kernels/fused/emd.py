"""Soft histogram and its squared earth mover's distance to a target in one pass: see kernels/emd.py for the formulas.

A program holds an image's histogram: it adds the parts that histogram.py's forward kernel wrote, subtracts the target, and finds
the best cyclic shift l from two cumulative sums. With C_i = D_i - D_{l-1} + T [i < l] the cumulative differences in the rolled
order, the distance is sum C^2, and its gradient with respect to the histogram's bin k, which the backward pass needs and nothing
else, follows from the cumulative sum S of C in the bins' own order:

    slope_k = 2 (S_l - S_k + [k >= l] S_K),      S_k = sum_{i<k} C_i
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..bins import Bins
from .axis import accumulator, is_tiled, make_axis
from .histogram import backward, fill_sums, folded, padded_slots, too_many_tiles

__all__ = ["backward", "forward", "unfused"]

#: cells of partial histograms that a program adds at a time
_CELLS = 4096
WARPS = 4
#: the most bins, all of which a program holds
MOST_BINS = 4096


@triton.jit
def _add_with_rest(a, rest_a, b, rest_b):
    """a + b rounded, and what rounding left of it."""
    total = a + b
    added = total - a
    return total, (a - (total - added)) + (b - added) + (rest_a + rest_b)


@triton.jit
def _cumulative(values):
    """Cumulative sums, rounded and what rounding left of them: neighbours' differences count, which are far smaller."""
    return tl.associative_scan((values, tl.zeros_like(values)), 0, _add_with_rest)


@triton.jit
def _distance_kernel(
    sums_ptr,  # (B, parts, A.REACH * SLOTS + 1)
    target_ptr,  # (B, A.COUNT)
    distance_ptr,  # (B,)
    slope_ptr,  # (B, 2, A.COUNT): rounded, and what rounding left
    parts,
    A: tl.constexpr,
    IMAGES: tl.constexpr,
    SLOTS: tl.constexpr,
    PADDED: tl.constexpr,  # a power of two, at least A.COUNT
    PARTS_AT_ONCE: tl.constexpr,
    CIRCULAR: tl.constexpr,
    ACC: tl.constexpr,
):
    image = tl.program_id(0).to(tl.int64)
    k = tl.arange(0, PADDED)
    inside = k < A.COUNT
    histogram = folded(sums_ptr, image, parts, k, A, IMAGES, SLOTS, PARTS_AT_ONCE, ACC)
    difference = histogram - tl.load(target_ptr + image * A.COUNT + k, mask=inside, other=0.0).to(ACC)
    difference = tl.where(inside, difference, 0.0)
    cumulative, rest = _cumulative(difference)
    cumulative = tl.where(inside, cumulative + rest, 0.0)
    if CIRCULAR:
        total = tl.sum(difference, 0)
        before = tl.where(inside, cumulative - difference, 0.0)  # D_{l-1}
        sums_before = tl.cumsum(cumulative, 0) - cumulative
        grand = tl.sum(cumulative, 0)
        cost = 2 * total * sums_before + k * total * total - 2 * before * (grand + k * total) + A.COUNT * before * before
        # the kernel's D_{l-1} is rounded twice, so that of the best shift is taken from the cumulative sum itself
        shift = tl.argmin(tl.where(inside, cost, float("inf")), 0)
        level = tl.sum(tl.where(k == shift - 1, cumulative, 0.0), 0)
        cumulative = tl.where(inside, cumulative - level + tl.where(k < shift, total, 0.0), 0.0)
    else:
        shift = 0
    tl.store(distance_ptr + image, tl.sum(cumulative * cumulative, 0))
    # S_l - S_k is formed before it is rounded: as large as K, it would leave few digits of the differences between bins
    sums, rest = _cumulative(cumulative)
    level = tl.sum(tl.where(k == shift - 1, sums, 0.0), 0)
    level_rest = tl.sum(tl.where(k == shift - 1, rest, 0.0), 0)
    total = tl.sum(tl.where(k == A.COUNT - 1, sums + rest, 0.0), 0)
    sums, rest = _add_with_rest(level, level_rest, -sums, -rest)
    sums, rest = _add_with_rest(sums, rest, cumulative + tl.where(k >= shift, total, 0.0), 0.0)
    slope = 2 * (sums + rest)
    tl.store(slope_ptr + image * 2 * A.COUNT + k, slope, mask=inside)
    tl.store(slope_ptr + (image * 2 + 1) * A.COUNT + k, 2 * (sums - 0.5 * slope) + 2 * rest, mask=inside)


def unfused(bins: Bins, dtype: torch.dtype) -> bool:
    """Whether histogram and distance need an operator each for these bins."""
    return not is_tiled(bins, dtype) or too_many_tiles(bins, dtype) is not None or bins.count > MOST_BINS


def forward(x: Tensor, shares: Tensor | None, target: Tensor, bins: Bins, circular: bool) -> tuple[Tensor, Tensor]:
    """(B, N), (B, K) contiguous, not empty -> distances (B,), and their slopes with respect to the histograms, rounded and
    what rounding left, (B, 2, K)."""
    axis = make_axis(bins, x.dtype)
    sums, parts = fill_sums(x, shares, axis)
    distance, slope, padded = x.new_empty(len(x)), x.new_empty(len(x), 2, bins.count), triton.next_power_of_2(bins.count)
    _distance_kernel[(len(x),)](
        sums, target, distance, slope, parts, axis.frozen, axis.images, padded_slots(axis), padded,
        max(_CELLS // padded, 1), circular, ACC=accumulator(x), num_warps=WARPS,
    )  # fmt: skip
    return distance, slope
