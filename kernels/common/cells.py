"""One axis as a table: what samples do to a histogram is told by their moments on cells, and what a gradient does to them by a
polynomial on each (see polynomials.py). What a sample costs depends neither on the bins nor on the window.

With s_n v_n^j summed over the samples of every cell, the moments M[cell, j],

    h = fold(sum over cells and j of M[cell, j] matrix[j, cell, bin of the reach])

where `fold` brings an extended range of bins onto the real ones, as the boundary wants it. Backward,

    f(t) = sum_k G_k window(t - k - 1/2) = sum_j F[cell, j] v^j,      F = the transpose of both applied to the upstream gradient G

and likewise f' from the derivative's own polynomials: those of f, differentiated, would be off by a factor of terms / cell. Samples
gather the coefficients of their cells.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from .bins import Bins
from .boundaries import BOUNDARIES, real_bins
from .devices import budget
from .nonfinite import placeless
from .polynomials import MOST_TERMS, Cut, Table, tabulate, tolerance
from .windows import WINDOWS, Window

#: widths of a cell that are tried, in bins, as powers of two
NARROWEST, WIDEST = -8, 10
#: the most cells of the range: numbers of slots are int32
MOST_CELLS = 1 << 25
#: numbers that a table may have in any case, 1 MB; a larger one must not take more memory than the samples in float32
SMALL_TABLE = 1 << 17
#: the farthest reach, in bins; beyond, the matrix itself would be no small thing
FARTHEST = 1 << 11
#: nanoseconds, measured on one core of an EPYC, of which only the ratios matter: a term of a sample in both passes; a number of the
#: table in both, and each multiply-add in which it takes part
SAMPLE_TERM, TABLE_NUMBER, MULTIPLY_ADD = 1.7, 1.0, 0.26


class Budget(NamedTuple):
    """How much is done at a time."""

    samples: int
    numbers: int
    """In the tables of rows that are done together."""


#: a core does so many at a time, as they stay in its cache
CPU_BUDGET = Budget(1 << 16, 1 << 17)
#: any other device must be given more at a time than it takes to launch a kernel; chosen and not measured
DEVICE_BUDGET = Budget(1 << 22, 1 << 24)


@dataclass(frozen=True, eq=False)
class Grid:
    """The cells of one histogram axis that hold samples: `blocks` blocks, from block `first` on; and whether no sample is outside
    the range, or NaN."""

    bins: Bins
    cut: Cut
    response: Table
    derivative: Table
    first: int
    blocks: int
    inside: bool

    @classmethod
    def covering(cls, bins: Bins, x: Tensor) -> Grid | None:
        """The grid for samples x (B, N), not empty; None where the window is no short polynomial on cells that are few enough."""
        return _grid(bins, WINDOWS[bins.window], x.dtype, (x.shape[1] - 1).bit_length(), is_inside(bins, x))

    def slots(self, table: Table) -> int:
        """Slots of a row of samples."""
        return self.blocks * table.slots

    def numbers(self, table: Table) -> int:
        """Moments, or coefficients, of a row of samples."""
        return self.slots(table) * table.terms

    def rows(self, x: Tensor, *tables: Table) -> int:
        """How many of the rows of x (B, N) are done together."""
        most = budget(x, CPU_BUDGET, DEVICE_BUDGET)
        return max(1, min(most.samples // x.shape[1], most.numbers // max(map(self.numbers, tables))))

    def samples(self, x: Tensor) -> int:
        """How many samples of a row of x (B, N) are done at a time."""
        return budget(x, CPU_BUDGET, DEVICE_BUDGET).samples

    def locate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The cell of every sample, int32, and its place in the cell, float64, 0 at the left end. A NaN is in some cell, at NaN."""
        bins, cut = self.bins, self.cut
        # a power of two times t, which is not rounded again
        t = (x.double() - bins.low if bins.low else x.double()) * (bins.scale * cut.cells / cut.block)
        if self.inside:
            return t.int(), t.frac_()
        if BOUNDARIES[bins.boundary].periodic:
            t = torch.remainder(t, bins.count * cut.cells / cut.block).masked_fill_(placeless(x, bins), torch.nan)
        first = self.first * cut.cells
        t.clamp_(first, first + (self.blocks - 1) * cut.cells)
        cell = t.floor()
        return (cell - first).nan_to_num_(nan=0.0).int(), t.sub_(cell)

    def slot(self, cell: Tensor, place: Tensor, table: Table) -> Tensor:
        """The slot of every sample, int32."""
        return torch.add(place > 0, cell, alpha=2) if table.ends else cell

    def histogram(self, moments: Tensor) -> Tensor:
        """From the moments of the response's slots, (terms, B, slots), to (B, K); float64."""
        cut, batch, empty = self.cut, moments.shape[1], 2 * self.cut.margin
        moments = moments.reshape(len(moments), batch * self.blocks, -1).transpose(0, 1).reshape(batch * self.blocks, -1)
        sums = (moments @ _on(self.response, moments.device)).view(batch, self.blocks, cut.reach)
        # what the blocks give to the bins of their reach, with empty blocks around, and one more for `_Fold`: what falls on one bin
        # is a diagonal
        sums = torch.nn.functional.pad(sums, (0, 0, empty, empty + 1))
        diagonals = (batch, self.blocks + empty + 1, cut.block, empty + 1)
        strides = (sums.stride(0), cut.reach, 1, cut.reach - cut.block)
        extended = sums.as_strided(diagonals, strides, empty * cut.block).sum(-1).view(batch, -1)
        return _fold(self, moments.device).fold(extended)

    def polynomials(self, grad: Tensor, table: Table, factor: float, dtype: torch.dtype) -> Tensor:
        """Coefficients on every slot of factor sum_k G_k window(t - k - 1/2), or of its derivative, from G (B, K), made in
        float64: (terms, B * slots)."""
        cut, batch = self.cut, len(grad)
        extended = _fold(self, grad.device).unfold(grad.double() * factor)
        # what is not finite is in all sums of the dense formula, also where a response is 0
        extended.add_(extended.sum(1, keepdim=True), alpha=0)
        windows = extended.as_strided((batch, self.blocks, cut.reach), (extended.stride(0), cut.block, 1))
        numbers = windows.reshape(batch * self.blocks, cut.reach) @ _on(table, grad.device).mT
        by_term = numbers.view(-1, table.terms, table.slots).transpose(0, 1)
        return torch.empty(by_term.shape, dtype=dtype, device=grad.device).copy_(by_term).view(table.terms, -1)


