"""Mutual information in Triton, in one forward and one backward pass over samples in the order of their tile pairs.

Forward: the joint histogram's kernels, whose fold also sums rows, columns and -J log J of its squares; a last kernel adds these and
gives the four terms. Backward: the joint histogram's backward kernel computes the gradient with respect to J for the window it
holds, from J and four vectors of K; it is never stored. Where bins are not cut into tiles, or into cells, the terms are made of
histograms.
"""

from typing import Any

import triton
import triton.language as tl
from torch import Tensor

from ..common.bins import Bins
from ..common.jit.axis import Axis
from ..common.jit.boundaries import extended_bin, extended_tile, folded_bins
from ..common.jit.launch import Work, accumulator, kernel, launch
from ..common.jit.programs import image_and_part
from ..common.jit.sizes import cdiv, next_power_of_2
from ..joint_histogram import dense
from ..joint_histogram import fused as joint_histogram
from ..joint_histogram.fused import FOLD, backward_ordered, fill_windows, fold_windows, log_or_zero, tiles_for, wide_for
from ..joint_histogram.order import new_order, order_samples
from ..soft_histogram import fused as soft_histogram
from . import portable

#: partial sums that a program adds at a time, and bins of a marginal
AT_ONCE, MARGINAL = 4, 256
#: for bins that are not cut into tiles: without an order of samples, or by pairs of cells
_DENSE = portable.Histograms(dense.forward, dense.backward, soft_histogram.forward, soft_histogram.backward)
_WIDE = portable.Histograms(
    joint_histogram.forward, joint_histogram.backward, soft_histogram.forward, soft_histogram.backward, joint_histogram.kept
)


