"""Which cells, if any, the Triton kernels cut wide windows' axes into: an estimate from shapes alone, as what is kept for the
backward pass must have a shape that is known before. The torch backend's is ways.py."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import torch
from torch.utils._python_dispatch import _disable_current_modes

from ..common.bins import Bins, divides_well
from ..common.polynomials import MOST_CHEBYSHEV, MOST_TERMS
from ..common.windows import WINDOWS, Window
from .axes import CellsAxis, of_cells

#: widths of a cell that are tried, in bins, from the widest on
WIDTHS = (*(eighths << exponent for exponent in range(4, -1, -1) for eighths in (7, 6, 5, 4)), 3, 2, 1)
#: bins on either side of a sample's own that windows reach which are not wide: a tile's samples reach no more than a span
NARROW = 8
#: terms are padded to this, or twice as many, for matrix products
TERMS = 16
#: numbers of an image's moments, and of an axis' matrix, beyond which cells are not tried: 8 MB and 16 MB in float32
MOST_NUMBERS, MOST_MATRIX = 1 << 21, 1 << 22
#: instructions that a sample takes in both passes, of compiled kernels (`python -m bench compile`), rounded: putting it in order;
#: 16 x 16 moments; a square of 32 x 32 bins in tiles, by factors or bin by bin, and in no order
ORDER, MOMENTS, SEPARATED, UNSEPARATED, UNORDERED = 18.0, 30.0, 110.0, 350.0, 300.0
#: those of a pair of cells: looking up a segment's, in both passes, blocks that are not full, and adding it up; and of a pair and
#: a sample, when pairs are counted; of a multiply-add of the folding products
PAIR, COUNTED, MULTIPLY_ADD = 1000.0, 0.003, 0.02
#: how much less work cells must be, as all this is an estimate
GAIN = 2.0


class Cells(NamedTuple):
    """The cells of an axis: of `width` bins each, `count` from the `first` on, and terms of their polynomials."""

    width: int
    first: int
    count: int
    terms: int

    @property
    def extent(self) -> int:
        return self.count * self.terms

    def axis(self, bins: Bins, dtype: torch.dtype) -> CellsAxis:
        """What the torch backend has of it."""
        axis = _axis(bins, WINDOWS[bins.window], dtype, self.width)
        assert axis is not None
        return axis


def _axis(bins: Bins, window: Window, dtype: torch.dtype, width: int) -> CellsAxis | None:
    most = MOST_CHEBYSHEV if dtype == torch.float64 else MOST_TERMS
    return of_cells(bins, window, dtype, width, False, most, TERMS)


@functools.lru_cache(maxsize=512)
def _widest(bins: Bins, window: Window, dtype: torch.dtype) -> Cells | None:
    """The widest cells of whole bins on which the window is a short polynomial."""
    if window.knots:  # slopes jump there, or cells would be narrow
        return None
    with _disable_current_modes():  # tables are made of tensors, also where fake ones are looked at
        for width in WIDTHS:
            axis = _axis(bins, window, dtype, width)
            if axis is not None:
                return Cells(width, axis.first, axis.count, axis.size)
    return None


def cells_for(
    bins_x: Bins, bins_y: Bins, dtype: torch.dtype, samples: int, tiled: tuple[int, bool] | None, most_pairs: int
) -> tuple[Cells, Cells] | None:
    """The cells of both axes for images of so many samples; None where neither window is wide, for more than `most_pairs`, or where
    they are no gain over `tiled`, the squares of 32 x 32 bins that a sample reaches and whether responses separate, or without it
    over all bins."""
    if max(bins.radius(dtype) for bins in (bins_x, bins_y)) <= NARROW or not all(map(divides_well, (bins_x, bins_y))):
        return None
    x, y = (_widest(bins, WINDOWS[bins.window], dtype) for bins in (bins_x, bins_y))
    if x is None or y is None or x.count * y.count > most_pairs or x.extent * y.extent > MOST_NUMBERS:
        return None
    if max(x.extent * bins_x.count, y.extent * bins_y.count) > MOST_MATRIX:
        return None
    if tiled is None:
        today = UNORDERED * math.ceil(bins_x.count / 32) * math.ceil(bins_y.count / 32)
    else:
        today = ORDER + (SEPARATED if tiled[1] else UNSEPARATED) * tiled[0]
    return (x, y) if GAIN * _cost(x, y, bins_x.count, bins_y.count, samples) < today else None


def _cost(x: Cells, y: Cells, count_x: int, count_y: int, samples: int) -> float:
    """Instructions of a sample, both passes."""
    pairs = x.count * y.count
    # forward M A_y and A_x^T that; backward G A_y and A_x that, with either's slopes
    products = x.extent * count_y * (y.extent + count_x) + 2 * count_x * y.extent * (count_y + x.extent)
    each = ORDER + COUNTED * pairs + MOMENTS * (x.terms * y.terms / TERMS**2)
    return each + (PAIR * pairs + MULTIPLY_ADD * products) / samples
