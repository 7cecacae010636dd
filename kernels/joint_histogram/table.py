"""Joint histogram of wide windows in Triton: moments of samples on pairs of cells, in whose order they are (order.py).

Forward, a pair's moments are sums of products of Chebyshev polynomials of its samples' places; the histogram is two products of
them with the windows' coefficients. Backward, the upstream gradient becomes a polynomial on every pair of cells, which samples
evaluate.
Derivation: README.md beside this file. Which windows: wide.py.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..common.bins import Bins
from ..common.jit.axis import Axis, make_cells_axis
from ..common.jit.boundaries import within_reach
from ..common.jit.cells import chebyshev, place_in
from ..common.jit.launch import Work, accumulator, kernel, launch, precision
from ..common.jit.numbers import number
from ..common.jit.programs import image_and_part, own_share
from ..common.jit.sizes import cdiv, next_power_of_2
from ..common.kept import kept_tensors
from .axes import CellsAxis
from .order import (
    MOST_PAIRS,
    has_placeless,
    most_segments,
    order_samples,
    segment_length,
    segment_of,
    segments_of,
)
from .wide import cells_for

#: samples at a time
BN = 32
#: rows, columns and depth of a block of a product, in float32; in float64 half as deep, to fit into shared memory
BM, BC, BD = 64, 64, 32


class Wide(NamedTuple):
    """Both axes as kernels and as torch have them."""

    axes: tuple[Axis, Axis]
    cells: tuple[CellsAxis, CellsAxis]


def wide_axes(bins_x: Bins, bins_y: Bins, x: Tensor, tiled: tuple[Axis, Axis] | None) -> Wide | None:
    """The cells for samples x (B, N) and others; None where tiles, or without them all bins, are less work."""
    squares = tiled and (tiled[0].STEPS * tiled[1].STEPS, tiled[0].SEPARABLE and tiled[1].SEPARABLE)
    found = cells_for(bins_x, bins_y, x.dtype, x.shape[1], squares, MOST_PAIRS)
    if found is None:
        return None
    both = list(zip(found, (bins_x, bins_y)))
    axes = tuple(make_cells_axis(bins, x.dtype, c.width, c.first, c.count, c.terms) for c, bins in both)
    return Wide(axes, tuple(c.axis(bins, x.dtype) for c, bins in both))


@triton.jit
def _load_block(
    x_ptr, y_ptr, shares_ptr, place_ptr, i_b, N, start, count, pair, ax, ay, X: tl.constexpr, Y: tl.constexpr, BN: tl.constexpr,
    WEIGHTED: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """A block of a segment's samples: where in (B, N), which exist, polynomials of their places [BN, TERMS], shares."""
    o_s = start + tl.arange(0, BN)
    m_s = o_s < count
    at = i_b * N + tl.load(place_ptr + o_s, mask=m_s, other=0)
    x = within_reach(tl.load(x_ptr + at, mask=m_s, other=0.0).to(ACC), ax, X)
    y = within_reach(tl.load(y_ptr + at, mask=m_s, other=0.0).to(ACC), ay, Y)
    share = own_share(N, WEIGHTED, ACC)
    if WEIGHTED:
        share = tl.load(shares_ptr + at, mask=m_s, other=0.0).to(ACC)
    p = chebyshev(place_in(x, pair // Y.SLOTS, ax, X), X.TERMS)
    q = chebyshev(place_in(y, pair % Y.SLOTS, ay, Y), Y.TERMS)
    return at, m_s, p, q, share


@kernel
def _moments_kernel(
    x_ptr,  # (B, N)
    y_ptr,  # (B, N)
    shares_ptr,  # (B, N) if WEIGHTED
    order_ptr,  # (B, WIDTH) int32
    parts_ptr,  # (B, NS, X.TERMS, Y.TERMS)
    N, WIDTH, NS, SEGMENT, ax, ay, X: tl.constexpr, Y: tl.constexpr, PADDED: tl.constexpr, BN: tl.constexpr,
    WEIGHTED: tl.constexpr, ACC: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Moments of a segment's samples."""
    i_b, i_s = image_and_part(NS)
    pairs: tl.constexpr = X.SLOTS * Y.SLOTS
    row_ptr = order_ptr + i_b * WIDTH
    if i_s >= segments_of(row_ptr, pairs):
        return
    pair, place_ptr, count = segment_of(row_ptr, i_s, SEGMENT, pairs, PADDED)
    moments = tl.zeros([X.TERMS, Y.TERMS], ACC)
    for start in range(0, count, BN):
        _at, m_s, p, q, share = _load_block(
            x_ptr, y_ptr, shares_ptr, place_ptr, i_b, N, start, count, pair, ax, ay, X, Y, BN, WEIGHTED, ACC
        )
        p *= tl.where(m_s, share, 0.0)[:, None]
        moments = tl.dot(tl.trans(p), q, acc=moments, input_precision=PRECISION, out_dtype=ACC)
    o_x, o_y = tl.arange(0, X.TERMS), tl.arange(0, Y.TERMS)
    at = ((i_b * NS + i_s) * X.TERMS + o_x)[:, None] * Y.TERMS + o_y[None, :]
    tl.store(parts_ptr + at, moments)


@kernel
def _pairs_kernel(
    parts_ptr,  # (B, NS, X.TERMS, Y.TERMS)
    order_ptr,  # (B, WIDTH) int32
    shares_ptr,  # (B, N) if WEIGHTED
    moments_ptr,  # (B, X.SLOTS * X.TERMS, Y.SLOTS * Y.TERMS)
    N, WIDTH, NS, X: tl.constexpr, Y: tl.constexpr, WEIGHTED: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """Moments of a pair of cells, those of its segments, added in float64, as an image of one colour has them all."""
    pairs: tl.constexpr = X.SLOTS * Y.SLOTS
    i_b, pair = image_and_part(pairs)
    row_ptr = order_ptr + i_b * WIDTH
    # a NaN sample makes the whole histogram NaN, as the dense formula does; a NaN weight makes all weights NaN
    bad = has_placeless(row_ptr, pairs)
    if WEIGHTED:
        share = tl.load(shares_ptr + i_b * N)
        bad = bad | (share != share)
    o_x, o_y = tl.arange(0, X.TERMS), tl.arange(0, Y.TERMS)
    total = tl.zeros([X.TERMS, Y.TERMS], ACC) + tl.where(bad, float("nan"), 0.0).to(ACC)
    first, last = tl.load(row_ptr + pairs + 1 + pair), tl.load(row_ptr + pairs + 2 + pair)
    for i_s in range(first, last):
        at = ((i_b * NS + i_s) * X.TERMS + o_x)[:, None] * Y.TERMS + o_y[None, :]
        total += tl.load(parts_ptr + at).to(ACC)
    row = (i_b * X.SLOTS + pair // Y.SLOTS) * X.TERMS + o_x
    column = pair % Y.SLOTS * Y.TERMS + o_y
    tl.store(moments_ptr + row[:, None] * (Y.SLOTS * Y.TERMS) + column[None, :], total.to(moments_ptr.dtype.element_ty))


@kernel
def _gradients_kernel(
    of_x_ptr,  # (B, X.SLOTS * X.TERMS, Y.SLOTS * Y.TERMS) if NEEDS_X: polynomials of the gradient with respect to x
    of_y_ptr,  # the same if NEEDS_Y
    of_shares_ptr,  # the same if NEEDS_SHARES
    x_ptr,  # (B, N)
    y_ptr,  # (B, N)
    shares_ptr,  # (B, N) if WEIGHTED
    order_ptr,  # (B, WIDTH) int32
    grad_x_ptr,  # (B, N) if NEEDS_X
    grad_y_ptr,  # (B, N) if NEEDS_Y
    grad_shares_ptr,  # (B, N) if NEEDS_SHARES
    N, WIDTH, NS, SEGMENT, ax, ay, X: tl.constexpr, Y: tl.constexpr, PADDED: tl.constexpr, BN: tl.constexpr,
    WEIGHTED: tl.constexpr, NEEDS_X: tl.constexpr, NEEDS_Y: tl.constexpr, NEEDS_SHARES: tl.constexpr, ACC: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Gradients of a segment's samples, polynomials at their places."""
    i_b, i_s = image_and_part(NS)
    pairs: tl.constexpr = X.SLOTS * Y.SLOTS
    row_ptr = order_ptr + i_b * WIDTH
    if i_s >= segments_of(row_ptr, pairs):
        return
    pair, place_ptr, count = segment_of(row_ptr, i_s, SEGMENT, pairs, PADDED)
    row = (i_b * X.SLOTS + pair // Y.SLOTS) * X.TERMS + tl.arange(0, X.TERMS)
    column = pair % Y.SLOTS * Y.TERMS + tl.arange(0, Y.TERMS)
    at_block = row[None, :] * (Y.SLOTS * Y.TERMS) + column[:, None]
    if NEEDS_X:
        of_x = tl.load(of_x_ptr + at_block) * (number(ax.SCALE) + number(ax.SCALE_LOW))
    if NEEDS_Y:
        of_y = tl.load(of_y_ptr + at_block) * (number(ay.SCALE) + number(ay.SCALE_LOW))
    if NEEDS_SHARES:
        of_shares = tl.load(of_shares_ptr + at_block)
    for start in range(0, count, BN):
        at, m_s, p, q, share = _load_block(
            x_ptr, y_ptr, shares_ptr, place_ptr, i_b, N, start, count, pair, ax, ay, X, Y, BN, WEIGHTED, ACC
        )
        if NEEDS_X:
            along = tl.dot(q, of_x, input_precision=PRECISION, out_dtype=ACC)
            tl.store(grad_x_ptr + at, tl.sum(p * along, 1) * share, mask=m_s)
        if NEEDS_Y:
            along = tl.dot(q, of_y, input_precision=PRECISION, out_dtype=ACC)
            tl.store(grad_y_ptr + at, tl.sum(p * along, 1) * share, mask=m_s)
        if NEEDS_SHARES:
            along = tl.dot(q, of_shares, input_precision=PRECISION, out_dtype=ACC)
            tl.store(grad_shares_ptr + at, tl.sum(p * along, 1), mask=m_s)


@kernel
def _product_kernel(
    left_ptr,  # (B or 1, M, D)
    right_ptr,  # (B or 1, D, C)
    product_ptr,  # (B, M, C)
    M, C, D, NM, NC,
    OF_LEFT, OF_RIGHT,  # numbers from one image's to the next one's, 0 if all have the same
    BM: tl.constexpr, BC: tl.constexpr, BD: tl.constexpr, ACC: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """A block of a matrix product; torch's own rounds as the process has chosen."""
    i_b, i_p = image_and_part(NM * NC)
    o_m, o_c = i_p // NC * BM + tl.arange(0, BM), i_p % NC * BC + tl.arange(0, BC)
    left_ptr += i_b * OF_LEFT
    right_ptr += i_b * OF_RIGHT
    total = tl.zeros([BM, BC], ACC)
    for start in range(0, D, BD):
        o_d = start + tl.arange(0, BD)
        left = tl.load(left_ptr + o_m[:, None] * D + o_d[None, :], mask=(o_m < M)[:, None] & (o_d < D)[None, :], other=0.0)
        right = tl.load(right_ptr + o_d[:, None] * C + o_c[None, :], mask=(o_d < D)[:, None] & (o_c < C)[None, :], other=0.0)
        total = tl.dot(left, right, acc=total, input_precision=PRECISION, out_dtype=ACC)
    place = (i_b * M + o_m)[:, None] * C + o_c[None, :]
    tl.store(product_ptr + place, total, mask=(o_m < M)[:, None] & (o_c < C)[None, :])


def _product(left: Tensor, right: Tensor, batch: int) -> Tensor:
    """(B or 1, M, D) times (B or 1, D, C): (B, M, C)."""
    (rows, depth), columns = left.shape[1:], right.shape[2]
    product, deep = left.new_empty(batch, rows, columns), BD // 2 if left.dtype == torch.float64 else BD
    blocks_m, blocks_c = cdiv(rows, BM), cdiv(columns, BC)
    launch(
        _product_kernel, batch * blocks_m * blocks_c, left, right, product, rows, columns, depth, blocks_m, blocks_c,
        left.stride(0) if len(left) > 1 else 0, right.stride(0) if len(right) > 1 else 0, BM=BM, BC=BC, BD=deep,
        ACC=accumulator(left.dtype), PRECISION=precision(left),
        work=Work("multiply-add", BM * BC * deep, product.numel() * depth),
    )  # fmt: skip
    return product


@kept_tensors(maxsize=64)
def _matrix(axis: CellsAxis, slopes: bool, turned: bool, dtype: torch.dtype, device: torch.device) -> Tensor:
    """What the numbers of all cells are of a gradient, (1, K, extent), or turned round."""
    matrix = axis.matrix(slopes, device).to(dtype)
    return (matrix.T if turned else matrix).contiguous().unsqueeze(0)


def _constants(x: Tensor, shares: Tensor | None, wide: Wide) -> dict[str, object]:
    """What both walks over segments have in common."""
    ax, ay = wide.axes
    return {
        "X": ax, "Y": ay, "PADDED": next_power_of_2(ax.SLOTS * ay.SLOTS), "BN": BN, "WEIGHTED": shares is not None,
        "ACC": accumulator(x.dtype), "PRECISION": precision(x), "work": Work("sample", BN, x.numel()), "warps": 1,
    }  # fmt: skip


def forward(x: Tensor, y: Tensor, shares: Tensor | None, wide: Wide) -> tuple[Tensor, Tensor]:
    """(B, N), (B, N) not empty -> (B, Kx, Ky) and the samples' order."""
    order = order_samples(x, y, wide.axes)
    moments = _moments(x, y, shares, order, wide)
    to_y = _matrix(wide.cells[1], False, True, x.dtype, x.device)
    joint = _product(_matrix(wide.cells[0], False, False, x.dtype, x.device), _product(moments, to_y, len(x)), len(x))
    return joint.clamp_min_(0), order  # polynomials may be off to either side


def _moments(x: Tensor, y: Tensor, shares: Tensor | None, order: Tensor, wide: Wide) -> Tensor:
    """Moments of all pairs of cells, (B, extent x, extent y)."""
    (batch, samples), (ax, ay), segments = x.shape, wide.axes, most_segments(x, wide.axes)
    parts = x.new_empty(batch, segments, ax.TERMS, ay.TERMS)
    launch(
        _moments_kernel, batch * segments, x, y, shares, order, parts, samples, order.shape[1], segments, segment_length(x),
        **_constants(x, shares, wide),
    )  # fmt: skip
    moments = x.new_empty(batch, ax.SLOTS * ax.TERMS, ay.SLOTS * ay.TERMS)
    launch(
        _pairs_kernel, batch * ax.SLOTS * ay.SLOTS, parts, order, shares, moments, samples, order.shape[1], segments, X=ax, Y=ay,
        WEIGHTED=shares is not None, ACC=tl.float64, warps=1, work=Work("moment", ax.TERMS * ay.TERMS, moments.numel()),
    )  # fmt: skip
    return moments


def backward(
    grad: Tensor, x: Tensor, y: Tensor, shares: Tensor | None, order: Tensor, wide: Wide, needs: list[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients with respect to x, y and shares along an order, empty where not needed."""
    (batch, samples), segments = x.shape, most_segments(x, wide.axes)
    grads = [x.new_empty(x.shape if need else 0) for need in needs]
    launch(
        _gradients_kernel, batch * segments, *_polynomials(grad, wide, needs), x, y, shares, order, *grads, samples,
        order.shape[1], segments, segment_length(x), **_constants(x, shares, wide), NEEDS_X=needs[0],
        NEEDS_Y=needs[1], NEEDS_SHARES=needs[2],
    )  # fmt: skip
    return tuple(grads)


def _polynomials(grad: Tensor, wide: Wide, needs: list[bool]) -> list[Tensor | None]:
    """Those of the gradients with respect to x, y and shares on all pairs of cells, (B, extent x, extent y); None if not needed."""
    along_y, found = {}, []
    for need, slopes_x, slopes_y in zip(needs, (True, False, False), (False, True, False)):
        if not need:
            found.append(None)
            continue
        if slopes_y not in along_y:
            along_y[slopes_y] = _product(grad, _matrix(wide.cells[1], slopes_y, False, grad.dtype, grad.device), len(grad))
        found.append(_product(_matrix(wide.cells[0], slopes_x, True, grad.dtype, grad.device), along_y[slopes_y], len(grad)))
    return found
