"""Responses of a block of samples over their reach, and the derivatives, inside kernels: the counterpart of bins.py.

The logistic of bandwidth W is S / (2 cosh(a/2) + E F + 1 / (E F)) with a = 1 / W, S = 2 sinh(a/2), E = exp(a u) of the sample, and
F = exp(-a o) of the bin at offset o: one exponential a sample and one a bin instead of two for each of their pairs, and then two
multiplications, two additions and one reciprocal. Where E F could overflow (narrow windows), and for the other windows, responses
are computed element by element. Window and bandwidth are known at compile time.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .axis import upper_half


@triton.jit
def _exponentials(u, A: tl.constexpr):
    """exp(u / W) and its reciprocal, with RATE + RATE_LOW = log2(e) / W.

    The exponent is kept in two parts: rounded to one number, an exponent of 20 would cost exp a relative 1e-6.
    """
    upper = upper_half(u)
    high = upper * A.RATE
    low = ((u - upper) * A.RATE + u * A.RATE_LOW) * 0.6931471805599453
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
def responses(u, A: tl.constexpr, DERIVATIVE: tl.constexpr):
    """Responses of samples at u [BLOCK] from their tile's centre in the bins of its reach, [BLOCK, REACH], and with DERIVATIVE
    their derivatives with respect to u (else the responses again)."""
    offsets = (tl.arange(0, A.REACH) + (0.5 - A.REACH / 2)).to(u.dtype)
    if A.SEPARABLE:
        e, e_inverse = _exponentials(u, A)
        f_inverse, f = _exponentials(offsets, A)
        growing, falling = e[:, None] * f[None, :], e_inverse[:, None] * f_inverse[None, :]
        inverse = 1 / (growing + (falling + A.TWICE_COSH))
        value = A.TWICE_SINH * inverse
        derivative = value
        if DERIVATIVE:
            derivative = (falling - growing) * (value * inverse) * (1 / A.BANDWIDTH)
    else:
        distance = u[:, None] - offsets[None, :]
        value = response(distance, A)
        derivative = value
        if DERIVATIVE:
            derivative = slope(distance, A)
    return value, derivative