@functools.lru_cache(maxsize=1024)
def _tables(
    window: Window, bandwidth: float, radius: int, dtype: torch.dtype, cell: float, chebyshev: bool, most: int
) -> tuple[Table, Table] | None:
    """The window and its derivative on cells of so many bins; None where they are no short polynomials there."""
    cut = Cut.of(cell, radius)
    if cut.reach > FARTHEST or not cut.fits(window.knots, bandwidth):
        return None
    tables = [
        tabulate(lambda u, form=form: form(u, bandwidth), cut, tolerance(dtype), chebyshev, most)
        for form in (window.response, window.derivative)
    ]
    return None if None in tables else tuple(tables)


def is_inside(bins: Bins, x: Tensor) -> bool:
    """Whether all samples lie in the range: they usually do, and are then soon located, on fewer blocks."""
    low, high = torch.stack(x.aminmax()).tolist()
    return bins.low <= low and high <= bins.high


@functools.lru_cache(maxsize=256)
def _grid(bins: Bins, window: Window, dtype: torch.dtype, bits: int, inside: bool) -> Grid | None:
    """The grid on which rows of 2^bits samples are done soonest."""
    samples, best, least = 1 << bits, None, math.inf
    for exponent in range(NARROWEST, WIDEST + 1):
        grid = grid_of(bins, window, dtype, 2.0**exponent, inside)
        if grid is not None and (cost := _cost(grid, samples)) < least:
            best, least = grid, cost
    return best


