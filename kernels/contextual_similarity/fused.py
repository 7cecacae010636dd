"""Contextual similarity in tiles of distances, made anew in every sweep by the same arithmetic. Formulas: README.md beside this
file.

rows        a program owns a block of rows and walks over the columns twice: minimum; sum of the affinities' numerators
columns     a program owns a block of columns and walks over the rows: maximum of log p, and where     reduce="target" only
matches     a program owns a block of rows and walks over the columns' winners, without distances: sums of q
gradient    a program owns a block of rows (of columns) and some channels, and walks over the columns (rows): E times points
"""

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..common.jit.launch import Work, accumulator, kernel, launch, precision
from ..common.jit.numbers import number, packed
from ..common.jit.programs import image_and_part
from ..common.jit.sizes import cdiv, next_power_of_2
from .portable import finite, spoilt

#: points that a program owns, channels of a product, and channels of a gradient that a program owns
BN, BC, WIDTH = 64, 16, 64
#: by metric: warps of a program, and points that a gradient takes at a time; the most for which nothing spills
WARPS, BO = {"product": 4, "l2": 8, "l1": 8}, {"product": 32, "l2": 16, "l1": 16}
#: gradients of WIDTH channels at a time make every distance C / WIDTH times
MOST_CHANNELS = 1024


class Numbers(NamedTuple):
    """What kernels are given when they run, see common/jit/numbers.py."""

    BANDWIDTH: Any
    EPS: Any


@triton.jit
def _of_sample(x_ptr, y_ptr, x_squares_ptr, y_squares_ptr, i_b, N, M, C):
    """The points of sample i_b, and their squares."""
    return x_ptr + i_b * N * C, y_ptr + i_b * M * C, x_squares_ptr + i_b * N, y_squares_ptr + i_b * M


