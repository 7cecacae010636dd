"""Soft histogram and its squared earth mover's distance to a target in one pass, in Triton.

A program holds an image's histogram: it folds what the soft histogram's forward kernel summed, subtracts the target, finds the best
cyclic shift from two cumulative sums, and writes the distance and its gradient with respect to the histogram. Derivation:
README.md beside this file. Bins that a program does not hold, or that are not cut into tiles: the histogram's kernels, then
portable.py.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..common.bins import Bins
from ..common.jit.axis import make_axis
from ..common.jit.boundaries import folded_bins
from ..common.jit.launch import Work, accumulator, kernel, launch
from ..common.jit.sizes import next_power_of_2
from ..soft_histogram import fused as soft_histogram
from ..soft_histogram.fused import backward_scaled, fill_sums, folded, held_by_one, padded_tiles
from . import portable

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


@kernel
def _distance_kernel(
    sums_ptr,  # (B, A.REACH * BT + 1)
    target_ptr,  # (B, A.K)
    distance_ptr,  # (B,)
    slope_ptr,  # (B, 2, A.K): rounded, and what rounding left
    A: tl.constexpr, FOLDED: tl.constexpr, BT: tl.constexpr,
    PADDED: tl.constexpr,  # a power of two, at least A.K
    CIRCULAR: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    i_b = tl.program_id(0).to(tl.int64)
    o_k = tl.arange(0, PADDED)
    m_k = o_k < A.K
    histogram = folded(sums_ptr, i_b, o_k, A, FOLDED, BT, ACC)
    difference = histogram - tl.load(target_ptr + i_b * A.K + o_k, mask=m_k, other=0.0).to(ACC)
    difference = tl.where(m_k, difference, 0.0)
    cumulative, rest = _cumulative(difference)
    cumulative = tl.where(m_k, cumulative + rest, 0.0)
    if CIRCULAR:
        total = tl.sum(difference, 0)
        before = tl.where(m_k, cumulative - difference, 0.0)  # D_{l-1}
        sums_before = tl.cumsum(cumulative, 0) - cumulative
        grand = tl.sum(cumulative, 0)
        cost = 2 * total * sums_before + o_k * total * total - 2 * before * (grand + o_k * total) + A.K * before * before
        # the kernel's D_{l-1} is rounded twice, so that of the best shift is taken from the cumulative sum itself
        shift = tl.argmin(tl.where(m_k, cost, float("inf")), 0)
        level = tl.sum(tl.where(o_k == shift - 1, cumulative, 0.0), 0)
        cumulative = tl.where(m_k, cumulative - level + tl.where(o_k < shift, total, 0.0), 0.0)
    else:
        shift = 0
    tl.store(distance_ptr + i_b, tl.sum(cumulative * cumulative, 0))
    # S_l - S_k is formed before it is rounded: as large as K, it would leave few digits of the differences between bins
    sums, rest = _cumulative(cumulative)
    level = tl.sum(tl.where(o_k == shift - 1, sums, 0.0), 0)
    level_rest = tl.sum(tl.where(o_k == shift - 1, rest, 0.0), 0)
    total = tl.sum(tl.where(o_k == A.K - 1, sums + rest, 0.0), 0)
    sums, rest = _add_with_rest(level, level_rest, -sums, -rest)
    sums, rest = _add_with_rest(sums, rest, cumulative + tl.where(o_k >= shift, total, 0.0), 0.0)
    slope = 2 * (sums + rest)
    tl.store(slope_ptr + i_b * 2 * A.K + o_k, slope, mask=m_k)
    tl.store(slope_ptr + (i_b * 2 + 1) * A.K + o_k, 2 * (sums - 0.5 * slope) + 2 * rest, mask=m_k)


def _is_fused(bins: Bins, dtype: torch.dtype) -> bool:
    """Whether one program can hold a histogram of these bins."""
    return held_by_one(bins, dtype) and bins.count <= MOST_BINS


def unserved(x: Tensor, shares: Tensor | None, target: Tensor, bins: Bins, circular: bool) -> str | None:
    """Why the kernels cannot serve these bins, None if they can."""
    return soft_histogram.unserved(x, shares, bins)


def kept(x: Tensor, shares: Tensor | None, target: Tensor, bins: Bins, circular: bool) -> list[Tensor]:
    """The distances' slopes with respect to the histograms, rounded and what rounding left, (B, 2, K)."""
    if not _is_fused(bins, x.dtype):
        return portable.kept(x, shares, target, bins, circular, soft_histogram)
    return [x.new_empty(len(x), 2, bins.count)]


def forward(x: Tensor, shares: Tensor | None, target: Tensor, bins: Bins, circular: bool) -> tuple[Tensor, Tensor]:
    """(B, N), (B, K) not empty -> squared distances (B,) and what is kept."""
    if not _is_fused(bins, x.dtype):
        return portable.forward(x, shares, target, bins, circular, soft_histogram)
    axis, padded = make_axis(bins, x.dtype), next_power_of_2(bins.count)
    sums = fill_sums(x, shares, axis)
    distance, slope = x.new_empty(len(x)), x.new_empty(len(x), 2, bins.count)
    launch(
        _distance_kernel, len(x), sums, target, distance, slope, A=axis, FOLDED=folded_bins(axis), BT=padded_tiles(axis),
        PADDED=padded, CIRCULAR=circular, ACC=accumulator(x.dtype), work=Work("bin", padded, target.numel()),
    )  # fmt: skip
    return distance, slope


def backward(
    grad: Tensor, x: Tensor, shares: Tensor | None, target: Tensor, last: Tensor, bins: Bins, circular: bool, needs: list[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients with respect to x, shares and target, empty where not needed."""
    if not _is_fused(bins, x.dtype):
        return portable.backward(grad, x, shares, target, last, bins, circular, needs, histograms=soft_histogram)
    of_target = -last[:, 0] * grad.unsqueeze(-1) if needs[2] else x.new_empty(0)
    if not any(needs[:2]):
        return x.new_empty(0), x.new_empty(0), of_target
    return *backward_scaled(last, grad, x, shares, bins, needs[:2]), of_target
