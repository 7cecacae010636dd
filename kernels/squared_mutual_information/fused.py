"""rSMI in Triton: all moments of a pair of images by one matrix product, gradients by three small ones. Derivation: README.md
beside this file.

Every moment is the mean of a product of a *feature* of x and one of y: q_0 to q_{2m-2}, K_0 to K_{m-1}, and 1, which are all
exp2(rate_w (x - position_w)^2). A program takes a part of an image's samples and adds up features(x) features(y)' on the matrix
unit.
"""

import functools
import math
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..common.jit.axis import upper_part
from ..common.jit.constants import Constants
from ..common.jit.launch import Work, accumulator, kernel, launch, precision
from ..common.jit.numbers import as_given, number, packed
from ..common.jit.programs import image_and_part, load_samples
from ..common.jit.sizes import cdiv, next_power_of_2
from .estimator import SINGLE, Estimator, Grid, Moments, solve
from .portable import kept, without_outside

__all__ = ["backward", "forward", "kept", "unserved"]

#: centres whose features a matrix product has room for
MOST_CENTERS = 21
#: programs wanted in all, some waves of them on the largest GPUs
PROGRAMS = 2048
#: fewest and most samples of a program: sums are to be small beside samples, and rounding small
SHORTEST, LONGEST = 512, 2048


class Numbers(NamedTuple):
    """What kernels are given of the centres when they run, see common/jit/numbers.py."""

    #: positions are FIRST + FIRST_LOW + n * (HALF + HALF_LOW), n half steps from the lowest centre
    FIRST: Any
    FIRST_LOW: Any
    HALF: Any
    HALF_LOW: Any
    #: a kernel is exp2(RATE * distance^2)
    RATE: Any
    #: samples outside are taken to lie here
    LOWEST: Any
    HIGHEST: Any


class _Fields(NamedTuple):
    """See Centers."""

    M: int
    #: features and centres, padded to powers of two
    WIDTH: int
    PADDED: int
    #: whether no position needs its second part
    EXACT: bool
    #: None in a kernel, which has them as an argument of its own
    NUMBERS: Numbers | None


class Centers(Constants, _Fields):
    """Centres and features, compile-time constants of the kernels, and numbers."""


@functools.lru_cache(maxsize=1024)
def make_centers(estimator: Estimator, dtype: torch.dtype) -> Centers:
    """The centres of kernels that compute in this dtype."""
    m, first, half = estimator.centers, estimator.first, estimator.step / 2
    high_first, high_half = (as_given(upper_part(value), dtype) for value in (first, half))
    numbers = Numbers(
        FIRST=high_first,
        FIRST_LOW=first - high_first,
        HALF=high_half,
        HALF_LOW=half - high_half,
        RATE=estimator.rate * math.log2(math.e),
        LOWEST=estimator.bounds[0],
        HIGHEST=estimator.bounds[1],
    )
    return Centers(
        M=m,
        WIDTH=max(32, next_power_of_2(3 * m)),
        PADDED=max(16, next_power_of_2(m)),
        EXACT=all(upper_part(first + n * half) == first + n * half for n in range(2 * m - 1)),
        NUMBERS=Numbers(*packed(numbers, dtype)),
    )


@triton.jit
def _load(x_ptr, i_b, o_n, N, g, ACC: tl.constexpr):
    """Samples, those outside brought to where the estimator has them; NaN stays."""
    x = load_samples(x_ptr, i_b, o_n, N, ACC)
    x = tl.maximum(x, number(g.LOWEST), tl.PropagateNan.ALL)
    return tl.minimum(x, number(g.HIGHEST), tl.PropagateNan.ALL)


@triton.jit
def _subtract(x, high, low, G: tl.constexpr):
    """x - (high + low)."""
    distance = x - high
    if not G.EXACT:
        distance -= low
    return distance


@triton.jit
def _position(n, g):
    """A place n half steps from the lowest centre, in two parts: n HALF is exact, the rounding of the sum goes to the second."""
    offset, first = n * number(g.HALF), number(g.FIRST)
    high = offset + first
    shifted = high - offset
    rounding = (offset - (high - shifted)) + (first - shifted)
    return high, rounding + (n * number(g.HALF_LOW) + number(g.FIRST_LOW))


@triton.jit
def _features(w, g, G: tl.constexpr, ACC: tl.constexpr):
    """Position in two parts and rate of features w: q, then K, then 1."""
    products: tl.constexpr = 2 * G.M - 1
    n = tl.where(w < products, w, 2 * (w - products))
    times = tl.where(w < products, 2, tl.where(w < products + G.M, 1, 0))
    high, low = _position(tl.where(times > 0, n, 0).to(ACC), g)
    return high, low, times.to(ACC) * number(g.RATE)