@kernel
def _edges_kernel(
    edges_ptr,  # (B, NS, X.REACH + Y.REACH)
    order_ptr,  # (B, WIDTH) int32
    sums_ptr,  # (B, 2 * (X.K + Y.K))
    WIDTH, NS, NK, X: tl.constexpr, Y: tl.constexpr, ALONG_X: tl.constexpr, FOLDED: tl.constexpr, BK: tl.constexpr,
    ACC: tl.constexpr,
):  # fmt: skip
    """A block of Eq. 5's histogram of x (or of y): each bin the sum of its places in the edges of all windows that reach it."""
    A: tl.constexpr = X if ALONG_X else Y
    i_b, i_k = image_and_part(NK)
    o_k = i_k * BK + tl.arange(0, BK)
    segment_ptr = order_ptr + i_b * WIDTH + X.SLOTS * Y.SLOTS + 1
    edges_ptr += i_b * NS * (X.REACH + Y.REACH)
    total = tl.zeros([BK], ACC)
    for i_m in range(FOLDED):
        place = extended_bin(o_k, i_m, A)
        for back in range(A.REACH // A.TILE):
            tile, start = extended_tile(place // A.TILE, back, A)
            exists = (o_k < A.K) & (place >= 0) & (tile >= 0)
            cell = start + place % A.TILE
            if ALONG_X:  # the pairs of a tile of x follow each other, and so do their segments
                first = tl.load(segment_ptr + tile * Y.SLOTS, mask=exists, other=0)
                last = tl.load(segment_ptr + (tile + 1) * Y.SLOTS, mask=exists, other=0)
                for step in range(tl.max(last - first)):
                    at = (first + step).to(tl.int64) * (X.REACH + Y.REACH) + cell
                    total += tl.load(edges_ptr + at, mask=first + step < last, other=0.0)
            else:
                for i_t in range(X.SLOTS):
                    first = tl.load(segment_ptr + i_t * Y.SLOTS + tile, mask=exists, other=0)
                    last = tl.load(segment_ptr + i_t * Y.SLOTS + tile + 1, mask=exists, other=0)
                    for step in range(tl.max(last - first)):
                        at = (first + step).to(tl.int64) * (X.REACH + Y.REACH) + X.REACH + cell
                        total += tl.load(edges_ptr + at, mask=first + step < last, other=0.0)
    place_of: tl.constexpr = X.K + Y.K + (0 if ALONG_X else X.K)
    tl.store(sums_ptr + i_b * (2 * (X.K + Y.K)) + place_of + o_k, total, mask=o_k < A.K)


@triton.jit
def _add_up(partial_ptr, NP, o_k, K: tl.constexpr, AT_ONCE: tl.constexpr, ACC: tl.constexpr):
    """Sum of partial vectors (NP, K)."""
    total = tl.zeros(o_k.shape, ACC)
    for start in range(0, NP, AT_ONCE):
        o_p = start + tl.arange(0, AT_ONCE)
        inside = (o_p < NP)[:, None] & (o_k < K)[None, :]
        total += tl.sum(tl.load(partial_ptr + o_p[:, None] * K + o_k[None, :], mask=inside, other=0.0), 0)
    return total


@triton.jit
def _marginal(
    partial_ptr, NP, sums_ptr, p_ptr, K: tl.constexpr, BK: tl.constexpr, AT_ONCE: tl.constexpr, EDGES: tl.constexpr,
    ACC: tl.constexpr,
):  # fmt: skip
    """Write the sums of the joint histogram over one axis, and with them p, unless it is there. Gives the sum of -log p over the
    joint histogram, and p's entropy."""
    cross, own = tl.zeros([BK], ACC), tl.zeros([BK], ACC)
    for start in range(0, K, BK):
        o_k = start + tl.arange(0, BK)
        m_k = o_k < K
        total = _add_up(partial_ptr, NP, o_k, K, AT_ONCE, ACC)
        tl.store(sums_ptr + o_k, total, mask=m_k)
        p = total
        if EDGES:
            p = tl.load(p_ptr + o_k, mask=m_k, other=0.0)
        else:
            tl.store(p_ptr + o_k, total, mask=m_k)
        log_p = log_or_zero(p)
        cross -= total * log_p
        own -= p * log_p
    return tl.sum(cross), tl.sum(own)


@kernel
def _terms_kernel(
    rows_ptr,  # (B, NY, KX)
    columns_ptr,  # (B, NX, KY)
    entropies_ptr,  # (B, NX * NY)
    sums_ptr,  # (B, 2 * (KX + KY)): rows, columns, p, q; with EDGES p and q are there
    terms_ptr,  # (B, 4)
    NX, NY, KX: tl.constexpr, KY: tl.constexpr, BX: tl.constexpr, BY: tl.constexpr, AT_ONCE: tl.constexpr, EDGES: tl.constexpr,
    ACC: tl.constexpr,
):  # fmt: skip
    i_b = tl.program_id(0).to(tl.int64)
    squares = NX * NY
    entropies = tl.zeros([256], ACC)
    for start in range(0, squares, 256):
        o_s = start + tl.arange(0, 256)
        entropies += tl.load(entropies_ptr + i_b * squares + o_s, mask=o_s < squares, other=0.0)
    joint_entropy = tl.sum(entropies)
    sums_ptr += i_b * (2 * (KX + KY))
    p_ptr, q_ptr = sums_ptr + (KX + KY), sums_ptr + (2 * KX + KY)
    cross_x, entropy_x = _marginal(rows_ptr + i_b * NY * KX, NY, sums_ptr, p_ptr, KX, BX, AT_ONCE, EDGES, ACC)
    cross_y, entropy_y = _marginal(columns_ptr + i_b * NX * KY, NX, sums_ptr + KX, q_ptr, KY, BY, AT_ONCE, EDGES, ACC)
    terms_ptr += i_b * 4
    tl.store(terms_ptr, cross_x + cross_y - joint_entropy)
    tl.store(terms_ptr + 1, joint_entropy)
    tl.store(terms_ptr + 2, entropy_x)
    tl.store(terms_ptr + 3, entropy_y)


def _histograms(x: Tensor, bins_x: Bins, bins_y: Bins) -> portable.Histograms:
    """Of which terms are made where bins are not cut into tiles."""
    return _DENSE if wide_for(bins_x, bins_y, x) is None else _WIDE


def unserved(x: Tensor, y: Tensor, shares: Tensor | None, bins_x: Bins, bins_y: Bins, marginals: str) -> str | None:
    """Why the kernels cannot serve these bins, None if they can."""
    reason = joint_histogram.unserved(x, y, shares, bins_x, bins_y)
    if marginals == "histogram" and tiles_for(bins_x, bins_y, x) is None:
        reason = reason or soft_histogram.unserved(x, shares, bins_x) or soft_histogram.unserved(y, shares, bins_y)
    return reason


def kept(x: Tensor, y: Tensor, shares: Tensor | None, bins_x: Bins, bins_y: Bins, marginals: str) -> list[Tensor]:
    """The joint histogram, its sums (B, 2 (Kx + Ky)) and the samples' order; without an order, as `portable`."""
    axes = tiles_for(bins_x, bins_y, x)
    if axes is None:
        return portable.kept(x, y, shares, bins_x, bins_y, marginals, _histograms(x, bins_x, bins_y))
    sums = x.new_empty(len(x), 2 * (bins_x.count + bins_y.count))
    return [x.new_empty(len(x), bins_x.count, bins_y.count), sums, new_order(x, axes)]


def forward(x: Tensor, y: Tensor, shares: Tensor | None, bins_x: Bins, bins_y: Bins, marginals: str) -> tuple[Tensor, ...]:
    """(B, N), (B, N) not empty -> (B, 4) and what is kept."""
    axes = tiles_for(bins_x, bins_y, x)
    if axes is None:
        return portable.forward(x, y, shares, bins_x, bins_y, marginals, _histograms(x, bins_x, bins_y))
    edges = marginals == "histogram"  # Eq. 5's histograms, summed in the same pass, instead of the joint histogram's own
    order = order_samples(x, y, axes)
    windows, edge_sums = fill_windows(x, y, shares, order, axes, edges)
    joint, rows, columns, entropies = fold_windows(windows, shares, order, axes, x.shape[1], information=True)
    sums, terms = x.new_empty(len(x), 2 * (bins_x.count + bins_y.count)), x.new_empty(len(x), 4)
    if edges:
        _fold_edges(edge_sums, order, sums, axes, along_x=True)
        _fold_edges(edge_sums, order, sums, axes, along_x=False)
    blocks = [min(next_power_of_2(bins.count), MARGINAL) for bins in (bins_x, bins_y)]
    launch(
        _terms_kernel, len(x), rows, columns, entropies, sums, terms, columns.shape[1], rows.shape[1], KX=bins_x.count,
        KY=bins_y.count, BX=blocks[0], BY=blocks[1], AT_ONCE=AT_ONCE, EDGES=edges, ACC=accumulator(x.dtype), warps=4,
        work=Work("cell", blocks[0] * AT_ONCE, rows.numel() + columns.numel()),
    )  # fmt: skip
    return terms, joint, sums, order


def _fold_edges(edges: Tensor, order: Tensor, sums: Tensor, axes: tuple[Axis, Axis], along_x: bool) -> None:
    (batch, segments), axis = edges.shape[:2], axes[0] if along_x else axes[1]
    blocks = cdiv(axis.K, FOLD)
    launch(
        _edges_kernel, batch * blocks, edges, order, sums, order.shape[1], segments, blocks, X=axes[0], Y=axes[1], ALONG_X=along_x,
        FOLDED=folded_bins(axis), BK=FOLD, ACC=accumulator(edges.dtype), warps=1, work=Work("bin", FOLD, batch * axis.K),
    )  # fmt: skip


def backward(grad: Tensor, x: Tensor, y: Tensor, shares: Tensor | None, *kept_and_settings: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients with respect to x, y and shares, empty where not needed."""
    *kept, bins_x, bins_y, marginals, needs = kept_and_settings
    axes = tiles_for(bins_x, bins_y, x)
    if axes is None:
        return portable.backward(grad, x, y, shares, *kept_and_settings, histograms=_histograms(x, bins_x, bins_y))
    joint, sums, order = kept
    return backward_ordered(grad, x, y, shares, order, axes, needs, (joint, sums), edges=marginals == "histogram")
