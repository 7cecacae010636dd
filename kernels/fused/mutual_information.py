"""Mutual information in one forward and one backward pass over samples in the order of their tile pairs.

Forward: the joint histogram's kernels (joint_histogram.py), whose fold also sums rows, columns and -J log J of its squares; a last
kernel adds these and gives the four terms. Backward: the joint histogram's backward kernel computes the gradient with respect to J
for the window it holds, from J and four vectors of K; it is never stored.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from ..bins import Bins
from .axis import Axis, accumulator, extended_bin, extended_tile, make_axis
from .joint_histogram import (
    FOLD,
    are_tiled,
    backward,
    fill_windows,
    fold_windows,
    log_or_zero,
    order_width,
    unserved,
)
from .order import order_samples
from .programs import flat_program

__all__ = ["are_tiled", "backward", "forward", "order_width", "unserved"]

#: partial sums that a program adds at a time
_AT_ONCE = 16


@triton.jit
def _edges_kernel(
    edges_ptr,  # (B, segments, X.REACH + Y.REACH)
    order_ptr,  # (B, width) int32
    sums_ptr,  # (B, 2 * (X.COUNT + Y.COUNT))
    width,
    segments,
    blocks,
    X: tl.constexpr,
    Y: tl.constexpr,
    ALONG_X: tl.constexpr,
    IMAGES: tl.constexpr,
    FOLD: tl.constexpr,
    ACC: tl.constexpr,
):
    """A block of Eq. 5's histogram of x (or of y): each bin the sum of its places in the edges of all windows that reach it."""
    A: tl.constexpr = X if ALONG_X else Y
    image, block = flat_program(blocks)
    k = block * FOLD + tl.arange(0, FOLD)
    first_ptr = order_ptr + image * width + X.SLOTS * Y.SLOTS + 1
    edges_ptr += image * segments * (X.REACH + Y.REACH)
    total = tl.zeros([FOLD], ACC)
    for mirror in range(IMAGES):
        place = extended_bin(k, mirror, A)
        for back in range(A.REACH // A.TILE):
            tile, w = extended_tile(place // A.TILE, back, A)
            exists = (k < A.COUNT) & (place >= 0) & (tile >= 0)
            cell = w + place % A.TILE
            if ALONG_X:  # the pairs of a tile of x follow each other, and so do their segments
                first = tl.load(first_ptr + tile * Y.SLOTS, mask=exists, other=0)
                last = tl.load(first_ptr + (tile + 1) * Y.SLOTS, mask=exists, other=0)
                for step in range(tl.max(last - first)):
                    at = (first + step).to(tl.int64) * (X.REACH + Y.REACH) + cell
                    total += tl.load(edges_ptr + at, mask=first + step < last, other=0.0)
            else:
                for other in range(X.SLOTS):
                    first = tl.load(first_ptr + other * Y.SLOTS + tile, mask=exists, other=0)
                    last = tl.load(first_ptr + other * Y.SLOTS + tile + 1, mask=exists, other=0)
                    for step in range(tl.max(last - first)):
                        at = (first + step).to(tl.int64) * (X.REACH + Y.REACH) + X.REACH + cell
                        total += tl.load(edges_ptr + at, mask=first + step < last, other=0.0)
    start: tl.constexpr = X.COUNT + Y.COUNT + (0 if ALONG_X else X.COUNT)
    tl.store(sums_ptr + image * (2 * (X.COUNT + Y.COUNT)) + start + k, total, mask=k < A.COUNT)


@triton.jit
def _add_up(partial_ptr, parts, k, COUNT: tl.constexpr, AT_ONCE: tl.constexpr, ACC: tl.constexpr):
    """Sum of partial vectors (parts, COUNT)."""
    total = tl.zeros(k.shape, ACC)
    for start in range(0, parts, AT_ONCE):
        part = start + tl.arange(0, AT_ONCE)
        inside = (part < parts)[:, None] & (k < COUNT)[None, :]
        total += tl.sum(tl.load(partial_ptr + part[:, None] * COUNT + k[None, :], mask=inside, other=0.0), 0)
    return total


@triton.jit
def _terms_kernel(
    rows_ptr,  # (B, blocks_y, X.COUNT)
    columns_ptr,  # (B, blocks_x, Y.COUNT)
    entropies_ptr,  # (B, blocks_x * blocks_y)
    sums_ptr,  # (B, 2 * (X.COUNT + Y.COUNT)): rows, columns, p, q; with EDGES p and q are there
    terms_ptr,  # (B, 4)
    blocks_x,
    blocks_y,
    X: tl.constexpr,
    Y: tl.constexpr,
    PADDED_X: tl.constexpr,
    PADDED_Y: tl.constexpr,
    AT_ONCE: tl.constexpr,
    EDGES: tl.constexpr,
    ACC: tl.constexpr,
):
    image = tl.program_id(0).to(tl.int64)
    k, m = tl.arange(0, PADDED_X), tl.arange(0, PADDED_Y)
    in_x, in_y = k < X.COUNT, m < Y.COUNT
    rows = _add_up(rows_ptr + image * blocks_y * X.COUNT, blocks_y, k, X.COUNT, AT_ONCE, ACC)
    columns = _add_up(columns_ptr + image * blocks_x * Y.COUNT, blocks_x, m, Y.COUNT, AT_ONCE, ACC)
    squares, lanes = blocks_x * blocks_y, tl.arange(0, 256)
    entropies = tl.zeros([256], ACC)
    for start in range(0, squares, 256):
        entropies += tl.load(entropies_ptr + image * squares + start + lanes, mask=start + lanes < squares, other=0.0)
    joint_entropy = tl.sum(entropies)
    sums_ptr += image * (2 * (X.COUNT + Y.COUNT))
    tl.store(sums_ptr + k, rows, mask=in_x)
    tl.store(sums_ptr + X.COUNT + m, columns, mask=in_y)
    p, q = rows, columns
    if EDGES:
        p = tl.load(sums_ptr + (X.COUNT + Y.COUNT) + k, mask=in_x, other=0.0)
        q = tl.load(sums_ptr + (2 * X.COUNT + Y.COUNT) + m, mask=in_y, other=0.0)
    else:
        tl.store(sums_ptr + (X.COUNT + Y.COUNT) + k, rows, mask=in_x)
        tl.store(sums_ptr + (2 * X.COUNT + Y.COUNT) + m, columns, mask=in_y)
    log_p, log_q = log_or_zero(p), log_or_zero(q)
    information = -tl.sum(rows * log_p) - tl.sum(columns * log_q) - joint_entropy
    terms_ptr += image * 4
    tl.store(terms_ptr, information)
    tl.store(terms_ptr + 1, joint_entropy)
    tl.store(terms_ptr + 2, -tl.sum(p * log_p))
    tl.store(terms_ptr + 3, -tl.sum(q * log_q))


def forward(
    x: Tensor, y: Tensor, shares: Tensor | None, bins_x: Bins, bins_y: Bins, edges: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(B, N), (B, N) contiguous, not empty -> terms (B, 4), joint histogram, its sums (B, 2 (Kx + Ky)), order of the samples.

    `edges`: marginals are the histograms of Eq. 5, summed in the same pass, instead of the joint histogram's own.
    """
    (batch, samples), ax, ay = x.shape, make_axis(bins_x, x.dtype), make_axis(bins_y, x.dtype)
    order = order_samples(x, y, ax, ay)
    windows, edge_sums = fill_windows(x, y, shares, order, (ax, ay), edges)
    joint, rows, columns, entropies = fold_windows(windows, shares, order, (ax, ay), samples, information=True)
    sums, terms = x.new_empty(batch, 2 * (bins_x.count + bins_y.count)), x.new_empty(batch, 4)
    if edges:
        _fold_edges(edge_sums, order, sums, (ax, ay), along_x=True)
        _fold_edges(edge_sums, order, sums, (ax, ay), along_x=False)
    padded = triton.next_power_of_2(bins_x.count), triton.next_power_of_2(bins_y.count)
    _terms_kernel[(batch,)](
        rows, columns, entropies, sums, terms, columns.shape[1], rows.shape[1], ax.frozen, ay.frozen, *padded, _AT_ONCE, edges,
        ACC=accumulator(x), num_warps=8,
    )  # fmt: skip
    return terms, joint, sums, order


def _fold_edges(edges: Tensor, order: Tensor, sums: Tensor, axes: tuple[Axis, Axis], along_x: bool) -> None:
    (batch, segments), axis = edges.shape[:2], axes[0] if along_x else axes[1]
    blocks = triton.cdiv(axis.COUNT, FOLD)
    _edges_kernel[(batch * blocks,)](
        edges, order, sums, order.shape[1], segments, blocks, axes[0].frozen, axes[1].frozen, along_x, axis.images, FOLD,
        ACC=accumulator(edges), num_warps=1,
    )  # fmt: skip
