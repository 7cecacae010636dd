"""Where a sample lies: tiles of bins and the samples' distances from their centres, on the host and inside kernels.

The K bins are cut into tiles of TILE. A sample belongs to the tile its coordinate t falls into and responds within that tile's
*reach*: REACH bins, MARGIN of them on either side of the tile. Histograms are summed over reaches, which overlap and stick out of
the range:

    open       bins outside the range are dropped; samples outside belong to the nearest tile
    circular   samples are taken modulo K, and so are bins
    reflect    samples outside are first mirrored at the nearer end, and so are bins. A sample farther out than the range is wide
               has a single image, which is not mirrored again: two more tiles, one at either end, take those and drop bins

Reaches of neighbouring tiles are laid out one TILE apart on the *extended axis*; those of the two more tiles follow apart.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..bins import Bins

TILE = 16
#: bins of a reach that a program handles at a time
SPAN = 32
#: beyond this reach windows of pairs of tiles take much more memory than the joint histogram
LARGEST_REACH = 96


class Axis(NamedTuple):
    """One histogram axis; `frozen`, a compile-time argument of the kernels."""

    COUNT: int
    TILE: int
    REACH: int
    RADIUS: int
    #: tiles within the range, and in all
    TILES: int
    SLOTS: int
    #: t = x * (SCALE + SCALE_LOW) + OFFSET + OFFSET_LOW
    SCALE: float
    SCALE_LOW: float
    OFFSET: float
    OFFSET_LOW: float
    BOUNDARY: str
    WINDOW: str
    BANDWIDTH: float
    #: bins that a program handles at a time, and in how many steps it covers the reach
    SPAN: int
    STEPS: int
    #: the logistic's constants, see windows.py
    MASS: float
    SEPARABLE: bool
    RATE: float
    RATE_LOW: float
    TWICE_COSH: float
    #: what responses and their derivatives have yet to be multiplied by
    FACTOR: float
    FACTOR_LOW: float
    SLOPE_FACTOR: float

    @property
    def frozen(self) -> Axis:
        """The same with every field a compile-time constant, which the compiler needs for shapes; its interpreter, none."""
        return _frozen(self)

    @property
    def images(self) -> int:
        """How many bins of the extended axis may fold onto one."""
        return {"open": 1, "circular": 3, "reflect": 5}[self.BOUNDARY]


@functools.cache
def _frozen(axis: Axis) -> Axis:
    return axis if triton.knobs.runtime.interpret else Axis(*map(tl.constexpr, axis))


def reach(bins: Bins, dtype: torch.dtype) -> int:
    """Bins in reach of a tile's samples, a multiple of SPAN."""
    return triton.cdiv(TILE + 2 * bins.radius(dtype), SPAN) * SPAN


