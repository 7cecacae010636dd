"""Responses of a block of samples over their reach, and the derivatives, inside kernels: the counterpart of bins.py.

The logistic of bandwidth W is S / (2 cosh(a/2) + E F + 1 / (E F)) with a = 1 / W, S = 2 sinh(a/2), E = exp(a u) of the sample, and
F = exp(-a o) of the bin at offset o: one exponential a sample and one a bin instead of two for each of their pairs, and then two
fused multiply-adds and one reciprocal. Where E F could overflow (narrow windows), and for the other windows, responses are computed
element by element. Window and bandwidth are known at compile time; constant factors are left to the caller, who applies them once.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .axis import upper_half


@triton.jit
def _exponentials(u, rest, A: tl.constexpr):
    """exp((u + rest) / W) and its reciprocal, with RATE + RATE_LOW = log2(e) / W.

    The exponent is kept in two parts: rounded to one number, an exponent of 20 would cost exp a relative 1e-6.
    """
    upper = upper_half(u)
    high = upper * A.RATE
    low = ((u - upper + rest) * A.RATE + u * A.RATE_LOW) * 0.6931471805599453
    growth = 1 + low * (1 + low * 0.5)
    decay = 1 - low * (1 - low * 0.5)
    return tl.exp2(high) * growth, tl.exp2(-high) * decay


@triton.jit
def response(u, A: tl.constexpr):
    """The window at u. MASS is the logistic's 1 - exp(-1 / W)."""
    if A.WINDOW == "logistic":
        above, below = _sigmoids(u, A)
        value = A.MASS * above * below
    elif A.WINDOW == "gaussian":
        scale: tl.constexpr = 0.7071067811865476 / A.BANDWIDTH
        value = 0.5 * (tl.erf(scale * (u + 0.5)) - tl.erf(scale * (u - 0.5)))
    elif A.WINDOW == "triangular":
        value = tl.maximum(1 - tl.abs(u) * (1 / A.BANDWIDTH), 0)
    else:
        v = tl.abs(u) * (1 / A.BANDWIDTH)
        rest = tl.maximum(2 - v, 0)
        value = tl.where(v < 1, 0.6666666666666666 - v * v * (1 - v * 0.5), rest * rest * rest * 0.16666666666666666)
    return value


@triton.jit
def slope(u, A: tl.constexpr):
    """The derivative of the window at u."""
    if A.WINDOW == "logistic":
        above, below = _sigmoids(u, A)
        value = A.MASS * above * below * (below - above) * (1 / A.BANDWIDTH)
    elif A.WINDOW == "gaussian":
        scale: tl.constexpr = 0.7071067811865476 / A.BANDWIDTH
        high, low = scale * (u + 0.5), scale * (u - 0.5)
        value = (tl.exp(-high * high) - tl.exp(-low * low)) * (scale * 0.5641895835477563)
    elif A.WINDOW == "triangular":
        value = tl.where(tl.abs(u) < A.BANDWIDTH, _sign(u) * (-1 / A.BANDWIDTH), 0)
    else:
        v = tl.abs(u) * (1 / A.BANDWIDTH)
        rest = tl.maximum(2 - v, 0)
        value = tl.where(v < 1, v * (1.5 * v - 2), -0.5 * rest * rest) * _sign(u) * (1 / A.BANDWIDTH)
    return value


@triton.jit
def _sigmoids(u, A: tl.constexpr):
    """sigmoid((1/2 + u) / W) and sigmoid((1/2 - u) / W); an exponential may overflow to inf, whose reciprocal is the right 0."""
    x = u * (1 / A.BANDWIDTH)
    half: tl.constexpr = 0.5 / A.BANDWIDTH
    return 1 / (1 + tl.exp(-half - x)), 1 / (1 + tl.exp(x - half))


@triton.jit
def _sign(u):
    return tl.where(u > 0, 1.0, tl.where(u < 0, -1.0, 0.0)).to(u.dtype)


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
def responses(u, rest, first, A: tl.constexpr, DERIVATIVE: tl.constexpr):
    """Responses of samples at u + rest [BLOCK] from their tile's centre in SPAN bins of its reach, from `first` on.

    [SPAN, BLOCK], to be multiplied by A.FACTOR; and with DERIVATIVE their derivatives with respect to x, to be multiplied by
    A.SLOPE_FACTOR and du/dt.

    Samples lie along the second axis, which Triton spreads over the threads, so that what is done once a sample is not repeated.
    """
    offsets = (first + tl.arange(0, A.SPAN)).to(u.dtype) + (0.5 - A.REACH / 2)
    if A.SEPARABLE:
        e, e_inverse = _exponentials(u, rest, A)
        f_inverse, f = _exponentials(offsets, 0.0, A)
        growing, falling = f[:, None] * e[None, :], f_inverse[:, None] * e_inverse[None, :]
        value = _reciprocal(growing + (falling + A.TWICE_COSH))
        derivative = value
        if DERIVATIVE:
            derivative = (growing - falling) * value * value
    else:
        away = (u[None, :] - offsets[:, None]) + rest[None, :]
        value = response(away, A)
        derivative = value
        if DERIVATIVE:
            derivative = slope(away, A)
    return value, derivative