def grid_of(
    bins: Bins, window: Window, dtype: torch.dtype, cell: float, inside: bool, chebyshev: bool = False, most: int = MOST_TERMS
) -> Grid | None:
    """The grid of cells of so many bins, its polynomials of at most so many powers or Chebyshev's; None where there is none."""
    radius = bins.radius(dtype)
    # before anything of that size is made
    if (2 * radius + 1) > FARTHEST or cell > 2 * radius + 1 or bins.count / cell > MOST_CELLS:
        return None
    tables = _tables(window, bins.effective_bandwidth, radius, dtype, cell, chebyshev, most)
    cut = Cut.of(cell, radius)
    if tables is None:
        return None
    boundary = BOUNDARIES[bins.boundary]
    # how far beyond the range a sample may lie and respond
    beyond = 0 if inside or boundary.periodic else radius + 1 + boundary.beyond * bins.count
    first, last = -beyond // cut.block, -(-(bins.count + beyond) // cut.block)
    # the last block holds nothing but its left end
    return Grid(bins, cut, *tables, first, last + 1 - first, inside)


def _cost(grid: Grid, samples: int) -> float:
    """Nanoseconds of a row of samples, infinite where its table would be large for them."""
    tables, sums = (grid.response, grid.derivative), grid.blocks * grid.cut.reach
    if max(sums, *map(grid.numbers, tables)) > max(samples // 2, SMALL_TABLE):
        return math.inf
    each = [
        samples * SAMPLE_TERM * table.terms + grid.numbers(table) * (TABLE_NUMBER + MULTIPLY_ADD * grid.cut.reach)
        for table in tables
    ]
    return sum(each) / 2


@functools.lru_cache(maxsize=256)
def _on(table: Table, device: torch.device) -> Tensor:
    return table.matrix.to(device)


@dataclass(frozen=True, eq=False)
class _Fold:
    """The bins of the extended range, the blocks and what they reach, and the K real ones onto which they are folded. By gathering,
    both ways: such a sum has a fixed order on any device."""

    #: the real bin of each extended one; K where its content is lost
    real: Tensor
    #: (K, most of them): the extended bins that each real one is the sum of; one after the last, which holds zeros, where there are
    #: fewer
    sources: Tensor
    #: how many are lost on either side, where the others are the real ones in order
    lost: tuple[int, int] | None

    @classmethod
    def of(cls, grid: Grid, device: torch.device) -> _Fold:
        cut, count = grid.cut, grid.bins.count
        extended = torch.arange((grid.blocks + 2 * cut.margin) * cut.block, device="cpu")
        real = real_bins(BOUNDARIES[grid.bins.boundary], extended + (grid.first - cut.margin) * cut.block, count)
        bins, order = torch.sort(real, stable=True)
        counts = torch.bincount(real, minlength=count + 1)
        place = extended - (counts.cumsum(0) - counts)[bins]
        sources = torch.full((count + 1, int(counts[:-1].max())), len(real), device="cpu")
        kept = bins < count
        sources[bins[kept], place[kept]] = order[kept]
        sources = sources[:-1]
        first = int(sources[0, 0])
        in_order = sources.shape[1] == 1 and torch.equal(sources[:, 0], extended[first : first + count])
        return cls(real.to(device), sources.to(device), (first, len(real) - first - count) if in_order else None)

    def fold(self, extended: Tensor) -> Tensor:
        """Sums of the extended bins (B, and zeros at the end) by real one, (B, K)."""
        if self.lost is not None:
            return extended.narrow(1, self.lost[0], len(self.sources))
        gathered = extended.index_select(1, self.sources.view(-1))
        return gathered if self.sources.shape[1] == 1 else gathered.view(len(gathered), *self.sources.shape).sum(-1)

    def unfold(self, gradient: Tensor) -> Tensor:
        """The transpose: every extended bin's share of a gradient (B, K) with respect to the real ones."""
        if self.lost is not None:
            return torch.nn.functional.pad(gradient, self.lost)
        return torch.nn.functional.pad(gradient, (0, 1)).index_select(1, self.real)


@functools.lru_cache(maxsize=256)
def _fold(grid: Grid, device: torch.device) -> _Fold:
    return _Fold.of(grid, device)
