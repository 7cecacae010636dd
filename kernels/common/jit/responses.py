"""Responses of a block of samples inside kernels, over a tile's reach or over any bins.

A separable window of bandwidth W is S / (2 cosh(a/2) + E F + 1 / (E F)) with a = 1 / W, S = 2 sinh(a/2), E = exp(a u) of the
sample, and F = exp(-a o) of the bin at offset o: one exponential a sample and one a bin instead of two for each of their pairs,
and then two fused multiply-adds and one reciprocal. Where E F could overflow (narrow windows), and for the other windows,
responses are computed element by element. Constant factors are left to the caller, who applies them once.

Samples lie along the second axis, which Triton spreads over the threads, so that what is done once a sample is not repeated.
"""

import triton
import triton.language as tl

from .axis import coordinate, upper_half
from .boundaries import image_of
from .numbers import number


@triton.jit
def _exponentials(u, rest, a, A: tl.constexpr):
    """exp((u + rest) / W) and its reciprocal, with RATE + RATE_LOW = log2(e) / W.

    The exponent is kept in two parts: rounded to one number, an exponent of 20 would cost exp a relative 1e-6.
    """
    upper = upper_half(u)
    rate, rate_low = number(a.RATE), number(a.RATE_LOW)
    if A.RATE is not None:
        rate, rate_low = A.RATE, A.RATE_LOW
    high = upper * rate
    low = ((u - upper + rest) * rate + u * rate_low) * 0.6931471805599453
    growth = 1 + low * (1 + low * 0.5)
    decay = 1 - low * (1 - low * 0.5)
    return tl.exp2(high) * growth, tl.exp2(-high) * decay


@triton.jit
def _reciprocal(x):
    """1 / x of moderate positive x: the square of one special function, where a division takes eight instructions."""
    if x.dtype == tl.float32:
        root = tl.rsqrt(x)
        x = root * root
    else:
        x = 1 / x
    return x


@triton.jit
def response(u, a, A: tl.constexpr):
    """The window at u."""
    width, per_width, constant = number(a.WIDTH), number(a.PER_WIDTH), number(a.CONSTANT)
    if A.WIDTH is not None:
        width, per_width, constant = A.WIDTH, A.PER_WIDTH, A.CONSTANT
    return A.RESPONSE(u, width, per_width, constant)


@triton.jit
def derivative(u, a, A: tl.constexpr):
    """The derivative of the window at u."""
    width, per_width, constant = number(a.WIDTH), number(a.PER_WIDTH), number(a.CONSTANT)
    if A.WIDTH is not None:
        width, per_width, constant = A.WIDTH, A.PER_WIDTH, A.CONSTANT
    return A.DERIVATIVE(u, width, per_width, constant)


@triton.jit
def reach_responses(u, rest, first, a, A: tl.constexpr, NEEDS_SLOPE: tl.constexpr):
    """Responses of samples at u + rest [BN] from their tile's centre in SPAN bins of its reach, from `first` on.

    [SPAN, BN], to be multiplied by FACTOR; and with NEEDS_SLOPE their derivatives with respect to x, to be multiplied by FACTOR,
    SLOPE and du/dt.
    """
    offset = (first + tl.arange(0, A.SPAN)).to(u.dtype) + (0.5 - A.REACH / 2)
    if A.SEPARABLE:
        e, e_inverse = _exponentials(u, rest, a, A)
        f_inverse, f = _exponentials(offset, 0.0, a, A)
        growing, falling = f[:, None] * e[None, :], f_inverse[:, None] * e_inverse[None, :]
        twice_cosh = number(a.TWICE_COSH)
        if A.TWICE_COSH is not None:
            twice_cosh = A.TWICE_COSH
        value = _reciprocal(growing + (falling + twice_cosh))
        slope = value
        if NEEDS_SLOPE:
            slope = (growing - falling) * value * value
    else:
        away = (u[None, :] - offset[:, None]) + rest[None, :]
        value = response(away, a, A)
        slope = value
        if NEEDS_SLOPE:
            slope = derivative(away, a, A)
    return value, slope


@triton.jit
def image_responses(
    x, first, i_m, a, A: tl.constexpr, IMAGES: tl.constexpr, BK: tl.constexpr, NEEDS_SLOPE: tl.constexpr
):  # fmt: skip
    """Responses of the i_m-th of the IMAGES of samples x [BN], which lie within reach, in BK bins from `first` on, [BK, BN], and
    with NEEDS_SLOPE their derivatives to x."""
    offset = tl.arange(0, BK).to(x.dtype) + (0.5 - BK / 2)
    t, _ = coordinate(x, 0.0, a, A)
    sign, base = image_of(t, first + BK // 2, i_m, IMAGES, A)
    u, rest = coordinate(x, base, a, A)
    away = ((sign * u)[None, :] - offset[:, None]) + (sign * rest)[None, :]
    value = response(away, a, A)
    slope = value
    if NEEDS_SLOPE:
        slope = derivative(away, a, A) * (sign * (number(a.SCALE) + number(a.SCALE_LOW)))[None, :]
    return value, slope
