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
from ..windows import WINDOWS, Window, is_separable
from .constants import Constants
from .numbers import as_given, number, packed
from .sizes import cdiv
from .special import scaled_erfc

TILE = 16
#: bins of a reach that a program handles at a time
SPAN = 32
#: beyond this reach windows of pairs of tiles take much more memory than the joint histogram
LARGEST_REACH = 96


class Numbers(NamedTuple):
    """What of an axis kernels are given when they run, so that other ranges need no others; see numbers.py."""

    #: t = (x - ORIGIN) * (SCALE + SCALE_LOW) + OFFSET + OFFSET_LOW; ORIGIN is meant only if the axis is FAR
    ORIGIN: Any
    SCALE: Any
    SCALE_LOW: Any
    OFFSET: Any
    OFFSET_LOW: Any
    #: samples beyond are brought here, where they respond in no bin; on a circle, they have no place
    LOWEST: Any
    HIGHEST: Any
    #: of the window: the bandwidth W, 1 / W, and its own constant
    WIDTH: Any
    PER_WIDTH: Any
    CONSTANT: Any
    #: the separable form's, see responses.py
    RATE: Any
    RATE_LOW: Any
    TWICE_COSH: Any
    #: what responses have yet to be multiplied by, and their derivatives beside
    FACTOR: Any
    FACTOR_LOW: Any
    SLOPE: Any


class _Fields(NamedTuple):
    """See Axis."""

    K: int
    TILE: int
    REACH: int
    #: no response reaches farther; whole margins, or whole laps of a circle, so that few bandwidths differ in it
    RADIUS: int
    #: tiles within the range, and in all
    TILES: int
    SLOTS: int
    #: bins of a cell, where tiles are cells of ../cells.py, the first of them, and terms of their polynomials, padded; else 0
    CELL: int
    FIRST: int
    TERMS: int
    #: whether the range is far from 0
    FAR: bool
    BOUNDARY: str
    #: the window's response and derivative, (u, W, 1 / W, CONSTANT) -> value
    RESPONSE: Any
    DERIVATIVE: Any
    #: whether a sample's responses in all bins sum to the same wherever it lies
    EVEN_SUM: bool
    #: bins that a program handles at a time, and in how many steps it covers the reach
    SPAN: int
    STEPS: int
    #: whether responses are computed in their separable form
    SEPARABLE: bool
    #: whether they take many registers
    HEAVY: bool
    #: of the numbers, those that the bandwidth gives, at the window's natural one, where knowing them saves a thread a register for
    #: each bin; None at others
    WIDTH: float | None
    PER_WIDTH: float | None
    CONSTANT: float | None
    RATE: float | None
    RATE_LOW: float | None
    TWICE_COSH: float | None
    #: None in a kernel, which has them as an argument of its own
    NUMBERS: Numbers | None


class Axis(Constants, _Fields):
    """One histogram axis: compile-time constants of the kernels, of which a number of bins, a window and a boundary have few sets,
    and numbers."""

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
    return cdiv(TILE + 2 * bins.radius(dtype), SPAN) * SPAN


def is_tiled(bins: Bins, dtype: torch.dtype) -> bool:
    """Whether bins are cut into tiles: where windows reach a small part of them. Else every sample meets every bin."""
    return _is_tiled(bins, WINDOWS[bins.window], dtype)


