"""Contextual similarity in tiles of distances, made anew in every sweep by the same arithmetic. Formulas: ../contextual.py.

    rows        a program owns a block of rows and walks over the columns twice: minimum; sum of the affinities' numerators
    columns     a program owns a block of columns and walks over the rows: maximum of log p, and where     reduce="target" only
    matches     a program owns a block of rows and walks over the columns' winners, without distances: sums of q
    gradient    a program owns a block of rows (of columns) and some channels, and walks over the columns (rows): E times points

Programs write what they own: no atomics, every sum in a fixed order, and no grid depends on data. Squared distances are
|x|^2 + |y|^2 - 2 x y with the product on the matrix unit, in chunks of channels; the gradient of "l1" adds up in memory, channel by
channel, where only its own program writes.

A row's distribution is kept as its minimum m, 1 / s, log sum exp and mean t. Sums leave out the nearest column, whose numerator is
1: what a row that is sure of its neighbour gives to the others would vanish in the rounding of 1.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .axis import accumulator, precision

#: points that a program owns, channels of a product, and channels of a gradient that a program owns
BLOCK, CHUNK, WIDTH = 64, 16, 64
#: by metric: warps of a program, and points that a gradient takes at a time; the most for which nothing spills
WARPS, OTHERS = {"l2": 4, "l1": 8}, {"l2": 32, "l1": 16}
#: gradients of WIDTH channels at a time make every distance C / WIDTH times
MOST_CHANNELS = 1024


@triton.jit
def _distances(
    x_ptr, y_ptr, x_squares_ptr, y_squares_ptr, i, j, n, m, channels, METRIC: tl.constexpr, CHUNK: tl.constexpr, ACC: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Distances of rows i and columns j of a sample; points are (N, C) and (M, C), for "l1" (C, N) and (C, M). Indices beyond the
    last point repeat it, which needs no masks and changes no minimum or maximum."""
    i = tl.minimum(i, n - 1)
    j = tl.minimum(j, m - 1)
    tile = tl.zeros([i.shape[0], j.shape[0]], ACC)
    if METRIC == "l2":
        for start in range(0, channels, CHUNK):
            c = start + tl.arange(0, CHUNK)
            a = tl.load(x_ptr + i[:, None] * channels + c[None, :])
            b = tl.load(y_ptr + j[:, None] * channels + c[None, :])
            tile = tl.dot(a, tl.trans(b), acc=tile, input_precision=PRECISION, out_dtype=ACC)
        tile = tl.load(x_squares_ptr + i)[:, None] + tl.load(y_squares_ptr + j)[None, :] - 2 * tile
        tile = tl.maximum(tile, 0)
    else:
        for channel in range(channels):
            tile += tl.abs(tl.load(x_ptr + channel * n + i)[:, None] - tl.load(y_ptr + channel * m + j)[None, :])
    return tile


