"""Boundaries inside kernels: the counterpart of ../boundaries.py.

Where bins are cut into tiles, histograms are summed over reaches, which overlap and stick out of the range:

    open       bins outside the range are dropped; samples outside belong to the nearest tile
    circular   samples are taken modulo K, and so are bins
    reflect    samples outside are first mirrored at the nearer end, and so are bins. A sample farther out than the range is wide
               has a single image, which is not mirrored again: two more tiles, one at either end, take those and drop bins

The reaches of the two more tiles follow on the extended axis, apart from each other and from the rest. Where every sample meets
every bin instead, each sample's images respond.
"""

import triton
import triton.language as tl

from .axis import Axis, coordinate
from .cells import nearest_cell
from .numbers import number
from .sizes import cdiv


def folded_bins(axis: Axis) -> int:
    """How many bins of the extended axis may fold onto one."""
    return {"open": 1, "circular": 3, "reflect": 5}[axis.BOUNDARY]


def images(axis: Axis) -> int:
    """Images of a sample at the boundary that respond, the sample itself among them."""
    laps = cdiv(axis.RADIUS, axis.K)
    return {"open": 1, "reflect": 3, "circular": 2 * laps + 1}[axis.BOUNDARY]


@triton.jit
def placeless(x, a, A: tl.constexpr):
    """Which samples have no place on the axis: NaN, and very large ones on a circle."""
    x = within_reach(x, a, A)
    return x != x


@triton.jit
def within_reach(x, a, A: tl.constexpr):
    """Samples beyond the reach of any bin, infinite ones among them, brought to where they still respond in none; NaN stays, and on
    a circle what has no place there becomes NaN."""
    if A.BOUNDARY == "circular":
        x = tl.where(tl.abs(x) < number(a.HIGHEST), x, float("nan"))
    else:
        lowest, highest = number(a.LOWEST), number(a.HIGHEST)
        x = tl.where(x < lowest, lowest, tl.where(x > highest, highest, x))
    return x


@triton.jit
def tile_of(x, a, A: tl.constexpr):
    """The tile (int32) that samples x belong to; that of NaN is the one at coordinate 0."""
    t, _ = coordinate(within_reach(x, a, A), 0.0, a, A)
    if A.CELL:
        cell, _ = nearest_cell(t, A.FIRST, A.FIRST + A.SLOTS - 1, A, 1 / A.CELL)
        tile = cell.to(tl.int32) - A.FIRST
    else:
        t = tl.where(t == t, t, 0.0)
        place = t
        if A.BOUNDARY == "circular":
            place = t - tl.floor(t / A.K) * A.K
        elif A.BOUNDARY == "reflect":
            place = tl.where(t < 0, -t, tl.where(t > A.K, 2.0 * A.K - t, t))
        tile = tl.minimum(tl.maximum(tl.floor(place / A.TILE), 0.0), A.TILES - 1.0).to(tl.int32)
        if A.BOUNDARY == "reflect":
            tile = tl.where(t < A.RADIUS - A.K, A.TILES, tl.where(t > 2 * A.K - A.RADIUS, A.TILES + 1, tile))
    return tile


@triton.jit
def distance(x, tile, a, A: tl.constexpr):
    """Distance of samples x from their tile's centre in bins, rounded and what rounding left of it, and d/dt of it, 1 or -1.

    That of NaN is NaN.
    """
    x = within_reach(x, a, A)
    t, _ = coordinate(x, 0.0, a, A)
    center = (tile * A.TILE + A.TILE // 2).to(x.dtype)
    sign = tl.full(x.shape, 1.0, x.dtype)
    base = center + 0 * sign  # `tile` may be a single one for all samples: adding zeros gives it their shape
    if A.BOUNDARY == "circular":
        base = center + tl.floor((t - center) * (1 / A.K) + 0.5) * A.K
    elif A.BOUNDARY == "reflect":  # a sample outside lies at the place of its mirror image
        sign = tl.where((t < 0) | (t > A.K), -1.0, sign)
        center = tl.where(tile == A.TILES, A.K - A.TILE / 2, tl.where(tile == A.TILES + 1, A.TILE / 2, center))
        base = sign * center + tl.where(t > A.K, 2.0 * A.K, 0.0)
    u, rest = coordinate(x, base, a, A)
    u, rest = sign * u, sign * rest
    if A.BOUNDARY != "circular":  # farther out the response has vanished, and its exponentials must not overflow
        bound: tl.constexpr = A.TILE / 2 + A.RADIUS + 1
        u = tl.where(u > bound, bound, tl.where(u < -bound, -bound, u))
    return u, rest, sign


@triton.jit
def image_of(t, center, i_m, IMAGES: tl.constexpr, A: tl.constexpr):
    """The i_m-th image of samples at coordinates t lies at sign * (t - base) from `center`: sign and base."""
    zero = 0 * t  # gives sign and base the samples' shape
    sign, base = 1 + zero, center + zero
    if A.BOUNDARY == "reflect":  # t, -t and 2K - t
        sign = tl.where(i_m == 0, 1, -1) + zero
        base += tl.where(i_m == 0, 0, tl.where(i_m == 1, -2 * center, 2 * A.K - 2 * center))
    elif A.BOUNDARY == "circular":  # t plus whole laps
        base = tl.floor(t / A.K) * A.K + (center - (i_m - IMAGES // 2) * A.K)
    return sign, base


@triton.jit
def real_bin(tile, w, A: tl.constexpr):
    """The histogram's bin that bin w of a tile's reach is, or -1 for one that is dropped."""
    start = tl.where(tile == A.TILES, A.K - A.TILE, tl.where(tile == A.TILES + 1, 0, tile * A.TILE))
    k = start + w - (A.REACH - A.TILE) // 2
    if A.BOUNDARY == "circular":
        k = (k + A.K) % A.K
    elif A.BOUNDARY == "reflect":
        mirrored = tl.where(k < 0, -1 - k, tl.where(k >= A.K, 2 * A.K - 1 - k, k))
        k = tl.where(tile < A.TILES, mirrored, k)
    return tl.where((k >= 0) & (k < A.K) & (tile < A.SLOTS), k, -1)


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
def extended_bin(k, i_m, A: tl.constexpr):
    """The place on the extended axis of the i_m-th of the `folded_bins` that fold onto bin k, or -1."""
    margin: tl.constexpr = (A.REACH - A.TILE) // 2
    apart: tl.constexpr = (A.TILES - 1) * A.TILE + A.REACH
    place = k + margin
    if A.BOUNDARY == "circular":
        place = tl.where(i_m == 1, k - A.K + margin, tl.where(i_m == 2, k + A.K + margin, place))
        place = tl.where(place < apart, place, -1)
    elif A.BOUNDARY == "reflect":
        place = tl.where(i_m == 1, -1 - k + margin, tl.where(i_m == 2, 2 * A.K - 1 - k + margin, place))
        place = tl.where(place < apart, place, -1)
        high, low = k - (A.K - A.TILE) + margin, k + margin
        high = tl.where((high >= 0) & (high < A.REACH), apart + high, -1)
        low = tl.where(low < A.REACH, apart + A.REACH + low, -1)
        place = tl.where(i_m == 3, high, tl.where(i_m == 4, low, place))
    return place
