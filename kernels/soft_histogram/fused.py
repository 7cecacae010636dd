"""Soft histogram in Triton, without sort or atomics; every sum has a fixed order. Derivation: README.md beside this file.

Few bins and wide windows: dense.py.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..common.bins import Bins
from ..common.jit.axis import SPAN, Axis, is_tiled, make_axis
from ..common.jit.boundaries import distance, extended_bin, extended_tile, folded_bins, real_bin, tile_of
from ..common.jit.launch import Work, accumulator, kernel, launch, precision
from ..common.jit.numbers import number
from ..common.jit.programs import image_and_part, load_samples, own_share, store_sum
from ..common.jit.responses import reach_responses
from ..common.jit.sizes import cdiv, next_power_of_2
from . import dense, table
from .table import table_grid

#: samples at a time for each warp; bins that a program of the fold has
BN, FOLD = 32, 64
#: programs wanted in all, some waves of them on the largest GPUs
PROGRAMS = 4096
#: the most tiles whose reaches a program holds; groups of more are other programs
MOST_TILES = 128


@kernel
def _forward_kernel(
    x_ptr,  # (B, N)
    shares_ptr,  # (B, N) if WEIGHTED
    sums_ptr,  # (B, NP, A.REACH * BT * GROUPS + 1): the last is 0, or NaN if a sample or share is
    N, NP, a, A: tl.constexpr, BT: tl.constexpr, GROUPS: tl.constexpr, BN: tl.constexpr, WEIGHTED: tl.constexpr, ACC: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    i_b, i_p = image_and_part(NP * (A.STEPS * GROUPS))
    first, i_g = i_p % A.STEPS * A.SPAN, i_p // A.STEPS % GROUPS
    i_p = i_p // (A.STEPS * GROUPS)
    o_t = i_g * BT + tl.arange(0, BT)
    sums, bad = tl.zeros([A.SPAN, BT], ACC), tl.zeros([BN], ACC)
    for start in range(i_p * BN, N, NP * BN):
        o_n = start + tl.arange(0, BN)
        x = load_samples(x_ptr, i_b, o_n, N, ACC)
        tile = tile_of(x, a, A)
        u, rest, _ = distance(x, tile, a, A)
        value, _ = reach_responses(u, rest, first, a, A, False)
        bad += u * 0  # NaN for NaN, else 0
        if WEIGHTED:
            share = load_samples(shares_ptr, i_b, o_n, N, ACC)
            bad += share * 0
            value *= share[None, :]  # 0 beyond the last sample
        else:
            tile = tl.where(o_n < N, tile, -1)
        one_hot = o_t[None, :] == tile[:, None]
        sums = tl.dot(value, one_hot.to(ACC), acc=sums, input_precision=PRECISION, out_dtype=ACC)
    sums = (sums * number(a.FACTOR) + sums * number(a.FACTOR_LOW)) * own_share(N, WEIGHTED, ACC)
    # i_b * NP + i_p, which the loop need not keep
    sums_ptr += (tl.program_id(0) // (A.STEPS * GROUPS)).to(tl.int64) * (A.REACH * BT * GROUPS + 1)
    tl.store(sums_ptr + (first + tl.arange(0, A.SPAN))[:, None] * (BT * GROUPS) + o_t[None, :], sums)
    if (first == 0) & (i_g == 0):
        tl.store(sums_ptr + A.REACH * BT * GROUPS, tl.sum(bad))


@triton.jit
def folded(
    sums_ptr, i_b, o_k, A: tl.constexpr, FOLDED: tl.constexpr, BT: tl.constexpr, ACC: tl.constexpr
):  # fmt: skip
    """Bins o_k of an image's histogram, each the sum of its places in all reaches."""
    sums_ptr += i_b * (A.REACH * BT + 1)
    total = tl.zeros(o_k.shape, ACC) + tl.load(sums_ptr + A.REACH * BT)
    for i_m in range(FOLDED):
        place = extended_bin(o_k, i_m, A)
        if tl.max(place) >= 0:  # most bins are far from the ends of the range
            for back in range(A.REACH // A.TILE):
                tile, first = extended_tile(place // A.TILE, back, A)
                exists = (o_k < A.K) & (place >= 0) & (tile >= 0)
                total += tl.load(sums_ptr + (first + place % A.TILE) * BT + tile, mask=exists, other=0.0)
    return total


@kernel
def _fold_kernel(
    sums_ptr,  # (B, A.REACH * BT + 1)
    histogram_ptr,  # (B, A.K)
    NK, A: tl.constexpr, FOLDED: tl.constexpr, BT: tl.constexpr, BK: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    i_b, i_k = image_and_part(NK)
    o_k = i_k * BK + tl.arange(0, BK)
    total = folded(sums_ptr, i_b, o_k, A, FOLDED, BT, ACC)
    tl.store(histogram_ptr + i_b * A.K + o_k, total, mask=o_k < A.K)


@triton.jit
def _centered(grad_ptr, k, A: tl.constexpr, BT: tl.constexpr, SLOPES_ONLY: tl.constexpr):
    """A gradient in two parts at bins k [SPAN, BT], less its value at the tile's centre where that changes nothing.

    It changes nothing for gradients with respect to samples whose responses sum to a constant; what is left is small, and keeps its
    digits.
    """
    gradient = tl.load(grad_ptr + k, mask=k >= 0, other=0.0)
    rest = tl.load(grad_ptr + A.K + k, mask=k >= 0, other=0.0)
    if SLOPES_ONLY and A.EVEN_SUM:
        o_t = tl.arange(0, BT)
        center = real_bin(o_t, A.REACH // 2, A)
        m_t = center >= 0
        if A.BOUNDARY != "circular":  # near the ends bins are dropped, or samples lie outside
            m_t = m_t & (o_t > 0) & (o_t < A.TILES - 1)
        gradient -= tl.load(grad_ptr + center, mask=m_t, other=0.0)[None, :]
        rest -= tl.load(grad_ptr + A.K + center, mask=m_t, other=0.0)[None, :]
    return gradient + rest


@kernel
def _backward_kernel(
    grad_ptr,  # (B, A.K), or (B, 2, A.K) if IN_TWO: rounded, and what rounding left
    scale_ptr,  # (B,) if IN_TWO: what an image's gradient is to be multiplied by
    x_ptr,  # (B, N)
    shares_ptr,  # (B, N) if WEIGHTED
    grad_x_ptr,  # (B, N) if NEEDS_X
    grad_shares_ptr,  # (B, N) if NEEDS_SHARES
    N, NP, a, A: tl.constexpr, BT: tl.constexpr, BN: tl.constexpr, IN_TWO: tl.constexpr, WEIGHTED: tl.constexpr,
    NEEDS_X: tl.constexpr, NEEDS_SHARES: tl.constexpr, ACC: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    i_b, i_p = image_and_part(NP)
    o_t = tl.arange(0, BT)
    for i_s in range(A.STEPS):  # what one span of the reach adds
        first = i_s * A.SPAN
        k = real_bin(o_t[None, :], (first + tl.arange(0, A.SPAN))[:, None], A)
        if IN_TWO:
            upstream = _centered(grad_ptr + i_b * 2 * A.K, k, A, BT, not NEEDS_SHARES) * tl.load(scale_ptr + i_b).to(ACC)
        else:
            upstream = tl.load(grad_ptr + i_b * A.K + k, mask=k >= 0, other=0.0).to(ACC)
        upstream *= number(a.FACTOR)
        for start in range(i_p * BN, N, NP * BN):
            o_n = start + tl.arange(0, BN)
            x = load_samples(x_ptr, i_b, o_n, N, ACC)
            tile = tile_of(x, a, A)
            u, rest, sign = distance(x, tile, a, A)
            value, slope = reach_responses(u, rest, first, a, A, NEEDS_X)
            one_hot = (o_t[:, None] == tile[None, :]).to(ACC)
            column = tl.dot(upstream, one_hot, input_precision=PRECISION, out_dtype=ACC)
            if NEEDS_X:
                share = own_share(N, WEIGHTED, ACC)
                if WEIGHTED:
                    share = load_samples(shares_ptr, i_b, o_n, N, ACC)
                gradient = tl.sum(column * slope, axis=0) * (share * sign * number(a.SLOPE))
                store_sum(grad_x_ptr + i_b * N + o_n, gradient, o_n < N, first)
            if NEEDS_SHARES:
                store_sum(grad_shares_ptr + i_b * N + o_n, tl.sum(column * value, axis=0), o_n < N, first)


def held_by_one(bins: Bins, dtype: torch.dtype) -> bool:
    """Whether bins are cut into tiles, and so few that a program holds what they reach."""
    return is_tiled(bins, dtype) and padded_tiles(make_axis(bins, dtype)) <= MOST_TILES


def unserved(x: Tensor, shares: Tensor | None, bins: Bins) -> str | None:
    """Why the kernels cannot serve these bins, None if they can."""
    return None if is_tiled(bins, x.dtype) else dense.too_wide(bins, x.dtype)


def forward(x: Tensor, shares: Tensor | None, bins: Bins) -> Tensor:
    """(B, N) not empty -> (B, K)."""
    if not is_tiled(bins, x.dtype):
        return dense.forward(x, shares, bins)
    axis, blocks = make_axis(bins, x.dtype), cdiv(bins.count, FOLD)
    sums = fill_sums(x, shares, axis)
    histogram = x.new_empty(len(x), bins.count)
    launch(
        _fold_kernel, len(x) * blocks, sums, histogram, blocks, A=axis, FOLDED=folded_bins(axis), BT=padded_tiles(axis), BK=FOLD,
        ACC=accumulator(x.dtype), work=Work("bin", FOLD, histogram.numel()),
    )  # fmt: skip
    return histogram


def fill_sums(x: Tensor, shares: Tensor | None, axis: Axis) -> Tensor:
    """What every image adds to the reaches of all tiles, and 0 or NaN, (B, REACH * BT + 1)."""
    (batch, samples), tiles, parts = x.shape, padded_tiles(axis), _parts(x)
    held, groups = min(tiles, MOST_TILES), cdiv(tiles, MOST_TILES)
    if groups > 1:  # the parts' sums take no more memory than the samples
        parts = min(parts, max(samples // (axis.REACH * tiles), 1))
    sums = x.new_empty(batch, parts, axis.REACH * tiles + 1)
    launch(
        _forward_kernel, batch * parts * axis.STEPS * groups, x, shares, sums, samples, parts, A=axis, BT=held, GROUPS=groups,
        BN=BN, WEIGHTED=shares is not None, ACC=accumulator(x.dtype), PRECISION=precision(x), warps=_warps(held, axis, x.dtype),
        work=Work("sample", BN, x.numel() * axis.STEPS * groups),
    )  # fmt: skip
    return sums.sum(1)


def backward(grad: Tensor, x: Tensor, shares: Tensor | None, bins: Bins, needs: list[bool]) -> tuple[Tensor, Tensor]:
    """Gradients with respect to x and shares, empty where not needed."""
    if table_grid(bins, x) is None and not held_by_one(bins, x.dtype):
        return dense.backward(grad, x, shares, bins, needs)
    return backward_scaled(grad, None, x, shares, bins, needs)


def backward_scaled(
    grad: Tensor, scale: Tensor | None, x: Tensor, shares: Tensor | None, bins: Bins, needs: list[bool]
) -> tuple[Tensor, Tensor]:
    """The same for bins that one program holds, or of which there is a table. With `scale` (B,), a factor of each image's gradient,
    `grad` comes in two parts, (B, 2, K): rounded, and what rounding left."""
    grid = table_grid(bins, x)
    if grid is not None:
        return table.backward(grad, scale, x, shares, bins, grid, needs)
    axis, parts = make_axis(bins, x.dtype), _parts(x)
    grad_x, grad_shares = (x.new_empty(x.shape if need else 0) for need in needs)
    launch(
        _backward_kernel, len(x) * parts, grad, scale, x, shares, grad_x, grad_shares, x.shape[1], parts, A=axis,
        BT=padded_tiles(axis), BN=BN, IN_TWO=scale is not None, WEIGHTED=shares is not None, NEEDS_X=needs[0],
        NEEDS_SHARES=needs[1], ACC=accumulator(x.dtype), PRECISION=precision(x), warps=_warps(padded_tiles(axis), axis, x.dtype),
        work=Work("sample", BN, x.numel() * axis.STEPS),
    )  # fmt: skip
    return grad_x, grad_shares


def _parts(x: Tensor) -> int:
    """How many programs share an image."""
    return min(cdiv(x.shape[1], 4 * BN), cdiv(PROGRAMS, len(x)))


def padded_tiles(axis: Axis) -> int:
    """The tiles, padded to what a matrix product takes, or to whole groups."""
    return max(16, min(next_power_of_2(axis.SLOTS), cdiv(axis.SLOTS, MOST_TILES) * MOST_TILES))


def _warps(tiles: int, axis: Axis, dtype: torch.dtype) -> int:
    """One for 1,024 cells of float32 on chip, 32 registers of each thread; or two."""
    return max(SPAN * tiles * dtype.itemsize // 4096, 2 if axis.HEAVY else 1)
