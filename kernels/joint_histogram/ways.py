"""Which way is the least work, by estimates of a row's time from the shapes alone: so that what is kept for the backward pass has a
shape that is known before."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..common.bins import Bins, divides_well
from ..common.bins_axis import BinsAxis, bins_axis
from ..common.separated import separated
from ..common.tiles import Tiling
from ..common.windows import WINDOWS, Window
from .axes import CellsAxis, cells_axis, of_cells

#: widths of a cell that are tried, in bins, as powers of two
NARROWEST, WIDEST = -1, 7
#: numbers of a row's moments beyond which cells are not tried: 32 MB in float64
MOST_MOMENTS = 1 << 22
#: nanoseconds, measured on one core of an EPYC, of which only the ratios matter, of both passes: a response by factors, bin by bin,
#: a polynomial; a multiply-add of a sample; a sample's place in the order; a run, and a number of its window; a number of the
#: extended histogram, and a multiply-add of folding it; the calls of a product and of runs
RESPONSE, UNSEPARATED, POLYNOMIAL = 3.5, 20.0, 3.0
MULTIPLY_ADD, ORDER = 0.03, 90.0
RUN_OVERHEAD, WINDOW_CELL = 1000.0, 5.0
EXTENDED, FOLD = 10.0, 0.055
FEW_CALLS, MANY_CALLS = 0.3e6, 2.0e6
#: times as long as that what cells on one axis alone take: 1.2 to 2.3, since products of few numbers with many are slow
MIXED = 1.7


class Way(NamedTuple):
    """Tiles of bins, or cells of 2^exponent of them, on either axis."""

    cells_x: int | None
    cells_y: int | None

    def axes(self, bins_x: Bins, bins_y: Bins, x: Tensor, y: Tensor) -> tuple[BinsAxis | CellsAxis, BinsAxis | CellsAxis]:
        return tuple(
            bins_axis(bins, samples) if exponent is None else cells_axis(bins, samples, exponent)
            for bins, samples, exponent in ((bins_x, x, self.cells_x), (bins_y, y, self.cells_y))
        )


def way_for(bins_x: Bins, bins_y: Bins, x: Tensor) -> Way | None:
    """The way for rows of samples x (B, N), not empty; None for one product of all responses."""
    return _way(bins_x, bins_y, WINDOWS[bins_x.window], WINDOWS[bins_y.window], x.dtype, x.shape[1])


class _Candidate(NamedTuple):
    """What an axis costs: tiles, numbers of a sample, of an extended range, and the time to make numbers and to fold."""

    exponent: int | None
    tiles: int
    size: int
    step: int
    #: nanoseconds for each number of a sample, both passes
    number: float
    #: multiply-adds of folding a number of the extended range, float64
    fold: float


@functools.lru_cache(maxsize=512)
def _way(bins_x: Bins, bins_y: Bins, window_x: Window, window_y: Window, dtype: torch.dtype, samples: int) -> Way | None:
    best, least = None, _product_cost(bins_x, bins_y, dtype, samples)
    for x in _candidates(bins_x, window_x, dtype):
        for y in _candidates(bins_y, window_y, dtype):
            cost = _runs_cost(x, y, samples)
            if cost < least:
                best, least = Way(x.exponent, y.exponent), cost
    return best


def _extended(bins: Bins, dtype: torch.dtype) -> int:
    """Bins of a single tile."""
    return bins.count if bins.boundary == "open" else bins.count + 2 * bins.radius(dtype)


def _number_cost(bins: Bins, reach: int, dtype: torch.dtype) -> float:
    return RESPONSE if separated(bins, dtype, reach, torch.device("cpu")) is not None else UNSEPARATED


def _product_cost(bins_x: Bins, bins_y: Bins, dtype: torch.dtype, samples: int) -> float:
    x, y = _extended(bins_x, dtype), _extended(bins_y, dtype)
    responses = x * _number_cost(bins_x, x, dtype) + y * _number_cost(bins_y, y, dtype)
    return FEW_CALLS + samples * (responses + 3 * MULTIPLY_ADD * x * y)


@functools.lru_cache(maxsize=512)
def _candidates(bins: Bins, window: Window, dtype: torch.dtype) -> list[_Candidate]:
    tiling = Tiling.covering(bins, torch.tensor([[bins.low, bins.high]], dtype=dtype, device="cpu"))
    found = []
    if tiling.margin:
        found.append(_Candidate(None, tiling.count, tiling.reach, tiling.tile, _number_cost(bins, tiling.reach, dtype), 1.0))
    # responses by polynomials are right to some roundings of the peak: too coarse to be divided by small sums
    for exponent in range(NARROWEST, WIDEST + 1) if divides_well(bins) else ():
        axis = of_cells(bins, window, dtype, 2.0**exponent, True)
        if axis is not None:
            found.append(_Candidate(exponent, axis.count, axis.size, axis.size, POLYNOMIAL, axis.reach))
    return found


def _runs_cost(x: _Candidate, y: _Candidate, samples: int) -> float:
    pairs, extended = x.tiles * y.tiles, x.tiles * x.step * y.tiles * y.step
    if (x.exponent is not None or y.exponent is not None) and extended > MOST_MOMENTS:
        return math.inf
    # photos leave most pairs empty
    occupied = min(samples, pairs) ** 0.9
    runs = occupied + samples / (2 * max(x.size, y.size))
    slots = max(samples + occupied * 4, 8 * runs)
    window = x.size * y.size
    each = ORDER * samples + slots * (x.size * x.number + y.size * y.number + 3 * MULTIPLY_ADD * window)
    each *= MIXED if (x.exponent is None) != (y.exponent is None) else 1.0
    return MANY_CALLS + each + runs * (RUN_OVERHEAD + WINDOW_CELL * window) + extended * (EXTENDED + 2 * FOLD * (x.fold + y.fold))
