"""One histogram axis as kernels see it: tiles of bins, numbers of the window, and coordinates formed without rounding.

The K bins are cut into tiles of TILE. A sample belongs to the tile its coordinate t falls into and responds within that tile's
*reach*: REACH bins, MARGIN of them on either side of the tile. Reaches of neighbouring tiles are laid out one TILE apart on the
*extended axis*, over which histograms are summed before boundaries.py folds it onto the real bins.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl

from ..bins import Bins
from ..windows import WINDOWS, is_separable
from .special import scaled_erfc

TILE = 16
#: bins of a reach that a program handles at a time
SPAN = 32
#: beyond this reach windows of pairs of tiles take much more memory than the joint histogram
LARGEST_REACH = 96


class Axis(NamedTuple):
    """One histogram axis, a compile-time argument of the kernels."""

    K: int
    TILE: int
    REACH: int
    RADIUS: int
    #: tiles within the range, and in all
    TILES: int
    SLOTS: int
    #: t = (x - ORIGIN) * (SCALE + SCALE_LOW) + OFFSET + OFFSET_LOW; ORIGIN is 0 unless the range is far from it
    ORIGIN: float
    SCALE: float
    SCALE_LOW: float
    OFFSET: float
    OFFSET_LOW: float
    BOUNDARY: str
    #: samples on a circle are nearer to 0 than this
    FARTHEST: float
    #: the window's response and derivative, (u, BANDWIDTH, CONSTANT) -> value
    RESPONSE: Any
    DERIVATIVE: Any
    BANDWIDTH: float
    CONSTANT: float
    #: whether a sample's responses in all bins sum to the same wherever it lies
    EVEN_SUM: bool
    #: bins that a program handles at a time, and in how many steps it covers the reach
    SPAN: int
    STEPS: int
    #: the separable form's constants, see responses.py
    SEPARABLE: bool
    RATE: float
    RATE_LOW: float
    TWICE_COSH: float
    #: what responses and their derivatives have yet to be multiplied by
    FACTOR: float
    FACTOR_LOW: float
    SLOPE_FACTOR: float

    @property
    def cache_key(self) -> str:
        """What Triton tells compiled kernels apart by: with the window's source, which its name does not tell."""
        functions = (getattr(function, "value", function) for function in (self.RESPONSE, self.DERIVATIVE))
        return f"{self}{''.join(function.cache_key for function in functions)}"


@functools.cache
def _compiled(function: Callable[..., Any]) -> Any:
    """A window's form for kernels, as one of Triton's functions, with the names that it may call."""
    for name, value in {"tl": tl, "scaled_erfc": scaled_erfc}.items():
        function.__globals__.setdefault(name, value)
    return triton.jit(function)


def reach(bins: Bins, dtype: torch.dtype) -> int:
    """Bins in reach of a tile's samples, a multiple of SPAN."""
    return triton.cdiv(TILE + 2 * bins.radius(dtype), SPAN) * SPAN


def is_tiled(bins: Bins, dtype: torch.dtype) -> bool:
    """Whether bins are cut into tiles: where windows reach a small part of them. Else every sample meets every bin."""
    mirrored_far = bins.boundary == "reflect" and bins.radius(dtype) > TILE  # the two tiles for samples far outside are too few
    return reach(bins, dtype) <= min(LARGEST_REACH, bins.count // 2) and not mirrored_far


@functools.cache  # launches would otherwise make it anew each time
def make_axis(bins: Bins, dtype: torch.dtype) -> Axis:
    """The axis of these bins for samples of float32 or float64."""
    window, width, wide, radius = WINDOWS[bins.window], bins.effective_bandwidth, reach(bins, dtype), bins.radius(dtype)
    # in responses.py: a sample farthest from the centre of its tile, and the farthest bin
    separable = is_separable(window, width, TILE / 2 + radius + 1 + (wide - 1) / 2, dtype)
    factor = 2 * math.sinh(0.5 / width) if separable else 1.0
    rounded = torch.tensor(factor, dtype=dtype, device="cpu").item()
    tiles = triton.cdiv(bins.count, TILE)
    # far from zero, samples have few digits for where they lie in the range, and all of them count
    far = min(abs(bins.low), abs(bins.high)) > bins.high - bins.low
    origin = torch.tensor(bins.low if far else 0.0, dtype=dtype, device="cpu").item()
    scale, offset, rate = bins.scale, (origin - bins.low) * bins.scale, math.log2(math.e) / width
    coarse_rate = upper_part(rate) if dtype == torch.float32 else rate
    coarse_offset = round(offset * 256) / 256  # a tile's centre can be subtracted from it without rounding
    return Axis(
        K=int(bins.count),
        TILE=TILE,
        REACH=wide,
        RADIUS=radius,
        TILES=tiles,
        SLOTS=tiles + (2 if bins.boundary == "reflect" else 0),
        ORIGIN=origin,
        SCALE=upper_part(scale),
        SCALE_LOW=scale - upper_part(scale),
        OFFSET=coarse_offset,
        OFFSET_LOW=offset - coarse_offset,
        BOUNDARY=bins.boundary,
        FARTHEST=bins.farthest(dtype),
        RESPONSE=_compiled(window.kernel_response),
        DERIVATIVE=_compiled(window.kernel_derivative),
        BANDWIDTH=width,
        CONSTANT=window.constant(width),
        EVEN_SUM=window.even_sum(width),
        SPAN=SPAN,
        STEPS=wide // SPAN,
        SEPARABLE=separable,
        RATE=coarse_rate,
        RATE_LOW=rate - coarse_rate,
        TWICE_COSH=2 * math.cosh(0.5 / width) if separable else 0.0,
        FACTOR=rounded,
        FACTOR_LOW=factor - rounded,
        SLOPE_FACTOR=-scale * factor / width if separable else scale,
    )


def upper_part(value: float) -> float:
    """A constant rounded to 12 significant bits."""
    mantissa, exponent = math.frexp(value)
    return math.ldexp(round(mantissa * 4096), exponent - 12)


@triton.jit
def upper_half(x):
    """x with 12 significant bits (of a float64: x), so that products with such a constant are exact."""
    if x.dtype == tl.float32:
        x = (x.to(tl.int32, bitcast=True) & -4096).to(tl.float32, bitcast=True)
    return x


@triton.jit
def coordinate(x, base, A: tl.constexpr):
    """t - base in bins, rounded and what rounding left of it: products of 12-bit numbers are exact, and sums keep their errors."""
    if A.ORIGIN != 0:  # exact near the range, and beyond it what rounding takes is kept
        from_origin = x - A.ORIGIN
        subtracted = from_origin - x
        rest = (x - (from_origin - subtracted)) + (-A.ORIGIN - subtracted)
        x = from_origin
    upper = upper_half(x)
    product, shift = upper * A.SCALE, A.OFFSET - base
    total = product + shift
    added = total - product
    low = (x - upper) * A.SCALE + (x * A.SCALE_LOW + A.OFFSET_LOW)
    low += (product - (total - added)) + (shift - added)
    if A.ORIGIN != 0:
        low += rest * A.SCALE
    t = total + low
    return t, (total - t) + low
