"""Joint soft histogram in Triton, block-sparse by pair of tiles, over samples put in the order of their pairs (order.py).
Derivation: README.md beside this file. Wide windows: table.py; few bins: dense.py.

Mutual information uses the same kernels: the fold then also gives the sums that information is made of, and the upstream gradient
is computed where it is used.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..common.bins import Bins
from ..common.jit.axis import Axis, is_tiled, make_axis
from ..common.jit.boundaries import distance, extended_bin, extended_tile, folded_bins, real_bin
from ..common.jit.launch import Work, accumulator, kernel, launch, on_amd, precision
from ..common.jit.numbers import number
from ..common.jit.programs import image_and_part, own_share, store_sum
from ..common.jit.responses import reach_responses
from ..common.jit.sizes import cdiv, next_power_of_2
from . import dense, table
from .order import (
    has_placeless,
    most_segments,
    new_order,
    order_samples,
    segment_length,
    segment_of,
    segments_of,
    too_many_pairs,
)
from .table import Wide, wide_axes

FORWARD_BN, BACKWARD_BN, FOLD = 32, 64, 16
#: the same backward where there are 4 of AMD's warps: larger blocks spill, and take up to half as many instructions again
AMD_BN = 16


@triton.jit
def _load_block(
    x_ptr, y_ptr, shares_ptr, place_ptr, i_b, N, start, count, tile_x, tile_y, ax, ay, X: tl.constexpr,
    Y: tl.constexpr, BN: tl.constexpr, WEIGHTED: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """A block of a segment's samples: where in (B, N), which exist, distances (rounded, and the rest), signs, shares."""
    o_s = start + tl.arange(0, BN)
    m_s = o_s < count
    at = i_b * N + tl.load(place_ptr + o_s, mask=m_s, other=0)
    u, rest_u, sign_x = distance(tl.load(x_ptr + at, mask=m_s, other=0.0).to(ACC), tile_x, ax, X)
    v, rest_v, sign_y = distance(tl.load(y_ptr + at, mask=m_s, other=0.0).to(ACC), tile_y, ay, Y)
    share = own_share(N, WEIGHTED, ACC)
    if WEIGHTED:
        share = tl.load(shares_ptr + at, mask=m_s, other=0.0).to(ACC)
    return at, m_s, u, rest_u, v, rest_v, sign_x, sign_y, share


