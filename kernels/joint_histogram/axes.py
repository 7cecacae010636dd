"""What an axis makes of samples that are in runs of one tile: the numbers that describe each, of which products are made.

In tiles of bins these are the responses in the bins of the tile's reach. In tiles that are cells of common/cells.py they are
Chebyshev polynomials of a sample's place in its cell, of which responses are sums: fewer numbers where windows are wide. A sum over
samples of the products of both axes' numbers is a window, which `fold` brings onto the bins; `expand` is its transpose, by which
the upstream gradient meets the samples' numbers.
"""

from __future__ import annotations

import functools
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..common.bins import Bins
from ..common.cells import Grid, grid_of, is_inside
from ..common.polynomials import MOST_TERMS, Table
from ..common.windows import WINDOWS, Window

#: times as long as in a product of whole matrices a multiply-add takes in one of bands
DENSE = 4


class Axis(Protocol):
    """One axis of a joint histogram: `count` tiles, whose windows of `size` numbers begin `step` numbers after each other in an
    extended range of `extent`. A product of samples' values is `factor` times too small, one with their slopes `slope_factor`."""

    count: int
    size: int
    step: int
    extent: int
    factor: float
    slope_factor: float
    #: whether slopes meet another `expand` than values
    two_tables: bool

    def locate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Tile of every sample, int64, and its place there, float64."""

    def describe(self, place: Tensor) -> Tensor:
        """What values are made of, of places (runs, length): with runs first."""

    def values(self, described: Tensor) -> Tensor:
        """(runs, length, size)."""

    def along(self, windows: Tensor, others: Tensor) -> Tensor:
        """Windows (runs, size, other axis's size) times the other axis's values (runs, length, size): (runs, length, size)."""

    def slopes(self, described: Tensor, values: Tensor, along: Tensor) -> Tensor:
        """Sums over `along` times slopes, (runs, length); `along` is overwritten."""

    def fold(self, extended: Tensor) -> Tensor:
        """(..., extent) -> (..., K), float64."""

    def expand(self, grad: Tensor, slopes: bool) -> Tensor:
        """(..., K) -> (..., extent)."""


class CellsAxis:
    """Tiles that are cells."""

    factor, two_tables = 1.0, True

    def __init__(self, grid: Grid, dtype: torch.dtype) -> None:
        self._grid, self._dtype = grid, dtype
        #: the first block of bins that has a cell
        self.first = grid.first
        self._matrices: dict[tuple[bool, torch.device], Tensor] = {}
        self.count, self.size = grid.slots(grid.response), grid.response.terms
        # bins that meet a number: where a band would be most of the matrix, the whole matrix is sooner done
        self.dense = grid.bins.count <= DENSE * grid.cut.reach
        self.reach = grid.bins.count if self.dense else DENSE * grid.cut.reach
        self.step, self.extent, self.slope_factor = self.size, self.count * self.size, grid.bins.scale

    def locate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        cell, place = self._grid.locate(x)
        return cell.long(), place

    def describe(self, place: Tensor) -> Tensor:
        return place.mul(2).sub_(1).to(self._dtype)

    def values(self, described: Tensor) -> Tensor:
        # T_j(2 v), one after the other
        values = described.new_empty(len(described), self.size, described.shape[1])
        each = values.unbind(1)
        each[0].fill_(1)
        each[1].copy_(described)
        double = described * 2
        for j in range(2, self.size):
            torch.addcmul(-each[j - 2], double, each[j - 1], out=each[j])
        return values.mT

    def along(self, windows: Tensor, others: Tensor) -> Tensor:
        return torch.matmul(windows, others.mT).mT

    def slopes(self, described: Tensor, values: Tensor, along: Tensor) -> Tensor:
        return along.mul_(values).sum(-1)

    def fold(self, extended: Tensor) -> Tensor:
        if self.dense:
            return extended.double() @ self.matrix(False, extended.device).mT
        moments = extended.double().reshape(-1, self.count, self.size).permute(2, 0, 1)
        return self._grid.histogram(moments).view(*extended.shape[:-1], -1)

    def expand(self, grad: Tensor, slopes: bool) -> Tensor:
        return grad.double() @ self.matrix(slopes, grad.device) if self.dense else self._expand(grad, slopes)

    def _expand(self, grad: Tensor, slopes: bool) -> Tensor:
        table = self._grid.derivative if slopes else self._grid.response
        rows = grad.reshape(-1, grad.shape[-1])
        numbers = self._grid.polynomials(rows, table, 1.0, torch.float64)
        return numbers.view(self.size, len(rows), self.count).permute(1, 2, 0).reshape(*grad.shape[:-1], self.extent)

    def matrix(self, slopes: bool, device: torch.device) -> Tensor:
        """The whole of `expand`, (K, extent), float64."""
        if (slopes, device) not in self._matrices:
            identity = torch.eye(self._grid.bins.count, dtype=torch.float64, device=device)
            self._matrices[slopes, device] = self._expand(identity, slopes)
        return self._matrices[slopes, device]


def cells_axis(bins: Bins, x: Tensor, exponent: int) -> CellsAxis:
    """In cells of 2^exponent bins, for which there must be polynomials."""
    return of_cells(bins, WINDOWS[bins.window], x.dtype, 2.0**exponent, is_inside(bins, x))


@functools.lru_cache(maxsize=128)
def of_cells(
    bins: Bins, window: Window, dtype: torch.dtype, cell: float, inside: bool, most: int = MOST_TERMS, multiple: int = 1
) -> CellsAxis | None:
    """In cells of so many bins, with at most so many terms, padded to a power of two times `multiple` if that is not 1. None where
    there are no polynomials, or where slopes jump at the ends of cells."""
    grid = grid_of(bins, window, dtype, cell, inside, True, most)
    if grid is None or grid.response.ends or grid.derivative.ends:
        return None
    terms = max(grid.response.terms, grid.derivative.terms)
    if multiple > 1:
        terms = multiple << (-(-terms // multiple) - 1).bit_length()
    response, derivative = (_with_terms(table, terms) for table in (grid.response, grid.derivative))
    return CellsAxis(Grid(bins, grid.cut, response, derivative, grid.first, grid.blocks, inside), dtype)


def _with_terms(table: Table, terms: int) -> Table:
    return Table(pad(table.matrix, (0, 0, 0, (terms - table.terms) * table.slots)), terms, table.slots, table.ends)