@triton.jit
def _distances(
    x_ptr, y_ptr, x_squares_ptr, y_squares_ptr, o_n, o_m, N, M, C, METRIC: tl.constexpr, BC: tl.constexpr, ACC: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Distances of rows i and columns j of a sample; points are (C, N) and (C, M), for "product" (N, C) and (M, C). Indices beyond
    the last point repeat it, which needs no masks and changes no minimum or maximum."""
    o_n = tl.minimum(o_n, N - 1)
    o_m = tl.minimum(o_m, M - 1)
    tile = tl.zeros([o_n.shape[0], o_m.shape[0]], ACC)
    if METRIC == "product":
        for start in range(0, C, BC):
            o_c = start + tl.arange(0, BC)
            a = tl.load(x_ptr + o_n[:, None] * C + o_c[None, :])
            b = tl.load(y_ptr + o_m[:, None] * C + o_c[None, :])
            tile = tl.dot(a, tl.trans(b), acc=tile, input_precision=PRECISION, out_dtype=ACC)
        tile = tl.load(x_squares_ptr + o_n)[:, None] + tl.load(y_squares_ptr + o_m)[None, :] - 2 * tile
        tile = tl.maximum(tile, 0)
    else:
        for channel in range(C):
            difference = tl.load(x_ptr + channel * N + o_n)[:, None] - tl.load(y_ptr + channel * M + o_m)[None, :]
            tile += difference * difference if METRIC == "l2" else tl.abs(difference)
    return tile


@kernel
def _rows_kernel(
    x_ptr,  # (B, C, N), for "product" (B, N, C)
    y_ptr,  # (B, C, M), for "product" (B, M, C)
    x_squares_ptr,  # (B, N) for "product"
    y_squares_ptr,  # (B, M) for "product"
    nearest_ptr,  # (B, N) int32
    minimum_ptr,  # (B, N)
    inverse_ptr,  # (B, N): 1 / s
    others_ptr,  # (B, N): numerators' sum but for the nearest column's
    moment_ptr,  # (B, N): sum of numerators times t
    N, M, C, g, METRIC: tl.constexpr, BN: tl.constexpr, BC: tl.constexpr,
    ACC: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    i_b, i_n = image_and_part(tl.cdiv(N, BN))
    o_n = i_n * BN + tl.arange(0, BN)
    x_ptr, y_ptr, x_squares_ptr, y_squares_ptr = _of_sample(x_ptr, y_ptr, x_squares_ptr, y_squares_ptr, i_b, N, M, C)
    minimum = tl.full([BN], float("inf"), ACC)
    nearest = tl.zeros([BN], tl.int32)
    for start in range(0, M, BN):
        o_m = start + tl.arange(0, BN)
        d = _distances(x_ptr, y_ptr, x_squares_ptr, y_squares_ptr, o_n, o_m, N, M, C, METRIC, BC, ACC, PRECISION)
        low, place = tl.min(d, axis=1, return_indices=True)
        nearest = tl.where(low < minimum, start + place, nearest)
        minimum = tl.minimum(minimum, low)
    inverse = 1 / ((minimum + number(g.EPS)) * number(g.BANDWIDTH))
    others = tl.zeros([BN], ACC)
    moment = tl.zeros([BN], ACC)
    for start in range(0, M, BN):
        o_m = start + tl.arange(0, BN)
        d = _distances(x_ptr, y_ptr, x_squares_ptr, y_squares_ptr, o_n, o_m, N, M, C, METRIC, BC, ACC, PRECISION)
        t = tl.maximum(d - minimum[:, None], 0)
        numerator = tl.where((o_m < M)[None, :] & (o_m[None, :] != nearest[:, None]), tl.exp(-t * inverse[:, None]), 0)
        others += tl.sum(numerator, axis=1)
        moment += tl.sum(numerator * t, axis=1)
    at = i_b * N + o_n
    tl.store(nearest_ptr + at, nearest, mask=o_n < N)
    tl.store(minimum_ptr + at, minimum, mask=o_n < N)
    tl.store(inverse_ptr + at, inverse, mask=o_n < N)
    tl.store(others_ptr + at, others, mask=o_n < N)
    tl.store(moment_ptr + at, moment, mask=o_n < N)


@kernel
def _columns_kernel(
    x_ptr, y_ptr, x_squares_ptr, y_squares_ptr,
    minimum_ptr,  # (B, N)
    inverse_ptr,  # (B, N)
    log_sum_ptr,  # (B, N)
    winner_ptr,  # (B, M) int32
    strength_ptr,  # (B, M): log q
    N, M, C, METRIC: tl.constexpr, BN: tl.constexpr, BC: tl.constexpr, ACC: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    i_b, i_n = image_and_part(tl.cdiv(M, BN))
    o_m = i_n * BN + tl.arange(0, BN)
    x_ptr, y_ptr, x_squares_ptr, y_squares_ptr = _of_sample(x_ptr, y_ptr, x_squares_ptr, y_squares_ptr, i_b, N, M, C)
    strength = tl.full([BN], float("-inf"), ACC)
    winner = tl.zeros([BN], tl.int32)
    for start in range(0, N, BN):
        o_n = start + tl.arange(0, BN)
        d = _distances(x_ptr, y_ptr, x_squares_ptr, y_squares_ptr, o_n, o_m, N, M, C, METRIC, BC, ACC, PRECISION)
        log_p = _log_affinities(d, minimum_ptr, inverse_ptr, log_sum_ptr, i_b * N + tl.minimum(o_n, N - 1))
        high, place = tl.max(log_p, axis=0, return_indices=True)
        winner = tl.where(high > strength, start + place, winner)
        strength = tl.maximum(strength, high)
    tl.store(winner_ptr + i_b * M + o_m, winner, mask=o_m < M)
    tl.store(strength_ptr + i_b * M + o_m, strength, mask=o_m < M)


@triton.jit
def _log_affinities(d, minimum_ptr, inverse_ptr, log_sum_ptr, at):
    """log p of distances whose rows' statistics lie at `at`."""
    t = tl.maximum(d - tl.load(minimum_ptr + at)[:, None], 0)
    return -t * tl.load(inverse_ptr + at)[:, None] - tl.load(log_sum_ptr + at)[:, None]


@kernel
def _matches_kernel(
    winner_ptr,  # (B, M) int32
    strength_ptr,  # (B, M)
    nearest_ptr,  # (B, N) int32
    inverse_ptr,  # (B, N)
    log_sum_ptr,  # (B, N)
    won_ptr,  # (B, N): sum of q over a row's matches
    away_ptr,  # (B, N): the same, but for a match with the nearest column
    away_moment_ptr,  # (B, N): sum of q t
    N, M, BN: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    i_b, i_n = image_and_part(tl.cdiv(N, BN))
    o_n = i_n * BN + tl.arange(0, BN)
    at = i_b * N + o_n
    nearest = tl.load(nearest_ptr + at, mask=o_n < N, other=0)
    log_sum = tl.load(log_sum_ptr + at, mask=o_n < N, other=0.0)
    won = tl.zeros([BN], ACC)
    away = tl.zeros([BN], ACC)
    moment = tl.zeros([BN], ACC)
    for start in range(0, M, BN):
        o_m = start + tl.arange(0, BN)
        winner = tl.load(winner_ptr + i_b * M + o_m, mask=o_m < M, other=-1)
        strength = tl.load(strength_ptr + i_b * M + o_m, mask=o_m < M, other=0.0)
        q = tl.where(winner[None, :] == o_n[:, None], tl.exp(strength)[None, :], 0)
        won += tl.sum(q, axis=1)
        q = tl.where(o_m[None, :] == nearest[:, None], 0, q)
        away += tl.sum(q, axis=1)
        moment -= tl.sum(q * (strength[None, :] + log_sum[:, None]), axis=1)  # t = -s log(p sum)
    tl.store(won_ptr + at, won, mask=o_n < N)
    tl.store(away_ptr + at, away, mask=o_n < N)
    inverse = tl.load(inverse_ptr + at, mask=o_n < N, other=1.0)
    tl.store(away_moment_ptr + at, moment / inverse, mask=o_n < N)


@kernel
def _gradient_kernel(
    x_ptr, y_ptr, x_squares_ptr, y_squares_ptr,
    winner_ptr,  # (B, M) int32 if MATCHED
    strength_ptr,  # (B, M) if MATCHED
    nearest_ptr,  # (B, N) int32
    minimum_ptr,  # (B, N)
    inverse_ptr,  # (B, N)
    log_sum_ptr,  # (B, N)
    of_p_ptr,  # (B, N): factor of p
    of_q_ptr,  # (B, N): factor of q
    at_nearest_ptr,  # (B, N): dL/dd at the nearest column
    grad_ptr,  # (B, C, N) of x, (B, C, M) of y, zeros; for "product" (B, N, C), (B, M, C)
    N, M, C, OF_X: tl.constexpr, MATCHED: tl.constexpr, METRIC: tl.constexpr, BN: tl.constexpr, BO: tl.constexpr,
    BC: tl.constexpr, WIDTH: tl.constexpr, ACC: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    parts = tl.cdiv(C, WIDTH) if METRIC == "product" else 1
    OWN = N if OF_X else M
    OTHER = M if OF_X else N
    i_b, i_n = image_and_part(tl.cdiv(OWN, BN) * parts)
    o_own = i_n // parts * BN + tl.arange(0, BN)
    o_c = i_n % parts * WIDTH + tl.arange(0, WIDTH)
    x_ptr, y_ptr, x_squares_ptr, y_squares_ptr = _of_sample(x_ptr, y_ptr, x_squares_ptr, y_squares_ptr, i_b, N, M, C)
    own_ptr = x_ptr if OF_X else y_ptr
    other_ptr = y_ptr if OF_X else x_ptr
    grad_ptr += i_b * OWN * C
    products = tl.zeros([BN, WIDTH], ACC)
    sums = tl.zeros([BN], ACC)
    for start in range(0, OTHER, BO):
        o_other = start + tl.arange(0, BO)
        o_n = o_own if OF_X else o_other
        o_m = o_other if OF_X else o_own
        row, column = i_b * N + tl.minimum(o_n, N - 1), i_b * M + tl.minimum(o_m, M - 1)
        of_p = tl.load(of_p_ptr + row)
        if tl.sum(tl.abs(of_p)) != 0:  # else none of the rows has won a column
            d = _distances(x_ptr, y_ptr, x_squares_ptr, y_squares_ptr, o_n, o_m, N, M, C, METRIC, BC, ACC, PRECISION)
            slope = tl.exp(_log_affinities(d, minimum_ptr, inverse_ptr, log_sum_ptr, row)) * of_p[:, None]
            if MATCHED:
                q = tl.load(of_q_ptr + row)[:, None] * tl.exp(tl.load(strength_ptr + column))[None, :]
                slope -= tl.where(tl.load(winner_ptr + column)[None, :] == o_n[:, None], q, 0)
            at_nearest = tl.load(nearest_ptr + row)[:, None] == o_m[None, :]
            slope = tl.where(at_nearest, tl.load(at_nearest_ptr + row)[:, None], slope)
            if not OF_X:
                slope = tl.trans(slope)
            slope = tl.where((o_other < OTHER)[None, :], slope, 0)
            o_other = tl.minimum(o_other, OTHER - 1)
            if METRIC == "product":
                points = tl.load(other_ptr + o_other[:, None] * C + o_c[None, :], mask=(o_c < C)[None, :], other=0.0)
                products = tl.dot(slope, points, acc=products, input_precision=PRECISION, out_dtype=ACC)
                sums += tl.sum(slope, axis=1)
            else:
                for channel in range(C):
                    a = tl.load(own_ptr + channel * OWN + o_own, mask=o_own < OWN, other=0.0)
                    b = tl.load(other_ptr + channel * OTHER + o_other)
                    difference = a[:, None] - b[None, :]
                    if METRIC == "l2":
                        signed = 2 * slope * difference
                    else:
                        signed = tl.where(difference > 0, slope, tl.where(difference < 0, -slope, 0))
                    place = grad_ptr + channel * OWN + o_own
                    total = tl.load(place, mask=o_own < OWN, other=0.0) + tl.sum(signed, axis=1)
                    tl.store(place, total, mask=o_own < OWN)
                tl.debug_barrier()  # every thread of the program has stored before any loads again
    if METRIC == "product":
        at = o_own[:, None] * C + o_c[None, :]
        inside = (o_own < OWN)[:, None] & (o_c < C)[None, :]
        tl.store(grad_ptr + at, 2 * (tl.load(own_ptr + at, mask=inside, other=0.0) * sums[:, None] - products), mask=inside)


def unserved(x: Tensor, y: Tensor, *_: object) -> str | None:
    """Why the kernels cannot serve these points, None if they can."""
    channels, points = x.shape[-1], max(x.shape[-2], y.shape[-2])
    if channels > MOST_CHANNELS:
        return f"needs at most {MOST_CHANNELS} channels, got {channels}"
    if points * _padded(channels) >= 2**31:  # offsets within a sample are of 32 bits
        return f"needs samples of less than 2^31 numbers, got {points} points of {channels} channels"
    return None


def kept(x: Tensor, y: Tensor, bandwidth: float, eps: float, metric: str, reduce: str) -> list[Tensor]:
    """Winner and strength of columns (B, M), nearest column of rows (B, N), and four statistics of rows (4, B, N)."""
    (batch, n, _), columns = x.shape, y.shape[1] if reduce == "target" else 0
    winner, nearest = (x.new_empty(batch, size, dtype=torch.int32) for size in (columns, n))
    return [winner, x.new_empty(batch, columns), nearest, x.new_empty(4, batch, n)]


def forward(x: Tensor, y: Tensor, bandwidth: float, eps: float, metric: str, reduce: str) -> tuple[Tensor, ...]:
    """(B, N, C), (B, M, C), not empty -> similarity (B,) and what is kept."""
    winner, strength, nearest, rows = kept(x, y, bandwidth, eps, metric, reduce)
    (batch, n, _), m = x.shape, y.shape[1]
    points, sizes, constants = _laid_out(x, y, metric)
    minimum, inverse, others, moment = rows
    launch(
        _rows_kernel, batch * cdiv(n, BN), *points, nearest, *rows, *sizes,
        Numbers(*packed([bandwidth, eps], x.dtype)), **constants,
        work=_work(batch * n * m * sizes[2]),
    )  # fmt: skip
    moment /= 1 + others
    log_sum = others.log1p_()
    if reduce == "target":
        launch(
            _columns_kernel, batch * cdiv(m, BN), *points, minimum, inverse, log_sum, winner, strength, *sizes, **constants,
            work=_work(batch * n * m * sizes[2]),
        )  # fmt: skip
    similarity = (strength if reduce == "target" else -log_sum).exp().mean(-1)
    return similarity.masked_fill_(~finite(x, y), torch.nan), winner, strength, nearest, rows


def backward(
    grad: Tensor, x: Tensor, y: Tensor, winner: Tensor, strength: Tensor, nearest: Tensor, rows: Tensor, bandwidth: float,
    eps: float, metric: str, reduce: str, needs: list[bool],
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Gradients with respect to x and y, empty where not needed."""
    (batch, n, channels), m = x.shape, y.shape[1]
    points, sizes, constants = _laid_out(x, y, metric)
    factors = _factors(grad / (m if reduce == "target" else n), winner, strength, nearest, rows, eps, reduce)
    width = min(WIDTH, next_power_of_2(_padded(channels)))
    grads = []
    for of_x, z in ((True, points[0]), (False, points[1])):
        if not needs[0 if of_x else 1]:
            grads.append(x.new_empty(0))
            continue
        slope = torch.empty_like(z) if metric == "product" else torch.zeros_like(z)
        parts = cdiv(z.shape[-1], width) if metric == "product" else 1
        launch(
            _gradient_kernel, batch * cdiv(n if of_x else m, BN) * parts, *points, winner, strength, nearest, *rows[:3],
            *factors, slope, *sizes, OF_X=of_x, MATCHED=reduce == "target", BO=BO[metric], WIDTH=width, **constants,
            work=_work(batch * n * m * sizes[2] * parts),
        )  # fmt: skip
        grads.append((slope[..., :channels] if metric == "product" else slope.mT).contiguous())
    return spoilt(tuple(grads), x, y)


def _factors(
    share: Tensor, winner: Tensor, strength: Tensor, nearest: Tensor, rows: Tensor, eps: float, reduce: str
) -> tuple[Tensor, Tensor, Tensor]:
    """What p and q are multiplied by in each row, and dL/dd at its nearest column, (B, N) each."""
    minimum, inverse, log_sum, mean = rows
    if reduce == "target":
        won, away, away_moment = torch.empty_like(rows[:3])
        (batch, n), m = minimum.shape, winner.shape[1]
        launch(
            _matches_kernel, batch * cdiv(n, BN), winner, strength, nearest, inverse, log_sum, won, away, away_moment, n, m,
            BN=BN, ACC=accumulator(rows.dtype), work=Work("row", BN, batch * n),
        )  # fmt: skip
    else:  # the match is the nearest column, whose p is 1 / sum
        won, away, away_moment = torch.exp(-log_sum), 0, 0
    scale = share.unsqueeze(-1) * inverse
    others = -won * torch.expm1(-log_sum) - away  # the sum of E over the other columns, and of E t over floor
    pull = (won * mean - away_moment) / (minimum + eps)
    return scale * won, scale, -scale * (others + pull)


def _padded(channels: int) -> int:
    """Channels of the points that the kernels read: whole chunks, so that distances load without masks."""
    return cdiv(channels, BC) * BC


def _work(total: int) -> Work:
    """Of a sweep: channels of pairs."""
    return Work("channel", BN * BC, total)


def _laid_out(x: Tensor, y: Tensor, metric: str) -> tuple[list[Tensor], tuple[int, int, int], dict[str, object]]:
    """Points as the kernels read them and their squares, N, M and channels, and the constants that all sweeps share."""
    if metric == "product":
        pad = 0, _padded(x.shape[-1]) - x.shape[-1]
        x, y = (torch.nn.functional.pad(z, pad).contiguous() for z in (x, y))
        points, channels = [x, y, x.square().sum(-1), y.square().sum(-1)], x.shape[-1]
    else:  # looks at no squares
        points, channels = [x.mT.contiguous(), y.mT.contiguous(), x, y], x.shape[-1]
    constants = {
        "METRIC": metric, "BN": BN, "BC": BC, "ACC": accumulator(x.dtype), "PRECISION": precision(x), "warps": WARPS[metric],
    }  # fmt: skip
    return points, (x.shape[1], y.shape[1], channels), constants