@functools.lru_cache(maxsize=1024)
def _is_tiled(bins: Bins, window: Window, dtype: torch.dtype) -> bool:
    mirrored_far = bins.boundary == "reflect" and bins.radius(dtype) > TILE  # the two tiles for samples far outside are too few
    return reach(bins, dtype) <= min(LARGEST_REACH, bins.count // 2) and not mirrored_far


@functools.lru_cache(maxsize=1024)  # launches would otherwise make it anew each time
def make_axis(bins: Bins, dtype: torch.dtype) -> Axis:
    """The axis of these bins for samples of float32 or float64."""
    window, width = WINDOWS[bins.window], bins.effective_bandwidth
    tiled, tiles = is_tiled(bins, dtype), cdiv(bins.count, TILE)
    wide = reach(bins, dtype) if tiled else SPAN
    radius = _radius(bins, dtype, (wide - TILE) // 2 if tiled else None)
    # in responses.py: a sample farthest from the centre of its tile, and the farthest bin
    separable = tiled and is_separable(window, width, TILE / 2 + radius + 1 + (wide - 1) / 2, dtype)
    given = _of_bandwidth(bins, dtype, separable)
    # far from zero, samples have few digits for where they lie in the range, and all of them count
    far = min(abs(bins.low), abs(bins.high)) > bins.high - bins.low
    return Axis(
        K=int(bins.count),
        TILE=TILE,
        REACH=wide,
        RADIUS=radius,
        TILES=tiles,
        SLOTS=tiles + (2 if bins.boundary == "reflect" else 0),
        CELL=0,
        FIRST=0,
        TERMS=0,
        FAR=far,
        BOUNDARY=bins.boundary,
        RESPONSE=_compiled(window.kernel_response),
        DERIVATIVE=_compiled(window.kernel_derivative),
        EVEN_SUM=window.even_sum(width),
        SPAN=SPAN,
        STEPS=wide // SPAN,
        SEPARABLE=separable,
        HEAVY=window.heavy,
        **given if width == window.natural_bandwidth else dict.fromkeys(given),
        NUMBERS=_numbers(bins, dtype, far, separable),
    )


@functools.lru_cache(maxsize=1024)
def make_cells_axis(bins: Bins, dtype: torch.dtype, cell: int, first: int, count: int, terms: int) -> Axis:
    """The same whose tiles are `count` cells of `cell` bins, from the `first` on."""
    return make_axis(bins, dtype)._replace(CELL=cell, FIRST=first, SLOTS=count, TERMS=terms)


def _of_bandwidth(bins: Bins, dtype: torch.dtype, separable: bool) -> dict[str, float]:
    """The numbers that the window and the bandwidth give."""
    width = bins.effective_bandwidth
    rate = math.log2(math.e) / width if separable else 0.0
    coarse = as_given(upper_part(rate) if dtype == torch.float32 else rate, dtype)
    return {
        "WIDTH": width,
        "PER_WIDTH": 1 / width,
        "CONSTANT": WINDOWS[bins.window].constant(width),
        "RATE": coarse,
        "RATE_LOW": rate - coarse,
        "TWICE_COSH": 2 * math.cosh(0.5 / width) if separable else 0.0,
    }


def _radius(bins: Bins, dtype: torch.dtype, margin: int | None) -> int:
    """Bins beyond which nothing responds: the margin of a tile, where there are tiles, or whole laps of the bins."""
    if margin is None:
        return cdiv(bins.radius(dtype), bins.count) * bins.count if bins.boundary == "circular" else bins.count
    return min(margin, TILE) if bins.boundary == "reflect" else margin  # beyond, the two more tiles do not reach


def _numbers(bins: Bins, dtype: torch.dtype, far: bool, separable: bool) -> Numbers:
    """The axis' numbers as kernels are given them, each rounded as its type is, and what rounding left in the one after it."""
    width, given = bins.effective_bandwidth, functools.partial(as_given, dtype=dtype)
    factor = 2 * math.sinh(0.5 / width) if separable else 1.0
    origin = given(bins.low if far else 0.0)
    scale, offset = bins.scale, (origin - bins.low) * bins.scale
    coarse_scale = given(upper_part(scale))
    coarse_offset = given(round(offset * 256) / 256)  # a tile's centre can be subtracted from it without rounding
    # farther out, samples that are not on a circle respond in no bin
    farthest, beyond = bins.farthest(dtype), (bins.count + bins.radius(dtype) + 1) / scale
    outside = (-farthest, farthest) if bins.boundary == "circular" else (bins.low - 2 * beyond, bins.low + 3 * beyond)
    values = Numbers(
        ORIGIN=origin,
        SCALE=coarse_scale,
        SCALE_LOW=scale - coarse_scale,
        OFFSET=coarse_offset,
        OFFSET_LOW=offset - coarse_offset,
        LOWEST=outside[0],
        HIGHEST=outside[1],
        **_of_bandwidth(bins, dtype, separable),
        FACTOR=given(factor),
        FACTOR_LOW=factor - given(factor),
        SLOPE=-scale * factor / width / given(factor) if separable else scale,
    )
    return Numbers(*packed(values, dtype))


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
def coordinate(x, base, a, A: tl.constexpr):
    """t - base in bins, rounded and what rounding left of it: products of 12-bit numbers are exact, and sums keep their errors."""
    if A.FAR:  # exact near the range, and beyond it what rounding takes is kept
        origin = number(a.ORIGIN)
        from_origin = x - origin
        subtracted = from_origin - x
        rest = (x - (from_origin - subtracted)) + (-origin - subtracted)
        x = from_origin
    upper = upper_half(x)
    scale = number(a.SCALE)
    product, shift = upper * scale, number(a.OFFSET) - base
    total = product + shift
    added = total - product
    low = (x - upper) * scale + (x * number(a.SCALE_LOW) + number(a.OFFSET_LOW))
    low += (product - (total - added)) + (shift - added)
    if A.FAR:
        low += rest * scale
    t = total + low
    return t, (total - t) + low