@kernel
def _moments_kernel(
    x_ptr,  # (B, N)
    y_ptr,  # (B, N)
    sums_ptr,  # (B, NP, WIDTH, WIDTH)
    N, NP, PART, g, G: tl.constexpr, BN: tl.constexpr, ACC: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    i_b, i_p = image_and_part(NP)
    o_w = tl.arange(0, G.WIDTH)
    high, low, rate = _features(o_w, g, G, ACC)
    sums = tl.zeros([G.WIDTH, G.WIDTH], ACC)
    for start in range(i_p * PART, tl.minimum(i_p * PART + PART, N), BN):
        o_n = start + tl.arange(0, BN)
        x, y = _load(x_ptr, i_b, o_n, N, g, ACC), _load(y_ptr, i_b, o_n, N, g, ACC)
        to_x = _subtract(x[None, :], high[:, None], low[:, None], G)
        to_y = _subtract(y[:, None], high[None, :], low[None, :], G)
        of_x = tl.where((o_n < N)[None, :], tl.exp2(rate[:, None] * (to_x * to_x)), 0.0)
        of_y = tl.exp2(rate[None, :] * (to_y * to_y))
        sums = tl.dot(of_x, of_y, acc=sums, input_precision=PRECISION, out_dtype=ACC)
    tl.store(sums_ptr + ((i_b * NP + i_p) * G.WIDTH + o_w[:, None]) * G.WIDTH + o_w[None, :], sums)


@triton.jit
def _matrix(slopes_ptr, i_b, i_m, G: tl.constexpr, TRANSPOSED: tl.constexpr):
    """Matrix i_m of an image's slopes, or its transpose, padded with zeros."""
    o_r, o_c = tl.arange(0, G.PADDED)[:, None], tl.arange(0, G.PADDED)[None, :]
    at = (i_b * (4 * G.M + 2) + i_m * G.M) * G.M
    at += o_c * G.M + o_r if TRANSPOSED else o_r * G.M + o_c
    return tl.load(slopes_ptr + at, mask=(o_r < G.M) & (o_c < G.M), other=0.0)


@kernel
def _backward_kernel(
    scale_ptr,  # (B,)
    own_ptr,  # (B, N): the samples whose gradient is wanted
    other_ptr,  # (B, N): those they are paired with
    slopes_ptr,  # (B, 4 M + 2, M)
    grad_ptr,  # (B, N)
    N, NP, PART, g, G: tl.constexpr,
    SIDE: tl.constexpr,  # 0: `own` is x, 1: it is y
    BN: tl.constexpr, ACC: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    i_b, i_p = image_and_part(NP)
    o_a = tl.arange(0, G.PADDED)
    high, low = _position((2 * tl.minimum(o_a, G.M - 1)).to(ACC), g)
    # samples are rows here: u L of the formula is the product of L with the transpose of u
    u, v = _matrix(slopes_ptr, i_b, 0, G, SIDE == 0), _matrix(slopes_ptr, i_b, 1, G, SIDE == 0)
    within = _matrix(slopes_ptr, i_b, 2 + SIDE, G, False)
    vector = (i_b * (4 * G.M + 2) + 4 * G.M + SIDE) * G.M + o_a
    rate = number(g.RATE)
    at, scale = tl.load(slopes_ptr + vector, mask=o_a < G.M, other=0.0), tl.load(scale_ptr + i_b)
    for start in range(i_p * PART, tl.minimum(i_p * PART + PART, N), BN):
        o_n = start + tl.arange(0, BN)
        to_own = _subtract(_load(own_ptr, i_b, o_n, N, g, ACC)[:, None], high[None, :], low[None, :], G)
        to_other = _subtract(_load(other_ptr, i_b, o_n, N, g, ACC)[:, None], high[None, :], low[None, :], G)
        own, other = tl.exp2(rate * (to_own * to_own)), tl.exp2(rate * (to_other * to_other))
        along_u = tl.dot(other, u, input_precision=PRECISION, out_dtype=ACC)
        along_v = tl.dot(other, v, input_precision=PRECISION, out_dtype=ACC)
        inner = at[None, :] - tl.dot(own, within, input_precision=PRECISION, out_dtype=ACC)
        inner -= along_u * tl.sum(own * along_u, axis=1)[:, None]
        inner += along_v * tl.sum(own * along_v, axis=1)[:, None]
        tl.store(grad_ptr + i_b * N + o_n, scale * tl.sum(to_own * own * inner, axis=1), mask=o_n < N)


class _Schedule(NamedTuple):
    """How the kernels are launched."""

    dtype: torch.dtype
    """What is computed in."""
    block: int
    warps: int
    block_backward: int
    warps_backward: int


@functools.lru_cache(maxsize=1024)
def _schedule(estimator: Estimator, dtype: torch.dtype) -> _Schedule:
    """Block sizes and warps with the fewest instructions per sample that compile without spills (`python -m bench compile`)."""
    if dtype == torch.float64 or estimator.log_condition > math.log(SINGLE):
        return _Schedule(torch.float64, 16, 4, 16, 4)
    if make_centers(estimator, torch.float32).WIDTH == 32:
        return _Schedule(torch.float32, 32, 1, 64, 4)
    return _Schedule(torch.float32, 16, 4, 64, 4)


def unserved(x: Tensor, y: Tensor, estimator: Estimator) -> str | None:
    """Why the kernels cannot serve this estimator, None if they can."""
    if estimator.centers > MOST_CENTERS:
        return f"needs at most {MOST_CENTERS} centers, got {estimator.centers}"
    extent = max(abs(estimator.low), abs(estimator.high))
    if not (1e-12 < extent < 1e12 and 1e-6 * extent < estimator.sigma < 1e6 * extent):
        return f"needs low and high within 1e12 and sigma from 1e-6 to 1e6 of them, got {estimator}"
    return None


def forward(x: Tensor, y: Tensor, estimator: Estimator) -> tuple[Tensor, Tensor]:
    """(B, N), (B, N) not empty -> (B,) and what is kept."""
    (batch, samples), plan, part = x.shape, _schedule(estimator, x.dtype), _part(x)
    centers, parts = make_centers(estimator, plan.dtype), cdiv(samples, part)
    sums = x.new_empty(batch, parts, centers.WIDTH, centers.WIDTH, dtype=plan.dtype)
    launch(
        _moments_kernel, batch * parts, x, y, sums, samples, parts, part, G=centers, BN=plan.block,
        ACC=accumulator(plan.dtype), PRECISION=precision(sums), warps=plan.warps, work=Work("sample", plan.block, x.numel()),
    )  # fmt: skip
    value, packed = solve(_moments(sums.sum(1, dtype=torch.float64), samples, estimator), estimator)
    return value.to(x.dtype), packed


def _moments(table: Tensor, samples: int, estimator: Estimator) -> Moments:
    """The moments in a table of sums of all features' products, (B, WIDTH, WIDTH)."""
    m = estimator.centers
    q, kernels, one = slice(0, 2 * m - 1), slice(2 * m - 1, 3 * m - 1), 3 * m - 1
    table = table[:, : 3 * m, : 3 * m].mul_(Grid.of(estimator, table.device).factors).div_(samples)
    return Moments(table[:, q, q], table[:, q, one], table[:, one, q], table[:, kernels, one], table[:, one, kernels])


def backward(grad: Tensor, x: Tensor, y: Tensor, packed: Tensor, estimator: Estimator, needs: list[bool]) -> tuple[Tensor, Tensor]:
    """Gradients with respect to x and y, empty where not needed."""
    (batch, samples), plan, part = x.shape, _schedule(estimator, x.dtype), _part(x)
    parts = cdiv(samples, part)
    centers = make_centers(estimator, plan.dtype)
    scale = (grad.double() * (4 * estimator.rate / samples)).to(plan.dtype)
    slopes = packed.to(plan.dtype)
    grads = tuple(x.new_empty(x.shape if need else 0) for need in needs)
    for side, (own, other, gradient) in enumerate(((x, y, grads[0]), (y, x, grads[1]))):
        if needs[side]:
            launch(
                _backward_kernel, batch * parts, scale, own, other, slopes, gradient, samples, parts, part, G=centers,
                SIDE=side, BN=plan.block_backward, ACC=accumulator(plan.dtype), PRECISION=precision(slopes),
                warps=plan.warps_backward, work=Work("sample", plan.block_backward, x.numel()),
            )  # fmt: skip
    return without_outside(grads, (x, y), estimator)


def _part(x: Tensor) -> int:
    """Samples of one program."""
    return min(max(next_power_of_2(cdiv(x.numel(), PROGRAMS)), SHORTEST), LONGEST)
