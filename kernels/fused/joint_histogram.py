"""Joint soft histogram, block-sparse by pair of tiles, over samples put in the order of their pairs (order.py).

Forward: one program a segment. It builds the responses P and Q of BLOCK samples at a time, [REACH x BLOCK], and the matrix unit
adds up P Q^T, the segment's window. Windows are written once, then overlapped and folded at the boundaries, in a fixed order.
Backward: the same segments, each with its window of the upstream gradient G on chip: V = G Q, and a sample's gradient is the sum
of P' V over its column. Nothing of the size samples x bins is ever in memory.

Mutual information (mutual_information.py) uses the same kernels: the fold then also gives the sums that information is made of,
and the upstream gradient is computed where it is used.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..bins import Bins
from . import dense
from .axis import Axis, accumulator, distance, extended_bin, extended_tile, is_tiled, make_axis, precision, real_bin
from .order import SEGMENT, most_segments, order_samples, segment_of, segments_of, too_many_tiles
from .order import order_width as width_of
from .programs import flat_program, sample_share, store_sum
from .windows import responses

FORWARD_BLOCK, BACKWARD_BLOCK, FOLD = 32, 64, 16


@triton.jit
def _load_block(
    x_ptr, y_ptr, shares_ptr, place_ptr, image, samples, start, count, tile_x, tile_y,
    X: tl.constexpr, Y: tl.constexpr, BLOCK: tl.constexpr, WEIGHTED: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """A block of a segment's samples: where in (B, N), which exist, distances (rounded, and the rest), signs, shares."""
    j = start + tl.arange(0, BLOCK)
    inside = j < count
    n = image * samples + tl.load(place_ptr + j, mask=inside, other=0)
    u, rest_u, sign_x = distance(tl.load(x_ptr + n, mask=inside, other=0.0).to(ACC), tile_x, X)
    v, rest_v, sign_y = distance(tl.load(y_ptr + n, mask=inside, other=0.0).to(ACC), tile_y, Y)
    share = tl.where(inside, sample_share(samples, WEIGHTED, ACC), 0.0)
    if WEIGHTED:
        share = tl.load(shares_ptr + n, mask=inside, other=0.0).to(ACC)
    return n, inside, u, rest_u, v, rest_v, sign_x, sign_y, share


@triton.jit
def _forward_kernel(
    x_ptr,  # (B, N)
    y_ptr,  # (B, N)
    shares_ptr,  # (B, N) if WEIGHTED
    order_ptr,  # (B, width) int32
    windows_ptr,  # (B, segments, X.REACH, Y.REACH)
    edges_ptr,  # (B, segments, X.REACH + Y.REACH) if EDGES: sums of P and of Q alone
    samples,
    width,
    segments,
    X: tl.constexpr,
    Y: tl.constexpr,
    PADDED: tl.constexpr,
    BLOCK: tl.constexpr,
    SEGMENT: tl.constexpr,
    WEIGHTED: tl.constexpr,
    EDGES: tl.constexpr,
    ACC: tl.constexpr,
    PRECISION: tl.constexpr,
):
    image, segment = flat_program(segments * (X.STEPS * Y.STEPS))
    first_x, first_y = segment % X.STEPS * X.SPAN, segment // X.STEPS % Y.STEPS * Y.SPAN
    segment = segment // (X.STEPS * Y.STEPS)
    pairs: tl.constexpr = X.SLOTS * Y.SLOTS
    row_ptr = order_ptr + image * width
    if segment >= segments_of(row_ptr, pairs):
        return
    pair, place_ptr, count = segment_of(row_ptr, segment, pairs, PADDED, SEGMENT)
    window = tl.zeros([X.SPAN, Y.SPAN], ACC)
    edge_x, edge_y = tl.zeros([X.SPAN], ACC), tl.zeros([Y.SPAN], ACC)
    for start in range(0, count, BLOCK):
        _n, _inside, u, rest_u, v, rest_v, _x, _y, share = _load_block(
            x_ptr, y_ptr, shares_ptr, place_ptr, image, samples, start, count, pair // Y.SLOTS, pair % Y.SLOTS,
            X, Y, BLOCK, WEIGHTED, ACC,
        )  # fmt: skip
        p, _ = responses(u, rest_u, first_x, X, False)
        q, _ = responses(v, rest_v, first_y, Y, False)
        p *= share[None, :]
        window = tl.dot(p, tl.trans(q), acc=window, input_precision=PRECISION, out_dtype=ACC)
        if EDGES:
            edge_x += tl.sum(p, 1)
            edge_y += tl.sum(q * share[None, :], 1)
    k, m = first_x + tl.arange(0, X.SPAN), first_y + tl.arange(0, Y.SPAN)
    place = image * segments + segment
    window *= X.FACTOR * Y.FACTOR
    tl.store(windows_ptr + (place * X.REACH + k)[:, None] * Y.REACH + m[None, :], window)
    if EDGES:
        if first_y == 0:
            tl.store(edges_ptr + place * (X.REACH + Y.REACH) + k, edge_x * X.FACTOR)
        if first_x == 0:
            tl.store(edges_ptr + place * (X.REACH + Y.REACH) + X.REACH + m, edge_y * Y.FACTOR)