@kernel
def _forward_kernel(
    x_ptr,  # (B, N)
    y_ptr,  # (B, N)
    shares_ptr,  # (B, N) if WEIGHTED
    order_ptr,  # (B, WIDTH) int32
    windows_ptr,  # (B, NS, X.REACH, Y.REACH)
    edges_ptr,  # (B, NS, X.REACH + Y.REACH) if EDGES: sums of P and of Q alone
    N, WIDTH, NS, SEGMENT, ax, ay, X: tl.constexpr, Y: tl.constexpr, PADDED: tl.constexpr, BN: tl.constexpr,
    WEIGHTED: tl.constexpr, EDGES: tl.constexpr, ACC: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    i_b, i_s = image_and_part(NS * (X.STEPS * Y.STEPS))
    first_x, first_y = i_s % X.STEPS * X.SPAN, i_s // X.STEPS % Y.STEPS * Y.SPAN
    i_s = i_s // (X.STEPS * Y.STEPS)
    pairs: tl.constexpr = X.SLOTS * Y.SLOTS
    row_ptr = order_ptr + i_b * WIDTH
    if i_s >= segments_of(row_ptr, pairs):
        return
    pair, place_ptr, count = segment_of(row_ptr, i_s, SEGMENT, pairs, PADDED)
    window = tl.zeros([X.SPAN, Y.SPAN], ACC)
    edge_x, edge_y = tl.zeros([X.SPAN], ACC), tl.zeros([Y.SPAN], ACC)
    for start in range(0, count, BN):
        _at, m_s, u, rest_u, v, rest_v, _x, _y, share = _load_block(
            x_ptr,
            y_ptr,
            shares_ptr,
            place_ptr,
            i_b,
            N,
            start,
            count,
            pair // Y.SLOTS,
            pair % Y.SLOTS,
            ax,
            ay,
            X,
            Y,
            BN,
            WEIGHTED,
            ACC,
        )
        p, _ = reach_responses(u, rest_u, first_x, ax, X, False)
        q, _ = reach_responses(v, rest_v, first_y, ay, Y, False)
        share = tl.where(m_s, share, 0.0)
        p *= share[None, :]
        window = tl.dot(p, tl.trans(q), acc=window, input_precision=PRECISION, out_dtype=ACC)
        if EDGES:
            edge_x += tl.sum(p, 1)
            edge_y += tl.sum(q * share[None, :], 1)
    o_x, o_y = first_x + tl.arange(0, X.SPAN), first_y + tl.arange(0, Y.SPAN)
    place = i_b * NS + i_s
    window *= number(ax.FACTOR) * number(ay.FACTOR)
    tl.store(windows_ptr + (place * X.REACH + o_x)[:, None] * Y.REACH + o_y[None, :], window)
    if EDGES:
        if first_y == 0:
            tl.store(edges_ptr + place * (X.REACH + Y.REACH) + o_x, edge_x * number(ax.FACTOR))
        if first_x == 0:
            tl.store(edges_ptr + place * (X.REACH + Y.REACH) + X.REACH + o_y, edge_y * number(ay.FACTOR))


@triton.jit
def log_or_zero(p):
    """log p, but 0 where p is 0; NaN stays."""
    return tl.log(tl.where(p <= 0, 1.0, p))


@kernel
def _fold_kernel(
    windows_ptr,  # (B, NS, X.REACH, Y.REACH)
    order_ptr,  # (B, WIDTH) int32
    shares_ptr,  # (B, N) if WEIGHTED
    joint_ptr,  # (B, X.K, Y.K)
    rows_ptr,  # (B, NY, X.K) if INFORMATION: sums over a block of columns
    columns_ptr,  # (B, NX, Y.K) if INFORMATION
    entropies_ptr,  # (B, NX, NY) if INFORMATION
    N, WIDTH, NS, NX, NY, X: tl.constexpr, Y: tl.constexpr, FOLDED_X: tl.constexpr, FOLDED_Y: tl.constexpr, BK: tl.constexpr,
    WEIGHTED: tl.constexpr, INFORMATION: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """A square of the joint histogram, each cell the sum of its places in all windows that reach it."""
    i_b, i_k = image_and_part(NX * NY)
    i_x, i_y = i_k // NY, i_k % NY
    o_x, o_y = i_x * BK + tl.arange(0, BK), i_y * BK + tl.arange(0, BK)
    inside = (o_x < X.K)[:, None] & (o_y < Y.K)[None, :]
    row_ptr = order_ptr + i_b * WIDTH
    pairs: tl.constexpr = X.SLOTS * Y.SLOTS
    # a NaN sample makes the whole histogram NaN, as the dense formula does; a NaN weight makes all weights NaN
    bad = has_placeless(row_ptr, pairs)
    if WEIGHTED:
        share = tl.load(shares_ptr + i_b * N)
        bad = bad | (share != share)
    total = tl.zeros([BK, BK], ACC) + tl.where(bad, float("nan"), 0.0).to(ACC)
    for i_m in range(FOLDED_X * FOLDED_Y):
        place_x, place_y = extended_bin(o_x, i_m // FOLDED_Y, X), extended_bin(o_y, i_m % FOLDED_Y, Y)
        if (tl.max(place_x) >= 0) & (tl.max(place_y) >= 0):  # most squares are far from the ends of the range
            for back in range((X.REACH // X.TILE) * (Y.REACH // Y.TILE)):
                tile_x, first_x = extended_tile(place_x // X.TILE, back // (Y.REACH // Y.TILE), X)
                tile_y, first_y = extended_tile(place_y // Y.TILE, back % (Y.REACH // Y.TILE), Y)
                exists = inside & ((place_x >= 0) & (tile_x >= 0))[:, None] & ((place_y >= 0) & (tile_y >= 0))[None, :]
                segment_ptr = row_ptr + pairs + 1 + tile_x[:, None] * Y.SLOTS + tile_y[None, :]
                first = tl.load(segment_ptr, mask=exists, other=0)
                last = tl.load(segment_ptr + 1, mask=exists, other=0)
                cell = (first_x + place_x % X.TILE)[:, None] * Y.REACH + (first_y + place_y % Y.TILE)[None, :]
                for step in range(tl.max(last - first)):
                    window = (i_b * NS + first + step) * X.REACH * Y.REACH
                    total += tl.load(windows_ptr + window + cell, mask=first + step < last, other=0.0)
    tl.store(joint_ptr + (i_b * X.K + o_x[:, None]) * Y.K + o_y[None, :], total, mask=inside)
    if INFORMATION:
        total = tl.where(inside, total, 0.0)
        entropy = -tl.sum(total * log_or_zero(total))
        tl.store(rows_ptr + (i_b * NY + i_y) * X.K + o_x, tl.sum(total, 1), mask=o_x < X.K)
        tl.store(columns_ptr + (i_b * NX + i_x) * Y.K + o_y, tl.sum(total, 0), mask=o_y < Y.K)
        tl.store(entropies_ptr + i_b * NX * NY + i_k, entropy)


@triton.jit
def _edge_slope(total, p, entropy, information):
    """Gradient of the terms with respect to a marginal p, where the joint histogram's own sums are `total`."""
    slope = -information * (total / tl.where(p <= 0, 1.0, p)) - entropy * (log_or_zero(p) + 1)
    return tl.where(p <= 0, 0.0, slope)


@triton.jit
def _upstream(
    grad_ptr, joint_ptr, sums_ptr, i_b, tile_x, tile_y, first_x, first_y, X: tl.constexpr, Y: tl.constexpr,
    INFORMATION: tl.constexpr, EDGES: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """The upstream gradient in a span of a window, [SPAN, SPAN], and with EDGES those with respect to Eq. 5's histograms."""
    k = real_bin(tile_x, first_x + tl.arange(0, X.SPAN), X)
    m = real_bin(tile_y, first_y + tl.arange(0, Y.SPAN), Y)
    at = (i_b * X.K + k[:, None]) * Y.K + m[None, :]
    inside = (k >= 0)[:, None] & (m >= 0)[None, :]
    edge_x, edge_y = tl.zeros([X.SPAN], ACC), tl.zeros([Y.SPAN], ACC)
    if INFORMATION:
        joint = tl.load(joint_ptr + at, mask=inside, other=0.0)
        information, joint_entropy = tl.load(grad_ptr + i_b * 4).to(ACC), tl.load(grad_ptr + i_b * 4 + 1).to(ACC)
        entropy_x, entropy_y = tl.load(grad_ptr + i_b * 4 + 2).to(ACC), tl.load(grad_ptr + i_b * 4 + 3).to(ACC)
        sums_ptr += i_b * (2 * (X.K + Y.K))  # rows, columns, p, q
        rows, columns = tl.load(sums_ptr + k, mask=k >= 0, other=0.0), tl.load(sums_ptr + X.K + m, mask=m >= 0, other=0.0)
        p = tl.load(sums_ptr + (X.K + Y.K) + k, mask=k >= 0, other=0.0)
        q = tl.load(sums_ptr + (2 * X.K + Y.K) + m, mask=m >= 0, other=0.0)
        gradient = (information - joint_entropy) * (log_or_zero(joint) + 1) - information * (
            log_or_zero(p)[:, None] + log_or_zero(q)[None, :]
        )
        gradient = tl.where(joint <= 0, 0.0, gradient)
        edge_x = _edge_slope(rows, p, entropy_x, information)
        edge_y = _edge_slope(columns, q, entropy_y, information)
        if not EDGES:  # the marginals are the joint histogram's own sums
            gradient += tl.where(inside, edge_x[:, None] + edge_y[None, :], 0.0)
    else:
        gradient = tl.load(grad_ptr + at, mask=inside, other=0.0).to(ACC)
    return gradient, edge_x, edge_y


@kernel
def _backward_kernel(
    grad_ptr,  # (B, X.K, Y.K), with INFORMATION (B, 4)
    joint_ptr,  # (B, X.K, Y.K) if INFORMATION
    sums_ptr,  # (B, 2 * (X.K + Y.K)) if INFORMATION
    x_ptr,  # (B, N)
    y_ptr,  # (B, N)
    shares_ptr,  # (B, N) if WEIGHTED
    order_ptr,  # (B, WIDTH) int32
    grad_x_ptr,  # (B, N) if NEEDS_X
    grad_y_ptr,  # (B, N) if NEEDS_Y
    grad_shares_ptr,  # (B, N) if NEEDS_SHARES
    N, WIDTH, NS, SEGMENT, ax, ay, X: tl.constexpr, Y: tl.constexpr, PADDED: tl.constexpr, BN: tl.constexpr,
    WEIGHTED: tl.constexpr, INFORMATION: tl.constexpr, EDGES: tl.constexpr, NEEDS_X: tl.constexpr, NEEDS_Y: tl.constexpr,
    NEEDS_SHARES: tl.constexpr, ACC: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    i_b, i_s = image_and_part(NS)
    pairs: tl.constexpr = X.SLOTS * Y.SLOTS
    row_ptr = order_ptr + i_b * WIDTH
    if i_s >= segments_of(row_ptr, pairs):
        return
    pair, place_ptr, count = segment_of(row_ptr, i_s, SEGMENT, pairs, PADDED)
    tile_x, tile_y = pair // Y.SLOTS, pair % Y.SLOTS
    for step in range(X.STEPS * Y.STEPS):  # what one span of the window adds
        first_x, first_y = step // Y.STEPS * X.SPAN, step % Y.STEPS * Y.SPAN
        upstream, edge_x, edge_y = _upstream(
            grad_ptr, joint_ptr, sums_ptr, i_b, tile_x, tile_y, first_x, first_y, X, Y, INFORMATION, EDGES, ACC
        )
        upstream *= number(ax.FACTOR) * number(ay.FACTOR)
        # each edge counts once, with the first span of the other axis
        edge_x = tl.where(first_y == 0, edge_x * number(ax.FACTOR), 0.0)
        edge_y = tl.where(first_x == 0, edge_y * number(ay.FACTOR), 0.0)
        before = first_x + first_y
        for start in range(0, count, BN):
            at, m_s, u, rest_u, v, rest_v, sign_x, sign_y, share = _load_block(
                x_ptr, y_ptr, shares_ptr, place_ptr, i_b, N, start, count, tile_x, tile_y, ax, ay, X, Y, BN, WEIGHTED, ACC
            )
            p, slope_p = reach_responses(u, rest_u, first_x, ax, X, NEEDS_X)
            q, slope_q = reach_responses(v, rest_v, first_y, ay, Y, NEEDS_Y)
            if NEEDS_X or NEEDS_SHARES:
                along_x = tl.dot(upstream, q, input_precision=PRECISION, out_dtype=ACC)
                if EDGES:
                    along_x += edge_x[:, None]
                if NEEDS_X:
                    gradient = tl.sum(slope_p * along_x, axis=0) * (share * sign_x * number(ax.SLOPE))
                    store_sum(grad_x_ptr + at, gradient, m_s, before)
                if NEEDS_SHARES:
                    gradient = tl.sum(p * along_x, axis=0)
                    if EDGES:
                        gradient += tl.sum(q * edge_y[:, None], axis=0)
                    store_sum(grad_shares_ptr + at, gradient, m_s, before)
            if NEEDS_Y:  # as G^T P met by Q', but upstream is the left factor of both products, and P need not be one
                turned = tl.dot(upstream, slope_q, input_precision=PRECISION, out_dtype=ACC)
                gradient = tl.sum(p * turned, axis=0)
                if EDGES:
                    gradient += tl.sum(slope_q * edge_y[:, None], axis=0)
                store_sum(grad_y_ptr + at, gradient * (share * sign_y * number(ay.SLOPE)), m_s, before)


def axes_of(bins_x: Bins, bins_y: Bins, dtype: torch.dtype) -> tuple[Axis, Axis] | None:
    """The axes by whose pairs of tiles samples are ordered; None where bins are not cut into tiles."""
    tiled = is_tiled(bins_x, dtype) and is_tiled(bins_y, dtype)
    return (make_axis(bins_x, dtype), make_axis(bins_y, dtype)) if tiled else None


def wide_for(bins_x: Bins, bins_y: Bins, x: Tensor) -> Wide | None:
    """The cells by whose pairs samples x (B, N) and others are ordered, instead of tiles or none; None where they are no gain."""
    return wide_axes(bins_x, bins_y, x, axes_of(bins_x, bins_y, x.dtype))


def tiles_for(bins_x: Bins, bins_y: Bins, x: Tensor) -> tuple[Axis, Axis] | None:
    """The axes by whose pairs of tiles samples x (B, N) and others are ordered; None where they are by cells, or not."""
    return axes_of(bins_x, bins_y, x.dtype) if wide_for(bins_x, bins_y, x) is None else None


def unserved(x: Tensor, y: Tensor, shares: Tensor | None, bins_x: Bins, bins_y: Bins) -> str | None:
    """Why the kernels cannot serve these bins, None if they can."""
    if wide_for(bins_x, bins_y, x) is not None:
        return None
    axes = axes_of(bins_x, bins_y, x.dtype)
    return too_many_pairs(*axes) if axes else dense.too_wide(bins_x, x.dtype) or dense.too_wide(bins_y, x.dtype)


def kept(x: Tensor, y: Tensor, shares: Tensor | None, bins_x: Bins, bins_y: Bins) -> list[Tensor]:
    """The samples' order, where there is one."""
    wide = wide_for(bins_x, bins_y, x)
    axes = wide.axes if wide else axes_of(bins_x, bins_y, x.dtype)
    return [new_order(x, axes)] if axes else []


def forward(x: Tensor, y: Tensor, shares: Tensor | None, bins_x: Bins, bins_y: Bins) -> tuple[Tensor, ...]:
    """(B, N), (B, N) not empty -> (B, Kx, Ky) and what is kept."""
    wide = wide_for(bins_x, bins_y, x)
    if wide is not None:
        return table.forward(x, y, shares, wide)
    axes = axes_of(bins_x, bins_y, x.dtype)
    if axes is None:
        return (dense.forward(x, y, shares, bins_x, bins_y),)
    order = order_samples(x, y, axes)
    windows, _ = fill_windows(x, y, shares, order, axes, edges=False)
    return fold_windows(windows, shares, order, axes, x.shape[1], information=False).joint, order


def fill_windows(
    x: Tensor, y: Tensor, shares: Tensor | None, order: Tensor, axes: tuple[Axis, Axis], edges: bool
) -> tuple[Tensor, Tensor | None]:
    """The windows of all segments, (B, segments, reach x, reach y), and with `edges` the sums of either response alone."""
    (batch, samples), (ax, ay), segments = x.shape, axes, most_segments(x, axes)
    windows = x.new_empty(batch, segments, ax.REACH, ay.REACH)
    sums = x.new_empty(batch, segments, ax.REACH + ay.REACH) if edges else None
    launch(
        _forward_kernel, batch * segments * ax.STEPS * ay.STEPS, x, y, shares, order, windows, sums, samples, order.shape[1],
        segments, segment_length(x), X=ax, Y=ay, PADDED=next_power_of_2(ax.SLOTS * ay.SLOTS), BN=FORWARD_BN,
        WEIGHTED=shares is not None, EDGES=edges, ACC=accumulator(x.dtype), PRECISION=precision(x),
        # as few as hold the window on chip: more would each make all responses anew
        warps=2 if edges or x.dtype == torch.float64 or _spreads(axes) else 1,
        work=Work("sample", FORWARD_BN, x.numel() * ax.STEPS * ay.STEPS),
    )  # fmt: skip
    return windows, sums


def _spreads(axes: tuple[Axis, Axis]) -> bool:
    """Whether bins' exponentials take registers: at other bandwidths than the natural ones they are not known at compile time."""
    return any(axis.SEPARABLE and axis.RATE is None for axis in axes)


class Folded(NamedTuple):
    """The joint histogram (B, Kx, Ky), and where information is wanted partial sums of its squares."""

    joint: Tensor
    rows: Tensor | None = None
    columns: Tensor | None = None
    entropies: Tensor | None = None


def fold_windows(
    windows: Tensor, shares: Tensor | None, order: Tensor, axes: tuple[Axis, Axis], samples: int, information: bool
) -> Folded:
    (ax, ay), (batch, segments) = axes, windows.shape[:2]
    blocks_x, blocks_y = cdiv(ax.K, FOLD), cdiv(ay.K, FOLD)
    folded = Folded(windows.new_empty(batch, ax.K, ay.K))
    if information:
        rows, columns = windows.new_empty(batch, blocks_y, ax.K), windows.new_empty(batch, blocks_x, ay.K)
        folded = Folded(folded.joint, rows, columns, windows.new_empty(batch, blocks_x * blocks_y))
    launch(
        _fold_kernel, batch * blocks_x * blocks_y, windows, order, shares, *folded, samples, order.shape[1], segments, blocks_x,
        blocks_y, X=ax, Y=ay, FOLDED_X=folded_bins(ax), FOLDED_Y=folded_bins(ay), BK=FOLD, WEIGHTED=shares is not None,
        INFORMATION=information, ACC=accumulator(windows.dtype), warps=1, work=Work("cell", FOLD**2, folded.joint.numel()),
    )  # fmt: skip
    return folded


def backward(
    grad: Tensor, x: Tensor, y: Tensor, shares: Tensor | None, *kept_and_settings: Tensor | Bins | list[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients with respect to x, y and shares, empty where not needed."""
    *order, bins_x, bins_y, needs = kept_and_settings
    wide = wide_for(bins_x, bins_y, x)
    if wide is not None:
        return table.backward(grad, x, y, shares, *order, wide, needs)
    if not order:
        return dense.backward(grad, x, y, shares, bins_x, bins_y, needs)
    return backward_ordered(grad, x, y, shares, *order, axes_of(bins_x, bins_y, x.dtype), needs)


def backward_ordered(
    grad: Tensor, x: Tensor, y: Tensor, shares: Tensor | None, order: Tensor, axes: tuple[Axis, Axis], needs: list[bool],
    information: tuple[Tensor, Tensor] | None = None, edges: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients with respect to x, y and shares along an order, empty where not needed.

    `grad` is that of the joint histogram; with `information`, the joint histogram and its sums, it is that of the four terms, and
    `edges` says that their marginals are Eq. 5's histograms.
    """
    (batch, samples), (ax, ay), segments = x.shape, axes, most_segments(x, axes)
    grads = [x.new_empty(x.shape if need else 0) for need in needs]
    joint, sums = information or (None, None)
    # twice as many warps where responses or weights take more registers, and fewer samples where all gradients there can be do
    light = ax.SEPARABLE and ay.SEPARABLE and not _spreads(axes) and ax.STEPS * ay.STEPS == 1
    plain = light and shares is None and x.dtype == torch.float32
    block = BACKWARD_BN // 2 if edges and needs[2] else BACKWARD_BN
    if on_amd() and not plain:
        block = min(block, AMD_BN)
    launch(
        _backward_kernel, batch * segments, grad, joint, sums, x, y, shares, order, *grads, samples, order.shape[1], segments,
        segment_length(x), X=ax, Y=ay, PADDED=next_power_of_2(ax.SLOTS * ay.SLOTS), BN=block, WEIGHTED=shares is not None,
        INFORMATION=information is not None, EDGES=edges, NEEDS_X=needs[0], NEEDS_Y=needs[1], NEEDS_SHARES=needs[2],
        ACC=accumulator(x.dtype), PRECISION=precision(x), warps=2 if plain else 4,
        work=Work("sample", block, x.numel() * ax.STEPS * ay.STEPS),
    )  # fmt: skip
    return tuple(grads)
