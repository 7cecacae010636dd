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

import math
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..bins import Bins

TILE = 16
#: beyond this reach tiles pay no longer: a sample responds in a large part of the bins
LARGEST_REACH = 128


class Axis(NamedTuple):
    """One histogram axis; `frozen`, a compile-time argument of the kernels."""

    COUNT: int
    TILE: int
    REACH: int
    RADIUS: int
    #: tiles within the range, and in all
    TILES: int
    SLOTS: int
    #: t = x * (SCALE + SCALE_LOW) + OFFSET + OFFSET_LOW; SLOPE is dt/dx
    SCALE: float
    SCALE_LOW: float
    OFFSET: float
    OFFSET_LOW: float
    SLOPE: float
    BOUNDARY: str
    WINDOW: str
    BANDWIDTH: float
    #: the logistic's constants, see windows.py
    MASS: float
    SEPARABLE: bool
    RATE: float
    RATE_LOW: float
    TWICE_SINH: float
    TWICE_COSH: float

    @property
    def frozen(self) -> Axis:
        """The same with every field a compile-time constant, which the compiler needs for shapes; its interpreter, none."""
        return self if triton.knobs.runtime.interpret else Axis(*map(tl.constexpr, self))

    @property
    def images(self) -> int:
        """How many bins of the extended axis may fold onto one."""
        return {"open": 1, "circular": 3, "reflect": 5}[self.BOUNDARY]


def reach(bins: Bins, dtype: torch.dtype) -> int:
    """Bins in reach of a tile's samples, a power of two."""
    return max(2 * TILE, triton.next_power_of_2(TILE + 2 * bins.radius(dtype)))


def untiled(bins: Bins, dtype: torch.dtype) -> str | None:
    """Why these bins cannot be cut into tiles, None if they can: too few for their window, or too wide a window."""
    wide = reach(bins, dtype)
    if wide <= LARGEST_REACH and bins.count >= 2 * wide:
        return None
    return f"needs at least {2 * wide} bins for this window and dtype, got {bins}"


def make_axis(bins: Bins, dtype: torch.dtype) -> Axis:
    """The axis of these bins for samples of float32 or float64."""
    width, wide, radius = bins.effective_bandwidth, reach(bins, dtype), bins.radius(dtype)
    # the largest exponent in windows.py: a sample farthest from the centre of its tile, and the farthest bin
    separable = bins.window == "logistic" and (TILE / 2 + radius + 1 + wide / 2) / width < 0.9 * math.log(torch.finfo(dtype).max)
    tiles = triton.cdiv(bins.count, TILE)
    scale, offset, rate = bins.scale, -bins.low * bins.scale, math.log2(math.e) / width
    coarse_rate = _upper(rate) if dtype == torch.float32 else rate
    coarse_offset = round(offset * 256) / 256  # a tile's centre can be subtracted from it without rounding
    return Axis(
        COUNT=int(bins.count),
        TILE=TILE,
        REACH=wide,
        RADIUS=radius,
        TILES=tiles,
        SLOTS=tiles + (2 if bins.boundary == "reflect" else 0),
        SCALE=_upper(scale),
        SCALE_LOW=scale - _upper(scale),
        OFFSET=coarse_offset,
        OFFSET_LOW=offset - coarse_offset,
        SLOPE=scale,
        BOUNDARY=bins.boundary,
        WINDOW=bins.window,
        BANDWIDTH=width,
        MASS=-math.expm1(-1 / width),
        SEPARABLE=separable,
        RATE=coarse_rate,
        RATE_LOW=rate - coarse_rate,
        TWICE_SINH=2 * math.sinh(0.5 / width) if separable else 0.0,
        TWICE_COSH=2 * math.cosh(0.5 / width) if separable else 0.0,
    )


def _upper(value: float) -> float:
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
def locate(x, A: tl.constexpr):
    """Tile (int32), distance u from the tile's centre in bins, and du/dt (1 or -1) of samples x. u of NaN is NaN."""
    if A.BOUNDARY != "circular":  # infinite samples, as all that lie far outside, respond in no bin
        lowest: tl.constexpr = (-4 * A.COUNT - A.OFFSET) / A.SLOPE
        highest: tl.constexpr = (5 * A.COUNT - A.OFFSET) / A.SLOPE
        x = tl.where(x < lowest, lowest, tl.where(x > highest, highest, x))
    t = coordinate(x, 0.0, A)
    t = tl.where(t == t, t, 0.0)
    sign = tl.full(x.shape, 1.0, x.dtype)
    shift = tl.full(x.shape, 0.0, x.dtype)
    far_low, far_high = t != t, t != t
    if A.BOUNDARY == "circular":
        shift = tl.floor(t / A.COUNT) * A.COUNT
    elif A.BOUNDARY == "reflect":
        far_low, far_high = t < A.RADIUS - A.COUNT, t > 2 * A.COUNT - A.RADIUS
        sign = tl.where((t < 0) | (t > A.COUNT), -1.0, sign)
        shift = tl.where(t > A.COUNT, 2.0 * A.COUNT, shift)
    # within the range the sample lies at sign * (t - shift)
    index = tl.floor(sign * (t - shift) / A.TILE)
    index = tl.minimum(tl.maximum(index, 0.0), A.TILES - 1.0)
    center = index * A.TILE + A.TILE / 2
    center = tl.where(far_low, A.COUNT - A.TILE / 2, tl.where(far_high, A.TILE / 2, center))
    tile = tl.where(far_low, A.TILES, tl.where(far_high, A.TILES + 1, index.to(tl.int32)))
    u = sign * coordinate(x, shift + sign * center, A)
    # farther out the response has vanished, and its exponentials must not overflow
    bound: tl.constexpr = A.TILE / 2 + A.RADIUS + 1
    return tile, tl.where(u > bound, bound, tl.where(u < -bound, -bound, u)), sign


@triton.jit
def coordinate(x, base, A: tl.constexpr):
    """t - base in bins: t is rounded only after the subtraction, as the product of 12-bit numbers is exact."""
    upper = upper_half(x)
    return (upper * A.SCALE + (A.OFFSET - base)) + ((x - upper) * A.SCALE + (x * A.SCALE_LOW + A.OFFSET_LOW))


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
