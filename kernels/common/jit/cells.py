"""Cells of an axis inside kernels, the counterpart of ../cells.py: which cell a sample is in, where in it, and the Chebyshev
polynomials of that."""

import triton
import triton.language as tl

from .axis import coordinate


@triton.jit
def nearest_cell(t, LOW, HIGH, A: tl.constexpr, PER_BIN: tl.constexpr):
    """The cell, of LOW to HIGH, of samples at coordinates t, and the laps of a circle before it, in bins.
    That of NaN is the one at coordinate 0."""
    t = tl.where(t == t, t, 0.0)
    lap = tl.zeros_like(t)
    if A.BOUNDARY == "circular":
        lap = tl.floor(t / A.K) * A.K
    cell = tl.floor((t - lap) * PER_BIN)
    return tl.minimum(tl.maximum(cell, LOW), HIGH), lap


@triton.jit
def kept_near(place):
    """Places in cells, [0, 1], as polynomials take them: coordinates are rounded, and a sample may lie a little beyond its cell;
    far beyond all, it is brought to where nothing responds. NaN stays."""
    return tl.where(place < -0.0625, -0.0625, tl.where(place > 1.0625, 1.0625, place))


@triton.jit
def place_in(x, tile, a, A: tl.constexpr):
    """Place of samples x, which lie within reach, in the cell that is their tile, -1 at its left end and 1 at its right."""
    start = (tile + A.FIRST) * A.CELL + tl.zeros_like(x)
    if A.BOUNDARY == "circular":  # t and the start may be on either side of the seam
        t, _ = coordinate(x, 0.0, a, A)
        start += tl.floor((t - start - A.CELL * 0.5) * (1 / A.K) + 0.5) * A.K
    u, rest = coordinate(x, start, a, A)
    return 2 * kept_near((u + rest) * (1 / A.CELL)) - 1


@triton.jit
def _joined(values, HALF: tl.constexpr):
    """Of each of the first half of the values and its like in the second, one with a dimension more."""
    joined = (tl.join(values[0], values[HALF]),)
    for j in tl.static_range(1, HALF):
        joined += (tl.join(values[j], values[j + HALF]),)
    return joined


@triton.jit
def chebyshev(z, TERMS: tl.constexpr):
    """T_0(z) and on of z [BN], [BN, TERMS], TERMS 16 or 32. A thread makes all of a sample's, one after the other; joining
    them moves nothing between threads."""
    values = (tl.full(z.shape, 1.0, z.dtype), z)
    for j in tl.static_range(2, TERMS):
        values += (2 * z * values[j - 1] - values[j - 2],)
    if TERMS == 32:
        values = _joined(values, 16)
    values = _joined(_joined(_joined(_joined(values, 8), 4), 2), 1)
    # a sum of one number each: of operands that are joined Triton's compiler thinks that they were packed numbers of half the size,
    # and lays them out so, which it has no float64 products for
    return tl.sum(tl.reshape(values[0], [z.shape[0], TERMS, 1]), 2)
