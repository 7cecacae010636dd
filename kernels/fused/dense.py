"""Histograms in which every sample meets every bin: for few bins, or windows that cover much of the range.

Responses are made for SPAN bins and BLOCK samples at a time, summed over the sample's images at the boundary, and never stored.
Forward: a program walks over its part of an image's samples for a span of bins (jointly, for a square of them); the parts are then
added in order. Backward: a program walks over all bins for its block of samples.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .. import arguments
from ..bins import Bins
from .axis import Axis, accumulator, coordinate, make_axis, precision, within_reach
from .programs import flat_program, sample_share
from .windows import response, slope

BLOCK = 32
#: programs wanted in all, some waves of them on the largest GPUs
PROGRAMS = 4096
#: images of a sample that a program adds up
MOST_IMAGES = 65


@triton.jit
def _responses(x, first, A: tl.constexpr, IMAGES: tl.constexpr, DERIVATIVE: tl.constexpr):
    """Responses of samples x [BLOCK] in SPAN bins from `first` on, [SPAN, BLOCK], and with DERIVATIVE their derivatives to x."""
    scale: tl.constexpr = A.SCALE + A.SCALE_LOW
    offsets = (tl.arange(0, A.SPAN) + (0.5 - A.SPAN / 2)).to(x.dtype)
    center = first + A.SPAN // 2
    x = within_reach(x, A)
    t, _ = coordinate(x, 0.0, A)
    lap = tl.floor(t / A.COUNT) * A.COUNT
    value = tl.zeros([A.SPAN, x.shape[0]], x.dtype)
    derivative = value
    for image in range(IMAGES):
        # the image lies at sign * (t - shift): t, -t and 2K - t, or t plus whole laps
        sign, base = 1, center + 0 * lap
        if A.BOUNDARY == "reflect":
            sign = tl.where(image == 0, 1, -1)
            base += tl.where(image == 0, 0, tl.where(image == 1, -2 * center, 2 * A.COUNT - 2 * center))
        elif A.BOUNDARY == "circular":
            base = lap + (center - (image - IMAGES // 2) * A.COUNT)
        u, rest = coordinate(x, base, A)
        away = ((sign * u)[None, :] - offsets[:, None]) + (sign * rest)[None, :]
        value += response(away, A)
        if DERIVATIVE:
            derivative += slope(away, A) * (sign * scale)
    return value, derivative


@triton.jit
def _samples(x_ptr, shares_ptr, image, n, samples, WEIGHTED: tl.constexpr, ACC: tl.constexpr):
    """A block of samples and their shares, 0 beyond the last."""
    x = tl.load(x_ptr + image * samples + n, mask=n < samples, other=0.0).to(ACC)
    share = tl.where(n < samples, sample_share(samples, WEIGHTED, ACC), 0.0)
    if WEIGHTED:
        share = tl.load(shares_ptr + image * samples + n, mask=n < samples, other=0.0).to(ACC)
    return x, share


@triton.jit
def _soft_forward_kernel(
    x_ptr,  # (B, N)
    shares_ptr,  # (B, N) if WEIGHTED
    sums_ptr,  # (B, parts, A.COUNT)
    samples,
    parts,
    A: tl.constexpr,
    SPANS: tl.constexpr,
    IMAGES: tl.constexpr,
    BLOCK: tl.constexpr,
    WEIGHTED: tl.constexpr,
    ACC: tl.constexpr,
):
    image, part = flat_program(parts * SPANS)
    first, part = part % SPANS * A.SPAN, part // SPANS
    sums = tl.zeros([A.SPAN, BLOCK], ACC)
    for start in range(part * BLOCK, samples, parts * BLOCK):
        x, share = _samples(x_ptr, shares_ptr, image, start + tl.arange(0, BLOCK), samples, WEIGHTED, ACC)
        value, _ = _responses(x, first, A, IMAGES, False)
        sums += value * share[None, :]
    k = first + tl.arange(0, A.SPAN)
    tl.store(sums_ptr + (image * parts + part) * A.COUNT + k, tl.sum(sums, 1), mask=k < A.COUNT)


@triton.jit
def _soft_backward_kernel(
    grad_ptr,  # (B, A.COUNT)
    x_ptr,  # (B, N)
    shares_ptr,  # (B, N) if WEIGHTED
    grad_x_ptr,  # (B, N) if NEEDS_X
    grad_shares_ptr,  # (B, N) if NEEDS_SHARES
    samples,
    blocks,
    A: tl.constexpr,
    SPANS: tl.constexpr,
    IMAGES: tl.constexpr,
    BLOCK: tl.constexpr,
    WEIGHTED: tl.constexpr,
    NEEDS_X: tl.constexpr,
    NEEDS_SHARES: tl.constexpr,
    ACC: tl.constexpr,
):
    image, block = flat_program(blocks)
    n = block * BLOCK + tl.arange(0, BLOCK)
    x, share = _samples(x_ptr, shares_ptr, image, n, samples, WEIGHTED, ACC)
    grad_x, grad_share = tl.zeros([BLOCK], ACC), tl.zeros([BLOCK], ACC)
    for span in range(SPANS):
        k = span * A.SPAN + tl.arange(0, A.SPAN)
        upstream = tl.load(grad_ptr + image * A.COUNT + k, mask=k < A.COUNT, other=0.0).to(ACC)[:, None]
        value, derivative = _responses(x, span * A.SPAN, A, IMAGES, NEEDS_X)
        grad_x += tl.sum(derivative * upstream, 0)
        grad_share += tl.sum(value * upstream, 0)
    if NEEDS_X:
        tl.store(grad_x_ptr + image * samples + n, grad_x * share, mask=n < samples)
    if NEEDS_SHARES:
        tl.store(grad_shares_ptr + image * samples + n, grad_share, mask=n < samples)


@triton.jit
def _joint_forward_kernel(
    x_ptr,  # (B, N)
    y_ptr,  # (B, N)
    shares_ptr,  # (B, N) if WEIGHTED
    sums_ptr,  # (B, parts, X.COUNT, Y.COUNT)
    samples,
    parts,
    X: tl.constexpr,
    Y: tl.constexpr,
    SPANS_X: tl.constexpr,
    SPANS_Y: tl.constexpr,
    IMAGES_X: tl.constexpr,
    IMAGES_Y: tl.constexpr,
    BLOCK: tl.constexpr,
    WEIGHTED: tl.constexpr,
    ACC: tl.constexpr,
    PRECISION: tl.constexpr,
):
    image, part = flat_program(parts * SPANS_X * SPANS_Y)
    first_x, first_y = part % SPANS_X * X.SPAN, part // SPANS_X % SPANS_Y * Y.SPAN
    part = part // (SPANS_X * SPANS_Y)
    sums = tl.zeros([X.SPAN, Y.SPAN], ACC)
    for start in range(part * BLOCK, samples, parts * BLOCK):
        n = start + tl.arange(0, BLOCK)
        x, share = _samples(x_ptr, shares_ptr, image, n, samples, WEIGHTED, ACC)
        y, _ = _samples(y_ptr, shares_ptr, image, n, samples, False, ACC)
        p, _p = _responses(x, first_x, X, IMAGES_X, False)
        q, _q = _responses(y, first_y, Y, IMAGES_Y, False)
        sums = tl.dot(p * share[None, :], tl.trans(q), acc=sums, input_precision=PRECISION, out_dtype=ACC)
    k, m = first_x + tl.arange(0, X.SPAN), first_y + tl.arange(0, Y.SPAN)
    at = ((image * parts + part) * X.COUNT + k[:, None]) * Y.COUNT + m[None, :]
    tl.store(sums_ptr + at, sums, mask=(k < X.COUNT)[:, None] & (m < Y.COUNT)[None, :])


@triton.jit
def _joint_backward_kernel(
    grad_ptr,  # (B, X.COUNT, Y.COUNT)
    x_ptr,  # (B, N)
    y_ptr,  # (B, N)
    shares_ptr,  # (B, N) if WEIGHTED
    grad_x_ptr,  # (B, N) if NEEDS_X
    grad_y_ptr,  # (B, N) if NEEDS_Y
    grad_shares_ptr,  # (B, N) if NEEDS_SHARES
    samples,
    blocks,
    X: tl.constexpr,
    Y: tl.constexpr,
    SPANS_X: tl.constexpr,
    SPANS_Y: tl.constexpr,
    IMAGES_X: tl.constexpr,
    IMAGES_Y: tl.constexpr,
    BLOCK: tl.constexpr,
    WEIGHTED: tl.constexpr,
    NEEDS_X: tl.constexpr,
    NEEDS_Y: tl.constexpr,
    NEEDS_SHARES: tl.constexpr,
    ACC: tl.constexpr,
    PRECISION: tl.constexpr,
):
    image, block = flat_program(blocks)
    n = block * BLOCK + tl.arange(0, BLOCK)
    x, share = _samples(x_ptr, shares_ptr, image, n, samples, WEIGHTED, ACC)
    y, _ = _samples(y_ptr, shares_ptr, image, n, samples, False, ACC)
    grad_x, grad_y, grad_share = tl.zeros([BLOCK], ACC), tl.zeros([BLOCK], ACC), tl.zeros([BLOCK], ACC)
    for square in range(SPANS_X * SPANS_Y):
        first_x, first_y = square // SPANS_Y * X.SPAN, square % SPANS_Y * Y.SPAN
        k, m = first_x + tl.arange(0, X.SPAN), first_y + tl.arange(0, Y.SPAN)
        at = (image * X.COUNT + k[:, None]) * Y.COUNT + m[None, :]
        upstream = tl.load(grad_ptr + at, mask=(k < X.COUNT)[:, None] & (m < Y.COUNT)[None, :], other=0.0).to(ACC)
        p, slope_p = _responses(x, first_x, X, IMAGES_X, NEEDS_X)
        q, slope_q = _responses(y, first_y, Y, IMAGES_Y, NEEDS_Y)
        if NEEDS_X or NEEDS_SHARES:
            along_x = tl.dot(upstream, q, input_precision=PRECISION, out_dtype=ACC)
            grad_x += tl.sum(slope_p * along_x, 0)
            grad_share += tl.sum(p * along_x, 0)
        if NEEDS_Y:
            along_y = tl.dot(tl.trans(upstream), p, input_precision=PRECISION, out_dtype=ACC)
            grad_y += tl.sum(slope_q * along_y, 0)
    if NEEDS_X:
        tl.store(grad_x_ptr + image * samples + n, grad_x * share, mask=n < samples)
    if NEEDS_Y:
        tl.store(grad_y_ptr + image * samples + n, grad_y * share, mask=n < samples)
    if NEEDS_SHARES:
        tl.store(grad_shares_ptr + image * samples + n, grad_share, mask=n < samples)


def too_wide(bins: Bins, dtype: torch.dtype) -> str | None:
    """Why the kernels cannot serve these bins, None if they can."""
    images = _images(make_axis(bins, dtype))
    return (
        f"adds up at most {MOST_IMAGES} laps of a window round the circle, got {images} for {bins}"
        if images > MOST_IMAGES
        else None
    )


def soft_forward(x: Tensor, shares: Tensor | None, bins: Bins) -> Tensor:
    """(B, N) contiguous, not empty -> (B, K)."""
    (batch, samples), axis = x.shape, make_axis(bins, x.dtype)
    parts = _parts(x, _spans(axis))
    sums = x.new_empty(batch, parts, bins.count)
    _soft_forward_kernel[(batch * parts * _spans(axis),)](
        x, shares, sums, samples, parts, axis.frozen, _spans(axis), _images(axis), BLOCK,
        WEIGHTED=shares is not None, ACC=accumulator(x), num_warps=1,
    )  # fmt: skip
    return arguments.spread_nan(sums.sum(1), x, shares)


def soft_backward(grad: Tensor, x: Tensor, shares: Tensor | None, bins: Bins, needs: list[bool]) -> tuple[Tensor, Tensor]:
    """Gradients with respect to x and shares, empty where not needed; all inputs contiguous and not empty."""
    (batch, samples), axis, blocks = x.shape, make_axis(bins, x.dtype), triton.cdiv(x.shape[1], BLOCK)
    grad_x, grad_shares = (x.new_empty(x.shape if need else 0) for need in needs)
    _soft_backward_kernel[(batch * blocks,)](
        grad, x, shares, grad_x, grad_shares, samples, blocks, axis.frozen, _spans(axis), _images(axis),
        BLOCK, WEIGHTED=shares is not None, NEEDS_X=needs[0], NEEDS_SHARES=needs[1], ACC=accumulator(x), num_warps=1,
    )  # fmt: skip
    return grad_x, grad_shares


def joint_forward(x: Tensor, y: Tensor, shares: Tensor | None, bins_x: Bins, bins_y: Bins) -> Tensor:
    """(B, N), (B, N) contiguous, not empty -> (B, Kx, Ky)."""
    (batch, samples), ax, ay = x.shape, make_axis(bins_x, x.dtype), make_axis(bins_y, x.dtype)
    squares = _spans(ax) * _spans(ay)
    parts = _parts(x, squares)
    sums = x.new_empty(batch, parts, bins_x.count, bins_y.count)
    _joint_forward_kernel[(batch * parts * squares,)](
        x, y, shares, sums, samples, parts, *_constants(ax, ay), BLOCK, WEIGHTED=shares is not None,
        ACC=accumulator(x), PRECISION=precision(x), num_warps=joint_warps(x.dtype),
    )  # fmt: skip
    return arguments.spread_nan(sums.sum(1), x, y, shares)


def joint_backward(
    grad: Tensor, x: Tensor, y: Tensor, shares: Tensor | None, bins_x: Bins, bins_y: Bins, needs: list[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients with respect to x, y and shares, empty where not needed; all inputs contiguous and not empty."""
    (batch, samples), ax, ay = x.shape, make_axis(bins_x, x.dtype), make_axis(bins_y, x.dtype)
    blocks = triton.cdiv(samples, BLOCK)
    grad_x, grad_y, grad_shares = (x.new_empty(x.shape if need else 0) for need in needs)
    _joint_backward_kernel[(batch * blocks,)](
        grad, x, y, shares, grad_x, grad_y, grad_shares, samples, blocks, *_constants(ax, ay), BLOCK, WEIGHTED=shares is not None,
        NEEDS_X=needs[0], NEEDS_Y=needs[1], NEEDS_SHARES=needs[2], ACC=accumulator(x), PRECISION=precision(x),
        num_warps=joint_warps(x.dtype),
    )  # fmt: skip
    return grad_x, grad_y, grad_shares


def _constants(x: Axis, y: Axis) -> tuple:
    return x.frozen, y.frozen, _spans(x), _spans(y), _images(x), _images(y)


def _spans(axis: Axis) -> int:
    return triton.cdiv(axis.COUNT, axis.SPAN)


def _images(axis: Axis) -> int:
    """Images of a sample at the boundary."""
    laps = triton.cdiv(axis.RADIUS, axis.COUNT)
    return {"open": 1, "reflect": 3, "circular": 2 * laps + 1}[axis.BOUNDARY]


def _parts(x: Tensor, programs: int) -> int:
    """How many programs share an image and a span of its bins."""
    return min(triton.cdiv(x.shape[1], 4 * BLOCK), triton.cdiv(PROGRAMS, len(x) * programs))


def joint_warps(dtype: torch.dtype) -> int:
    return 4 if dtype == torch.float64 else 2