@triton.jit
def _rows_kernel(
    x_ptr,  # (B, N, C), for "l1" (B, C, N)
    y_ptr,  # (B, M, C), for "l1" (B, C, M)
    x_squares_ptr,  # (B, N) for "l2"
    y_squares_ptr,  # (B, M) for "l2"
    nearest_ptr,  # (B, N) int32
    minimum_ptr,  # (B, N)
    inverse_ptr,  # (B, N): 1 / s
    others_ptr,  # (B, N): numerators' sum but for the nearest column's
    moment_ptr,  # (B, N): sum of numerators times t
    n,
    m,
    channels,
    BANDWIDTH: tl.constexpr,
    EPS: tl.constexpr,
    METRIC: tl.constexpr,
    BLOCK: tl.constexpr,
    CHUNK: tl.constexpr,
    ACC: tl.constexpr,
    PRECISION: tl.constexpr,
):
    blocks = tl.cdiv(n, BLOCK)
    sample = (tl.program_id(0) // blocks).to(tl.int64)
    i = tl.program_id(0) % blocks * BLOCK + tl.arange(0, BLOCK)
    x_ptr += sample * n * channels
    y_ptr += sample * m * channels
    x_squares_ptr += sample * n
    y_squares_ptr += sample * m
    minimum = tl.full([BLOCK], float("inf"), ACC)
    nearest = tl.zeros([BLOCK], tl.int32)
    for start in range(0, m, BLOCK):
        j = start + tl.arange(0, BLOCK)
        d = _distances(x_ptr, y_ptr, x_squares_ptr, y_squares_ptr, i, j, n, m, channels, METRIC, CHUNK, ACC, PRECISION)
        low, place = tl.min(d, axis=1, return_indices=True)
        nearest = tl.where(low < minimum, start + place, nearest)
        minimum = tl.minimum(minimum, low)
    inverse = 1 / ((minimum + EPS) * BANDWIDTH)
    others = tl.zeros([BLOCK], ACC)
    moment = tl.zeros([BLOCK], ACC)
    for start in range(0, m, BLOCK):
        j = start + tl.arange(0, BLOCK)
        d = _distances(x_ptr, y_ptr, x_squares_ptr, y_squares_ptr, i, j, n, m, channels, METRIC, CHUNK, ACC, PRECISION)
        t = tl.maximum(d - minimum[:, None], 0)
        numerator = tl.where((j < m)[None, :] & (j[None, :] != nearest[:, None]), tl.exp(-t * inverse[:, None]), 0)
        others += tl.sum(numerator, axis=1)
        moment += tl.sum(numerator * t, axis=1)
    at = sample * n + i
    tl.store(nearest_ptr + at, nearest, mask=i < n)
    tl.store(minimum_ptr + at, minimum, mask=i < n)
    tl.store(inverse_ptr + at, inverse, mask=i < n)
    tl.store(others_ptr + at, others, mask=i < n)
    tl.store(moment_ptr + at, moment, mask=i < n)


@triton.jit
def _columns_kernel(
    x_ptr,
    y_ptr,
    x_squares_ptr,
    y_squares_ptr,
    minimum_ptr,  # (B, N)
    inverse_ptr,  # (B, N)
    log_sum_ptr,  # (B, N)
    winner_ptr,  # (B, M) int32
    strength_ptr,  # (B, M): log q
    n,
    m,
    channels,
    METRIC: tl.constexpr,
    BLOCK: tl.constexpr,
    CHUNK: tl.constexpr,
    ACC: tl.constexpr,
    PRECISION: tl.constexpr,
):
    blocks = tl.cdiv(m, BLOCK)
    sample = (tl.program_id(0) // blocks).to(tl.int64)
    j = tl.program_id(0) % blocks * BLOCK + tl.arange(0, BLOCK)
    x_ptr += sample * n * channels
    y_ptr += sample * m * channels
    x_squares_ptr += sample * n
    y_squares_ptr += sample * m
    strength = tl.full([BLOCK], float("-inf"), ACC)
    winner = tl.zeros([BLOCK], tl.int32)
    for start in range(0, n, BLOCK):
        i = start + tl.arange(0, BLOCK)
        d = _distances(x_ptr, y_ptr, x_squares_ptr, y_squares_ptr, i, j, n, m, channels, METRIC, CHUNK, ACC, PRECISION)
        log_p = _log_affinities(d, minimum_ptr, inverse_ptr, log_sum_ptr, sample * n + tl.minimum(i, n - 1))
        high, place = tl.max(log_p, axis=0, return_indices=True)
        winner = tl.where(high > strength, start + place, winner)
        strength = tl.maximum(strength, high)
    tl.store(winner_ptr + sample * m + j, winner, mask=j < m)
    tl.store(strength_ptr + sample * m + j, strength, mask=j < m)


@triton.jit
def _log_affinities(d, minimum_ptr, inverse_ptr, log_sum_ptr, at):
    """log p of distances whose rows' statistics lie at `at`."""
    t = tl.maximum(d - tl.load(minimum_ptr + at)[:, None], 0)
    return -t * tl.load(inverse_ptr + at)[:, None] - tl.load(log_sum_ptr + at)[:, None]


@triton.jit
def _matches_kernel(
    winner_ptr,  # (B, M) int32
    strength_ptr,  # (B, M)
    nearest_ptr,  # (B, N) int32
    inverse_ptr,  # (B, N)
    log_sum_ptr,  # (B, N)
    won_ptr,  # (B, N): sum of q over a row's matches
    away_ptr,  # (B, N): the same, but for a match with the nearest column
    away_moment_ptr,  # (B, N): sum of q t
    n,
    m,
    BLOCK: tl.constexpr,
    ACC: tl.constexpr,
):
    blocks = tl.cdiv(n, BLOCK)
    sample = (tl.program_id(0) // blocks).to(tl.int64)
    i = tl.program_id(0) % blocks * BLOCK + tl.arange(0, BLOCK)
    at = sample * n + i
    nearest = tl.load(nearest_ptr + at, mask=i < n, other=0)
    log_sum = tl.load(log_sum_ptr + at, mask=i < n, other=0.0)
    won = tl.zeros([BLOCK], ACC)
    away = tl.zeros([BLOCK], ACC)
    moment = tl.zeros([BLOCK], ACC)
    for start in range(0, m, BLOCK):
        j = start + tl.arange(0, BLOCK)
        winner = tl.load(winner_ptr + sample * m + j, mask=j < m, other=-1)
        strength = tl.load(strength_ptr + sample * m + j, mask=j < m, other=0.0)
        q = tl.where(winner[None, :] == i[:, None], tl.exp(strength)[None, :], 0)
        won += tl.sum(q, axis=1)
        q = tl.where(j[None, :] == nearest[:, None], 0, q)
        away += tl.sum(q, axis=1)
        moment -= tl.sum(q * (strength[None, :] + log_sum[:, None]), axis=1)  # t = -s log(p sum)
    tl.store(won_ptr + at, won, mask=i < n)
    tl.store(away_ptr + at, away, mask=i < n)
    inverse = tl.load(inverse_ptr + at, mask=i < n, other=1.0)
    tl.store(away_moment_ptr + at, moment / inverse, mask=i < n)


@triton.jit
def _gradient_kernel(
    x_ptr,
    y_ptr,
    x_squares_ptr,
    y_squares_ptr,
    winner_ptr,  # (B, M) int32 if MATCHED
    strength_ptr,  # (B, M) if MATCHED
    nearest_ptr,  # (B, N) int32
    minimum_ptr,  # (B, N)
    inverse_ptr,  # (B, N)
    log_sum_ptr,  # (B, N)
    of_p_ptr,  # (B, N): factor of p
    of_q_ptr,  # (B, N): factor of q
    at_nearest_ptr,  # (B, N): dL/dd at the nearest column
    grad_ptr,  # (B, N, C) of x, (B, M, C) of y; for "l1" (B, C, N), (B, C, M), zeros
    n,
    m,
    channels,
    OF_X: tl.constexpr,
    MATCHED: tl.constexpr,
    METRIC: tl.constexpr,
    BLOCK: tl.constexpr,
    OTHERS: tl.constexpr,
    CHUNK: tl.constexpr,
    WIDTH: tl.constexpr,
    ACC: tl.constexpr,
    PRECISION: tl.constexpr,
):
    parts = tl.cdiv(channels, WIDTH) if METRIC == "l2" else 1
    own_count = n if OF_X else m
    other_count = m if OF_X else n
    blocks = tl.cdiv(own_count, BLOCK)
    sample = (tl.program_id(0) // parts // blocks).to(tl.int64)
    own = tl.program_id(0) // parts % blocks * BLOCK + tl.arange(0, BLOCK)
    c = tl.program_id(0) % parts * WIDTH + tl.arange(0, WIDTH)
    x_ptr += sample * n * channels
    y_ptr += sample * m * channels
    x_squares_ptr += sample * n
    y_squares_ptr += sample * m
    own_ptr = x_ptr if OF_X else y_ptr
    other_ptr = y_ptr if OF_X else x_ptr
    grad_ptr += sample * own_count * channels
    products = tl.zeros([BLOCK, WIDTH], ACC)
    sums = tl.zeros([BLOCK], ACC)
    for start in range(0, other_count, OTHERS):
        other = start + tl.arange(0, OTHERS)
        i = own if OF_X else other
        j = other if OF_X else own
        row, column = sample * n + tl.minimum(i, n - 1), sample * m + tl.minimum(j, m - 1)
        of_p = tl.load(of_p_ptr + row)
        if tl.sum(tl.abs(of_p)) != 0:  # else none of the rows has won a column
            d = _distances(x_ptr, y_ptr, x_squares_ptr, y_squares_ptr, i, j, n, m, channels, METRIC, CHUNK, ACC, PRECISION)
            slope = tl.exp(_log_affinities(d, minimum_ptr, inverse_ptr, log_sum_ptr, row)) * of_p[:, None]
            if MATCHED:
                q = tl.load(of_q_ptr + row)[:, None] * tl.exp(tl.load(strength_ptr + column))[None, :]
                slope -= tl.where(tl.load(winner_ptr + column)[None, :] == i[:, None], q, 0)
            at_nearest = tl.load(nearest_ptr + row)[:, None] == j[None, :]
            slope = tl.where(at_nearest, tl.load(at_nearest_ptr + row)[:, None], slope)
            if not OF_X:
                slope = tl.trans(slope)
            slope = tl.where((other < other_count)[None, :], slope, 0)
            other = tl.minimum(other, other_count - 1)
            if METRIC == "l2":
                points = tl.load(other_ptr + other[:, None] * channels + c[None, :], mask=(c < channels)[None, :], other=0.0)
                products = tl.dot(slope, points, acc=products, input_precision=PRECISION, out_dtype=ACC)
                sums += tl.sum(slope, axis=1)
            else:
                for channel in range(channels):
                    a = tl.load(own_ptr + channel * own_count + own, mask=own < own_count, other=0.0)
                    b = tl.load(other_ptr + channel * other_count + other)
                    signed = tl.where(a[:, None] > b[None, :], slope, tl.where(a[:, None] < b[None, :], -slope, 0))
                    place = grad_ptr + channel * own_count + own
                    total = tl.load(place, mask=own < own_count, other=0.0) + tl.sum(signed, axis=1)
                    tl.store(place, total, mask=own < own_count)
                tl.debug_barrier()  # every thread of the program has stored before any loads again
    if METRIC == "l2":
        at = own[:, None] * channels + c[None, :]
        inside = (own < own_count)[:, None] & (c < channels)[None, :]
        tl.store(grad_ptr + at, 2 * (tl.load(own_ptr + at, mask=inside, other=0.0) * sums[:, None] - products), mask=inside)


def unserved(x: Tensor, y: Tensor) -> str | None:
    """Why the kernels cannot serve these points, None if they can."""
    channels, points = x.shape[-1], max(x.shape[-2], y.shape[-2])
    if channels > MOST_CHANNELS:
        return f"needs at most {MOST_CHANNELS} channels, got {channels}"
    if points * _padded(channels) >= 2**31:  # offsets within a sample are of 32 bits
        return f"needs samples of less than 2^31 numbers, got {points} points of {channels} channels"
    return None


def forward(
    x: Tensor, y: Tensor, bandwidth: float, eps: float, metric: str, reduce: str
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """(B, N, C), (B, M, C), not empty -> similarity (B,), winner and strength (B, M), nearest (B, N), rows (4, B, N)."""
    (batch, n, _), m = x.shape, y.shape[1]
    points, sizes, constants = _laid_out(x, y, metric)
    nearest = x.new_empty(batch, n, dtype=torch.int32)
    rows = x.new_empty(4, batch, n)
    minimum, inverse, others, moment = rows
    _rows_kernel[(batch * triton.cdiv(n, BLOCK),)](
        *points, nearest, *rows, *sizes, bandwidth, eps, BLOCK=BLOCK, **constants
    )  # fmt: skip
    moment /= 1 + others
    log_sum = others.log1p_()
    columns = m if reduce == "target" else 0
    winner, strength = x.new_empty(batch, columns, dtype=torch.int32), x.new_empty(batch, columns)
    if reduce == "target":
        _columns_kernel[(batch * triton.cdiv(m, BLOCK),)](
            *points, minimum, inverse, log_sum, winner, strength, *sizes, BLOCK=BLOCK, **constants
        )  # fmt: skip
    similarity = (strength if reduce == "target" else -log_sum).exp().mean(-1)
    return similarity, winner, strength, nearest, rows


def backward(
    grad: Tensor,
    x: Tensor,
    y: Tensor,
    winner: Tensor,
    strength: Tensor,
    nearest: Tensor,
    rows: Tensor,
    eps: float,
    metric: str,
    reduce: str,
    needs: list[bool],
) -> tuple[Tensor, Tensor]:
    """Gradients with respect to x and y, empty where not needed."""
    (batch, n, channels), m = x.shape, y.shape[1]
    points, sizes, constants = _laid_out(x, y, metric)
    factors = _factors(grad / (m if reduce == "target" else n), winner, strength, nearest, rows, eps, reduce)
    width = min(WIDTH, triton.next_power_of_2(_padded(channels)))
    grads = []
    for of_x, z in ((True, points[0]), (False, points[1])):
        if not needs[0 if of_x else 1]:
            grads.append(x.new_empty(0))
            continue
        slope = torch.empty_like(z) if metric == "l2" else torch.zeros_like(z)
        parts = triton.cdiv(z.shape[-1], width) if metric == "l2" else 1
        _gradient_kernel[(batch * triton.cdiv(n if of_x else m, BLOCK) * parts,)](
            *points, winner, strength, nearest, *rows[:3], *factors, slope, *sizes,
            OF_X=of_x, MATCHED=reduce == "target", BLOCK=BLOCK, OTHERS=OTHERS[metric], WIDTH=width, **constants,
        )  # fmt: skip
        grads.append((slope[..., :channels] if metric == "l2" else slope.mT).contiguous())
    return tuple(grads)


def _factors(
    share: Tensor, winner: Tensor, strength: Tensor, nearest: Tensor, rows: Tensor, eps: float, reduce: str
) -> tuple[Tensor, Tensor, Tensor]:
    """What p and q are multiplied by in each row, and dL/dd at its nearest column, (B, N) each."""
    minimum, inverse, log_sum, mean = rows
    if reduce == "target":
        won, away, away_moment = torch.empty_like(rows[:3])
        (batch, n), m = minimum.shape, winner.shape[1]
        _matches_kernel[(batch * triton.cdiv(n, BLOCK),)](
            winner, strength, nearest, inverse, log_sum, won, away, away_moment, n, m, BLOCK, accumulator(rows)
        )
    else:  # the match is the nearest column, whose p is 1 / sum
        won, away, away_moment = torch.exp(-log_sum), 0, 0
    scale = share.unsqueeze(-1) * inverse
    others = -won * torch.expm1(-log_sum) - away  # the sum of E over the other columns, and of E t over floor
    pull = (won * mean - away_moment) / (minimum + eps)
    return scale * won, scale, -scale * (others + pull)


def _padded(channels: int) -> int:
    """Channels of the points that the kernels read: whole chunks, so that distances load without masks."""
    return triton.cdiv(channels, CHUNK) * CHUNK


def _laid_out(x: Tensor, y: Tensor, metric: str) -> tuple[list[Tensor], tuple[int, int, int], dict[str, object]]:
    """Points as the kernels read them and their squares, N, M and channels, and the constants that all sweeps share."""
    if metric == "l2":
        pad = 0, _padded(x.shape[-1]) - x.shape[-1]
        x, y = (torch.nn.functional.pad(z, pad).contiguous() for z in (x, y))
        points, channels = [x, y, x.square().sum(-1), y.square().sum(-1)], x.shape[-1]
    else:  # looks at no squares
        points, channels = [x.mT.contiguous(), y.mT.contiguous(), x, y], x.shape[-1]
    constants = {"METRIC": metric, "CHUNK": CHUNK, "ACC": accumulator(x), "PRECISION": precision(x), "num_warps": WARPS[metric]}
    return points, (x.shape[1], y.shape[1], channels), constants