def is_tiled(bins: Bins, dtype: torch.dtype) -> bool:
    """Whether bins are cut into tiles: where windows reach a small part of them. Else every sample meets every bin (dense.py)."""
    mirrored_far = bins.boundary == "reflect" and bins.radius(dtype) > TILE  # the two tiles for samples far outside are too few
    return reach(bins, dtype) <= min(LARGEST_REACH, bins.count // 2) and not mirrored_far


@functools.cache  # launches would otherwise make it anew each time
def make_axis(bins: Bins, dtype: torch.dtype) -> Axis:
    """The axis of these bins for samples of float32 or float64."""
    width, wide, radius = bins.effective_bandwidth, reach(bins, dtype), bins.radius(dtype)
    # in windows.py: a sample farthest from the centre of its tile, and the farthest bin
    largest_exponent = (TILE / 2 + radius + 1 + (wide - 1) / 2) / width
    separable = bins.window == "logistic" and largest_exponent < 0.95 * math.log(torch.finfo(dtype).max)
    factor = 2 * math.sinh(0.5 / width) if separable else 1.0
    rounded = torch.tensor(factor, dtype=dtype, device="cpu").item()
    tiles = triton.cdiv(bins.count, TILE)
    scale, offset, rate = bins.scale, -bins.low * bins.scale, math.log2(math.e) / width
    coarse_rate = upper_part(rate) if dtype == torch.float32 else rate
    coarse_offset = round(offset * 256) / 256  # a tile's centre can be subtracted from it without rounding
    return Axis(
        COUNT=int(bins.count),
        TILE=TILE,
        REACH=wide,
        RADIUS=radius,
        TILES=tiles,
        SLOTS=tiles + (2 if bins.boundary == "reflect" else 0),
        SCALE=upper_part(scale),
        SCALE_LOW=scale - upper_part(scale),
        OFFSET=coarse_offset,
        OFFSET_LOW=offset - coarse_offset,
        BOUNDARY=bins.boundary,
        WINDOW=bins.window,
        BANDWIDTH=width,
        SPAN=SPAN,
        STEPS=wide // SPAN,
        MASS=-math.expm1(-1 / width),
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


def accumulator(x: Tensor) -> tl.dtype:
    """The dtype kernels compute in."""
    return tl.float64 if x.dtype == torch.float64 else tl.float32


def precision(x: Tensor) -> str:
    """Of matrix products: a float32 in three tf32 parts, where there are such units; tf32 alone is too coarse."""
    return "tf32x3" if x.is_cuda and torch.version.hip is None and x.dtype == torch.float32 else "ieee"


@triton.jit
def upper_half(x):
    """x with 12 significant bits (of a float64: x), so that products with such a constant are exact."""
    if x.dtype == tl.float32:
        x = (x.to(tl.int32, bitcast=True) & -4096).to(tl.float32, bitcast=True)
    return x


@triton.jit
def tile_of(x, A: tl.constexpr):
    """The tile (int32) that samples x belong to; that of NaN is the one at coordinate 0."""
    t, _ = coordinate(within_reach(x, A), 0.0, A)
    t = tl.where(t == t, t, 0.0)
    place = t
    if A.BOUNDARY == "circular":
        place = t - tl.floor(t / A.COUNT) * A.COUNT
    elif A.BOUNDARY == "reflect":
        place = tl.where(t < 0, -t, tl.where(t > A.COUNT, 2.0 * A.COUNT - t, t))
    tile = tl.minimum(tl.maximum(tl.floor(place / A.TILE), 0.0), A.TILES - 1.0).to(tl.int32)
    if A.BOUNDARY == "reflect":
        tile = tl.where(t < A.RADIUS - A.COUNT, A.TILES, tl.where(t > 2 * A.COUNT - A.RADIUS, A.TILES + 1, tile))
    return tile


@triton.jit
def distance(x, tile, A: tl.constexpr):
    """Distance of samples x from their tile's centre in bins, rounded and what rounding left of it, and d/dt of it, 1 or -1.

    That of NaN is NaN.
    """
    x = within_reach(x, A)
    t, _ = coordinate(x, 0.0, A)
    center = (tile * A.TILE + A.TILE // 2).to(x.dtype)
    sign = tl.full(x.shape, 1.0, x.dtype)
    base = center + 0 * sign
    if A.BOUNDARY == "circular":
        base = center + tl.floor((t - center) * (1 / A.COUNT) + 0.5) * A.COUNT
    elif A.BOUNDARY == "reflect":  # a sample outside lies at the place of its mirror image
        sign = tl.where((t < 0) | (t > A.COUNT), -1.0, sign)
        center = tl.where(tile == A.TILES, A.COUNT - A.TILE / 2, tl.where(tile == A.TILES + 1, A.TILE / 2, center))
        base = sign * center + tl.where(t > A.COUNT, 2.0 * A.COUNT, 0.0)
    u, rest = coordinate(x, base, A)
    u, rest = sign * u, sign * rest
    if A.BOUNDARY != "circular":  # farther out the response has vanished, and its exponentials must not overflow
        bound: tl.constexpr = A.TILE / 2 + A.RADIUS + 1
        u = tl.where(u > bound, bound, tl.where(u < -bound, -bound, u))
    return u, rest, sign


@triton.jit
def within_reach(x, A: tl.constexpr):
    """Samples beyond the reach of any bin, infinite ones among them, brought to where they still respond in none; NaN stays."""
    if A.BOUNDARY != "circular":
        scale: tl.constexpr = A.SCALE + A.SCALE_LOW
        lowest: tl.constexpr = (-2 * (A.COUNT + A.RADIUS + 1) - A.OFFSET) / scale
        highest: tl.constexpr = (3 * (A.COUNT + A.RADIUS + 1) - A.OFFSET) / scale
        x = tl.where(x < lowest, lowest, tl.where(x > highest, highest, x))
    return x


@triton.jit
def coordinate(x, base, A: tl.constexpr):
    """t - base in bins, rounded and what rounding left of it: products of 12-bit numbers are exact, and sums keep their errors."""
    upper = upper_half(x)
    product, shift = upper * A.SCALE, A.OFFSET - base
    total = product + shift
    added = total - product
    low = (x - upper) * A.SCALE + (x * A.SCALE_LOW + A.OFFSET_LOW)
    low += (product - (total - added)) + (shift - added)
    t = total + low
    return t, (total - t) + low


@triton.jit
def real_bin(tile, w, A: tl.constexpr):
    """The histogram's bin that bin w of a tile's reach is, or -1 for one that is dropped."""
    start = tl.where(tile == A.TILES, A.COUNT - A.TILE, tl.where(tile == A.TILES + 1, 0, tile * A.TILE))
    k = start + w - (A.REACH - A.TILE) // 2
    if A.BOUNDARY == "circular":
        k = (k + A.COUNT) % A.COUNT
    elif A.BOUNDARY == "reflect":
        mirrored = tl.where(k < 0, -1 - k, tl.where(k >= A.COUNT, 2 * A.COUNT - 1 - k, k))
        k = tl.where(tile < A.TILES, mirrored, k)
    return tl.where((k >= 0) & (k < A.COUNT) & (tile < A.SLOTS), k, -1)


@triton.jit
def extended_tile(block, back, A: tl.constexpr):
    """The tile whose reach covers a block of the extended axis, of up to REACH / TILE tiles the one `back` blocks before, and the
    first of its bins that lies there; tile -1 if there is none."""
    along: tl.constexpr = A.REACH // A.TILE
    main: tl.constexpr = A.TILES - 1 + along
    apart = block - main
    tile = tl.where(block < main, block - back, tl.where(apart % along == back, A.TILES + apart // along, -1))
    exists = (tile >= 0) & ((block >= main) | (tile < A.TILES))
    return tl.where(exists, tile, -1), back * A.TILE


@triton.jit
def extended_bin(k, image, A: tl.constexpr):
    """The place on the extended axis of the `image`-th of the `images` bins that fold onto bin k, or -1."""
    margin: tl.constexpr = (A.REACH - A.TILE) // 2
    apart: tl.constexpr = (A.TILES - 1) * A.TILE + A.REACH
    place = k + margin
    if A.BOUNDARY == "circular":
        place = tl.where(image == 1, k - A.COUNT + margin, tl.where(image == 2, k + A.COUNT + margin, place))
        place = tl.where(place < apart, place, -1)
    elif A.BOUNDARY == "reflect":
        place = tl.where(image == 1, -1 - k + margin, tl.where(image == 2, 2 * A.COUNT - 1 - k + margin, place))
        place = tl.where(place < apart, place, -1)
        high, low = k - (A.COUNT - A.TILE) + margin, k + margin
        high = tl.where((high >= 0) & (high < A.REACH), apart + high, -1)
        low = tl.where(low < A.REACH, apart + A.REACH + low, -1)
        place = tl.where(image == 3, high, tl.where(image == 4, low, place))
    return place