@triton.jit
def log_or_zero(p):
    """log p where p > 0, else 0; NaN stays."""
    return tl.log(tl.where(p <= 0, 1.0, p))


@triton.jit
def _fold_kernel(
    windows_ptr,  # (B, segments, X.REACH, Y.REACH)
    order_ptr,  # (B, width) int32
    shares_ptr,  # (B, N) if WEIGHTED
    joint_ptr,  # (B, X.COUNT, Y.COUNT)
    rows_ptr,  # (B, blocks_y, X.COUNT) if INFORMATION: sums over a block of columns
    columns_ptr,  # (B, blocks_x, Y.COUNT) if INFORMATION
    entropies_ptr,  # (B, blocks_x, blocks_y) if INFORMATION
    samples,
    width,
    segments,
    blocks_x,
    blocks_y,
    X: tl.constexpr,
    Y: tl.constexpr,
    IMAGES_X: tl.constexpr,
    IMAGES_Y: tl.constexpr,
    FOLD: tl.constexpr,
    WEIGHTED: tl.constexpr,
    INFORMATION: tl.constexpr,
    ACC: tl.constexpr,
):
    """A square of the joint histogram, each cell the sum of its places in all windows that reach it."""
    image, block = flat_program(blocks_x * blocks_y)
    block_x, block_y = block // blocks_y, block % blocks_y
    k, m = block_x * FOLD + tl.arange(0, FOLD), block_y * FOLD + tl.arange(0, FOLD)
    inside = (k < X.COUNT)[:, None] & (m < Y.COUNT)[None, :]
    row_ptr = order_ptr + image * width
    pairs: tl.constexpr = X.SLOTS * Y.SLOTS
    # a NaN sample makes the whole histogram NaN, as the dense formula does; a NaN weight makes all weights NaN
    bad = tl.load(row_ptr + 2 * pairs + 2) > 0
    if WEIGHTED:
        share = tl.load(shares_ptr + image * samples)
        bad = bad | (share != share)
    total = tl.zeros([FOLD, FOLD], ACC) + tl.where(bad, float("nan"), 0.0).to(ACC)
    for mirror in range(IMAGES_X * IMAGES_Y):
        place_x, place_y = extended_bin(k, mirror // IMAGES_Y, X), extended_bin(m, mirror % IMAGES_Y, Y)
        if (tl.max(place_x) >= 0) & (tl.max(place_y) >= 0):  # most squares are far from the ends of the range
            for back in range((X.REACH // X.TILE) * (Y.REACH // Y.TILE)):
                tile_x, w = extended_tile(place_x // X.TILE, back // (Y.REACH // Y.TILE), X)
                tile_y, h = extended_tile(place_y // Y.TILE, back % (Y.REACH // Y.TILE), Y)
                exists = inside & ((place_x >= 0) & (tile_x >= 0))[:, None] & ((place_y >= 0) & (tile_y >= 0))[None, :]
                first_ptr = row_ptr + pairs + 1 + tile_x[:, None] * Y.SLOTS + tile_y[None, :]
                first = tl.load(first_ptr, mask=exists, other=0)
                last = tl.load(first_ptr + 1, mask=exists, other=0)
                cell = (w + place_x % X.TILE)[:, None] * Y.REACH + (h + place_y % Y.TILE)[None, :]
                for step in range(tl.max(last - first)):
                    window = (image * segments + first + step) * X.REACH * Y.REACH
                    total += tl.load(windows_ptr + window + cell, mask=first + step < last, other=0.0)
    tl.store(joint_ptr + (image * X.COUNT + k[:, None]) * Y.COUNT + m[None, :], total, mask=inside)
    if INFORMATION:
        total = tl.where(inside, total, 0.0)
        entropy = -tl.sum(total * log_or_zero(total))
        tl.store(rows_ptr + (image * blocks_y + block_y) * X.COUNT + k, tl.sum(total, 1), mask=k < X.COUNT)
        tl.store(columns_ptr + (image * blocks_x + block_x) * Y.COUNT + m, tl.sum(total, 0), mask=m < Y.COUNT)
        tl.store(entropies_ptr + image * blocks_x * blocks_y + block, entropy)


@triton.jit
def _edge_slope(total, p, entropy, information):
    """Gradient of the terms with respect to a marginal p, where the joint histogram's own sums are `total`."""
    slope = -information * (total / tl.where(p > 0, p, 1.0)) - entropy * (log_or_zero(p) + 1)
    return tl.where(p > 0, slope, 0.0)


@triton.jit
def _upstream(
    grad_ptr, joint_ptr, sums_ptr, image, tile_x, tile_y, first_x, first_y,
    X: tl.constexpr, Y: tl.constexpr, INFORMATION: tl.constexpr, EDGES: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """The upstream gradient in a span of a window, [SPAN, SPAN], and with EDGES those with respect to Eq. 5's histograms."""
    k = real_bin(tile_x, first_x + tl.arange(0, X.SPAN), X)
    m = real_bin(tile_y, first_y + tl.arange(0, Y.SPAN), Y)
    at = (image * X.COUNT + k[:, None]) * Y.COUNT + m[None, :]
    inside = (k >= 0)[:, None] & (m >= 0)[None, :]
    edge_x, edge_y = tl.zeros([X.SPAN], ACC), tl.zeros([Y.SPAN], ACC)
    if INFORMATION:
        joint = tl.load(joint_ptr + at, mask=inside, other=0.0)
        information, joint_entropy = tl.load(grad_ptr + image * 4).to(ACC), tl.load(grad_ptr + image * 4 + 1).to(ACC)
        entropy_x, entropy_y = tl.load(grad_ptr + image * 4 + 2).to(ACC), tl.load(grad_ptr + image * 4 + 3).to(ACC)
        sums_ptr += image * (2 * (X.COUNT + Y.COUNT))  # rows, columns, p, q
        rows, columns = tl.load(sums_ptr + k, mask=k >= 0, other=0.0), tl.load(sums_ptr + X.COUNT + m, mask=m >= 0, other=0.0)
        p = tl.load(sums_ptr + (X.COUNT + Y.COUNT) + k, mask=k >= 0, other=0.0)
        q = tl.load(sums_ptr + (2 * X.COUNT + Y.COUNT) + m, mask=m >= 0, other=0.0)
        gradient = (information - joint_entropy) * (log_or_zero(joint) + 1) - information * (
            log_or_zero(p)[:, None] + log_or_zero(q)[None, :]
        )
        gradient = tl.where(joint > 0, gradient, 0.0)
        edge_x = _edge_slope(rows, p, entropy_x, information)
        edge_y = _edge_slope(columns, q, entropy_y, information)
        if not EDGES:  # the marginals are the joint histogram's own sums
            gradient += tl.where(inside, edge_x[:, None] + edge_y[None, :], 0.0)
    else:
        gradient = tl.load(grad_ptr + at, mask=inside, other=0.0).to(ACC)
    return gradient, edge_x, edge_y


@triton.jit
def _backward_kernel(
    grad_ptr,  # (B, X.COUNT, Y.COUNT), with INFORMATION (B, 4)
    joint_ptr,  # (B, X.COUNT, Y.COUNT) if INFORMATION
    sums_ptr,  # (B, 2 * (X.COUNT + Y.COUNT)) if INFORMATION
    x_ptr,  # (B, N)
    y_ptr,  # (B, N)
    shares_ptr,  # (B, N) if WEIGHTED
    order_ptr,  # (B, width) int32
    grad_x_ptr,  # (B, N) if NEEDS_X
    grad_y_ptr,  # (B, N) if NEEDS_Y
    grad_shares_ptr,  # (B, N) if NEEDS_SHARES
    samples,
    width,
    segments,
    X: tl.constexpr,
    Y: tl.constexpr,
    PADDED: tl.constexpr,
    BLOCK: tl.constexpr,
    SEGMENT: tl.constexpr,
    WEIGHTED: tl.constexpr,
    INFORMATION: tl.constexpr,
    EDGES: tl.constexpr,
    NEEDS_X: tl.constexpr,
    NEEDS_Y: tl.constexpr,
    NEEDS_SHARES: tl.constexpr,
    ACC: tl.constexpr,
    PRECISION: tl.constexpr,
):
    image, segment = flat_program(segments)
    pairs: tl.constexpr = X.SLOTS * Y.SLOTS
    row_ptr = order_ptr + image * width
    if segment >= segments_of(row_ptr, pairs):
        return
    pair, place_ptr, count = segment_of(row_ptr, segment, pairs, PADDED, SEGMENT)
    for step in range(X.STEPS * Y.STEPS):
        _backward_span(
            grad_ptr, joint_ptr, sums_ptr, x_ptr, y_ptr, shares_ptr, place_ptr, grad_x_ptr, grad_y_ptr, grad_shares_ptr,
            image, pair // Y.SLOTS, pair % Y.SLOTS, step // Y.STEPS * X.SPAN, step % Y.STEPS * Y.SPAN, samples, count,
            X, Y, BLOCK, WEIGHTED, INFORMATION, EDGES, NEEDS_X, NEEDS_Y, NEEDS_SHARES, ACC, PRECISION,
        )  # fmt: skip


@triton.jit
def _backward_span(
    grad_ptr, joint_ptr, sums_ptr, x_ptr, y_ptr, shares_ptr, place_ptr, grad_x_ptr, grad_y_ptr, grad_shares_ptr,
    image, tile_x, tile_y, first_x, first_y, samples, count,
    X: tl.constexpr, Y: tl.constexpr, BLOCK: tl.constexpr, WEIGHTED: tl.constexpr, INFORMATION: tl.constexpr,
    EDGES: tl.constexpr, NEEDS_X: tl.constexpr, NEEDS_Y: tl.constexpr, NEEDS_SHARES: tl.constexpr,
    ACC: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """What one span of the window adds to the gradients of a segment's samples."""
    upstream, edge_x, edge_y = _upstream(
        grad_ptr, joint_ptr, sums_ptr, image, tile_x, tile_y, first_x, first_y, X, Y, INFORMATION, EDGES, ACC
    )
    upstream *= X.FACTOR * Y.FACTOR
    # each edge counts once, with the first span of the other axis
    edge_x = tl.where(first_y == 0, edge_x * X.FACTOR, 0.0)
    edge_y = tl.where(first_x == 0, edge_y * Y.FACTOR, 0.0)
    before = first_x + first_y
    for start in range(0, count, BLOCK):
        n, inside, u, rest_u, v, rest_v, sign_x, sign_y, share = _load_block(
            x_ptr, y_ptr, shares_ptr, place_ptr, image, samples, start, count, tile_x, tile_y, X, Y, BLOCK, WEIGHTED, ACC
        )
        p, slope_p = responses(u, rest_u, first_x, X, NEEDS_X)
        q, slope_q = responses(v, rest_v, first_y, Y, NEEDS_Y)
        if NEEDS_X or NEEDS_SHARES:
            along_x = tl.dot(upstream, q, input_precision=PRECISION, out_dtype=ACC)
            if EDGES:
                along_x += edge_x[:, None]
            if NEEDS_X:
                gradient = tl.sum(slope_p * along_x, axis=0) * (share * sign_x * (X.SLOPE_FACTOR / X.FACTOR))
                store_sum(grad_x_ptr + n, gradient, inside, before)
            if NEEDS_SHARES:
                gradient = tl.sum(p * along_x, axis=0)
                if EDGES:
                    gradient += tl.sum(q * edge_y[:, None], axis=0)
                store_sum(grad_shares_ptr + n, gradient, inside, before)
        if NEEDS_Y:
            along_y = tl.dot(tl.trans(upstream), p, input_precision=PRECISION, out_dtype=ACC)
            if EDGES:
                along_y += edge_y[:, None]
            gradient = tl.sum(slope_q * along_y, axis=0) * (share * sign_y * (Y.SLOPE_FACTOR / Y.FACTOR))
            store_sum(grad_y_ptr + n, gradient, inside, before)


def unserved(bins_x: Bins, bins_y: Bins, dtype: torch.dtype) -> str | None:
    """Why the kernels cannot serve these bins, None if they can."""
    if are_tiled(bins_x, bins_y, dtype):
        return too_many_tiles(make_axis(bins_x, dtype), make_axis(bins_y, dtype))
    return dense.too_wide(bins_x, dtype) or dense.too_wide(bins_y, dtype)


def order_width(samples: int, bins_x: Bins, bins_y: Bins, dtype: torch.dtype) -> int:
    """Length of an image's order, 0 where its samples are not ordered."""
    return width_of(samples, make_axis(bins_x, dtype), make_axis(bins_y, dtype)) if are_tiled(bins_x, bins_y, dtype) else 0


def are_tiled(bins_x: Bins, bins_y: Bins, dtype: torch.dtype) -> bool:
    """Whether samples are ordered by pairs of tiles; else every sample meets every bin."""
    return is_tiled(bins_x, dtype) and is_tiled(bins_y, dtype)


def forward(x: Tensor, y: Tensor, shares: Tensor | None, bins_x: Bins, bins_y: Bins) -> tuple[Tensor, Tensor]:
    """(B, N), (B, N) contiguous, not empty -> (B, Kx, Ky) and the samples' order, which is empty where every bin is met."""
    if not are_tiled(bins_x, bins_y, x.dtype):
        return dense.joint_forward(x, y, shares, bins_x, bins_y), x.new_empty(len(x), 0, dtype=torch.int32)
    axes = make_axis(bins_x, x.dtype), make_axis(bins_y, x.dtype)
    order = order_samples(x, y, *axes)
    windows, _ = fill_windows(x, y, shares, order, axes, edges=False)
    return fold_windows(windows, shares, order, axes, x.shape[1], information=False)[0], order


def fill_windows(
    x: Tensor, y: Tensor, shares: Tensor | None, order: Tensor, axes: tuple[Axis, Axis], edges: bool
) -> tuple[Tensor, Tensor | None]:
    """The windows of all segments, (B, segments, reach x, reach y), and with `edges` the sums of either response alone."""
    (batch, samples), (ax, ay) = x.shape, axes
    segments = most_segments(samples, ax, ay)
    windows = x.new_empty(batch, segments, ax.REACH, ay.REACH)
    sums = x.new_empty(batch, segments, ax.REACH + ay.REACH) if edges else None
    _forward_kernel[(batch * segments * ax.STEPS * ay.STEPS,)](
        x, y, shares, order, windows, sums, samples, order.shape[1], segments,
        ax.frozen, ay.frozen, triton.next_power_of_2(ax.SLOTS * ay.SLOTS), FORWARD_BLOCK, SEGMENT, WEIGHTED=shares is not None,
        EDGES=edges,
        ACC=accumulator(x), PRECISION=precision(x), num_warps=forward_warps(x.dtype, edges),
    )  # fmt: skip
    return windows, sums


def fold_windows(
    windows: Tensor, shares: Tensor | None, order: Tensor, axes: tuple[Axis, Axis], samples: int, information: bool
) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """The joint histogram, and with `information` partial row sums, column sums and entropies of its squares."""
    (ax, ay), (batch, segments) = axes, windows.shape[:2]
    blocks_x, blocks_y = triton.cdiv(ax.COUNT, FOLD), triton.cdiv(ay.COUNT, FOLD)
    joint = windows.new_empty(batch, ax.COUNT, ay.COUNT)
    rows = columns = entropies = None
    if information:
        rows, columns = windows.new_empty(batch, blocks_y, ax.COUNT), windows.new_empty(batch, blocks_x, ay.COUNT)
        entropies = windows.new_empty(batch, blocks_x * blocks_y)
    _fold_kernel[(batch * blocks_x * blocks_y,)](
        windows, order, shares, joint, rows, columns, entropies, samples, order.shape[1], segments, blocks_x, blocks_y,
        ax.frozen, ay.frozen, ax.images, ay.images, FOLD, WEIGHTED=shares is not None, INFORMATION=information,
        ACC=accumulator(windows), num_warps=1,
    )  # fmt: skip
    return joint, rows, columns, entropies


def backward(
    grad: Tensor, x: Tensor, y: Tensor, shares: Tensor | None, order: Tensor, bins_x: Bins, bins_y: Bins, needs: list[bool],
    information: tuple[Tensor, Tensor] | None = None, edges: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients with respect to x, y and shares, empty where not needed; all inputs contiguous and not empty.

    `grad` is that of the joint histogram; with `information`, the joint histogram and its sums, it is that of the four terms, and
    `edges` says that their marginals are Eq. 5's histograms.
    """
    if not are_tiled(bins_x, bins_y, x.dtype):
        return dense.joint_backward(grad, x, y, shares, bins_x, bins_y, needs)
    (batch, samples), ax, ay = x.shape, make_axis(bins_x, x.dtype), make_axis(bins_y, x.dtype)
    segments = most_segments(samples, ax, ay)
    grad_x, grad_y, grad_shares = (x.new_empty(x.shape if need else 0) for need in needs)
    joint, sums = information or (None, None)
    plain = shares is None and ax.SEPARABLE and ay.SEPARABLE and ax.STEPS * ay.STEPS == 1
    _backward_kernel[(batch * segments,)](
        grad, joint, sums, x, y, shares, order, grad_x, grad_y, grad_shares, samples, order.shape[1], segments,
        ax.frozen, ay.frozen, triton.next_power_of_2(ax.SLOTS * ay.SLOTS),
        backward_block(edges, needs[2]), SEGMENT,
        WEIGHTED=shares is not None, INFORMATION=information is not None, EDGES=edges, NEEDS_X=needs[0], NEEDS_Y=needs[1],
        NEEDS_SHARES=needs[2], ACC=accumulator(x), PRECISION=precision(x), num_warps=backward_warps(x.dtype, plain),
    )  # fmt: skip
    return grad_x, grad_y, grad_shares


def forward_warps(dtype: torch.dtype, edges: bool) -> int:
    """As few as hold the window on chip: more would each make all responses anew."""
    return 2 if edges or dtype == torch.float64 else 1


def backward_warps(dtype: torch.dtype, plain: bool) -> int:
    """Twice as many as `plain` ones need, where responses or weights take more registers."""
    return 2 if plain and dtype == torch.float32 else 4


def backward_block(edges: bool, needs_shares: bool) -> int:
    """Samples at a time: fewer where all gradients that there can be would not fit into registers."""
    return BACKWARD_BLOCK // 2 if edges and needs_shares else BACKWARD_BLOCK
