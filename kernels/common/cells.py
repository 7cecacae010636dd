"""One axis as a table: on a short cell every window is a short polynomial, so what samples do is told by their moments.

The axis is cut into blocks of `bins_per_block` bins, and a block into cells. In a cell, at v in [-1/2, 1/2] from its middle, the
responses of a sample in the bins that its block reaches are polynomials of few terms, the same in every block:

    response in bin o of the reach = sum_j matrix[o, (cell, j)] v^j

Forward, the moments sum s v^j of every cell times that matrix are the histogram over an extended range of bins, which is folded onto
the real ones. Backward, the upstream gradient over a block's reach times the transpose is the polynomial of every cell, and a sample
gathers its own. What a sample costs depends neither on the bins nor on the window.

How many terms a cell needs is read off the Chebyshev series of the window itself, and the size of cells off the number of samples.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from .bins import Bins
from .boundaries import BOUNDARIES, real_bins
from .devices import budget
from .windows import WINDOWS, Window

#: terms of the Chebyshev series that are computed, and the most that are used: beyond, the old way is no slower
SERIES, MOST_TERMS = 32, 16
#: widths of a cell that are tried, in bins, as powers of two
NARROWEST, WIDEST = -8, 10
#: the most cells of the range: numbers of slots are int32
MOST_CELLS = 1 << 25
#: numbers that a table may have in any case, 256 KB; a larger one must not take more memory than the samples in float32
SMALL_TABLE = 1 << 15
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


#: torch does so many of them on one core, which on a machine that others use too is sooner than waiting for a second, and they stay in
#: the cache
CPU_BUDGET = Budget(1 << 15, 1 << 17)
#: any other device must be given more at a time than it takes to launch a kernel; chosen and not measured
DEVICE_BUDGET = Budget(1 << 22, 1 << 24)


def tolerance(dtype: torch.dtype) -> float:
    """What the terms left out may add up to, of the window's peak or of its steepest slope: twice dtype's rounding of one, and in
    float64 2^-44, as its series are rounded too. It is an eighth, or a twentieth, of what results are allowed to be off."""
    return max(2 * torch.finfo(dtype).eps, 2.0**-44)


@dataclass(frozen=True, eq=False)
class Table:
    """A window, or its derivative, on the cells of a block."""

    #: (terms * slots, reach): the coefficients of v^j on every slot, of the responses in the bins of the reach
    matrix: Tensor
    terms: int
    slots: int
    #: whether the left end of every cell has a slot of its own, before the cell's: where the function jumps there
    ends: bool

@dataclass(frozen=True)
class Cut:
    """How an axis is cut: blocks of `block` bins in `cells` cells each, of which one number is 1, and a reach of `margin` blocks on
    either side."""

    block: int
    cells: int
    margin: int

    @classmethod
    def of(cls, exponent: int, radius: int) -> Cut:
        """Cells of 2^exponent bins; windows reach `radius` bins beyond a sample's own."""
        block, cells = 1 << max(exponent, 0), 1 << max(-exponent, 0)
        return cls(block, cells, -(-radius // block))

    @property
    def reach(self) -> int:
        return (2 * self.margin + 1) * self.block

    def centers(self) -> Tensor:
        """Of the bins in reach, in bins from the block's left end."""
        return torch.arange(self.reach, dtype=torch.float64, device="cpu") + (0.5 - self.margin * self.block)

    def fits(self, knots: tuple[float, ...], bandwidth: float) -> bool:
        """Whether the knots of the windows of all bins lie on the ends of cells."""
        places = [(0.5 + knot * bandwidth) * self.cells / self.block for knot in knots]
        return not knots or (self.block == 1 and all(place.is_integer() for place in places))


def series(function: Callable[[Tensor], Tensor], cut: Cut) -> Tensor:
    """Chebyshev coefficients of the function on every cell, (cells, SERIES, reach)."""
    angles = (torch.arange(SERIES, dtype=torch.float64, device="cpu") + 0.5) * (math.pi / SERIES)
    middles = torch.arange(cut.cells, dtype=torch.float64, device="cpu") + 0.5
    t = (middles.unsqueeze(1) + torch.cos(angles) / 2) * (cut.block / cut.cells)
    values = function(t.unsqueeze(-1) - cut.centers())
    cosines = torch.cos(torch.arange(SERIES, dtype=torch.float64, device="cpu").unsqueeze(1) * angles) * (2 / SERIES)
    cosines[0] /= 2
    return cosines @ values


def terms_needed(coefficients: Tensor, allowed: float) -> int:
    """Terms of which the rest adds up to at most `allowed`, two at least, so that a NaN shows in the moments."""
    rest = coefficients.abs().flip(1).cumsum(1).flip(1).amax((0, 2))
    return max(2, int((rest > allowed).sum()))


def tabulate(function: Callable[[Tensor], Tensor], cut: Cut, allowed: float, knotted: bool) -> Table | None:
    """The function on cells, off by at most `allowed` of its largest value; None where that takes too many terms."""
    coefficients = series(function, cut)
    ends = function(
        torch.arange(cut.cells, dtype=torch.float64, device="cpu").unsqueeze(1) * (cut.block / cut.cells) - cut.centers()
    )
    allowed *= max(ends.abs().max().item(), coefficients.abs().amax().item())
    terms = terms_needed(coefficients, allowed)
    if terms > MOST_TERMS:
        return None
    powers = _chebyshev_powers(terms).T @ coefficients[:, :terms]  # (cells, terms, reach)
    slots = cut.cells
    separate = knotted and _jumps(ends, powers, cut, allowed)
    if separate:
        constant = torch.zeros_like(powers)
        constant[:, 0] = ends
        powers, slots = torch.stack([constant, powers], 1), 2 * slots
    return Table(powers.reshape(slots, terms, cut.reach).transpose(0, 1).reshape(terms * slots, cut.reach), terms, slots, separate)


def _chebyshev_powers(terms: int) -> Tensor:
    """Coefficients of the powers of v in T_j(2 v), (terms, terms)."""
    rows = torch.zeros(terms, terms, dtype=torch.float64, device="cpu")
    rows[0, 0], rows[1, 1] = 1, 2
    for j in range(2, terms):
        rows[j, 1:] = 4 * rows[j - 1, :-1]
        rows[j] -= rows[j - 2]
    return rows


def _jumps(ends: Tensor, powers: Tensor, cut: Cut, allowed: float) -> bool:
    """Whether at the left end of some cell the function is not what the polynomials on either side tend to."""
    half = 0.5 ** torch.arange(powers.shape[1], dtype=torch.float64, device="cpu")
    right = (powers * (half * (-1) ** torch.arange(len(half), device="cpu")).unsqueeze(1)).sum(1)
    left = (powers * half.unsqueeze(1)).sum(1)  # at the right ends, seen from the left
    following = torch.cat([ends[1:], torch.nn.functional.pad(ends[:1], (cut.block, 0))[:, : cut.reach]])
    return bool(((right - ends).abs() > 64 * allowed).any() or ((left - following).abs() > 64 * allowed).any())


@functools.lru_cache(maxsize=1024)
def _tables(window: Window, bandwidth: float, radius: int, dtype: torch.dtype, exponent: int) -> tuple[Table, Table] | None:
    """The window and its derivative on cells of 2^exponent bins; None where they are no short polynomials there."""
    cut = Cut.of(exponent, radius)
    if cut.reach > FARTHEST or not cut.fits(window.knots, bandwidth):
        return None
    tables = [
        tabulate(lambda u, form=form: form(u, bandwidth), cut, tolerance(dtype), bool(window.knots))
        for form in (window.response, window.derivative)
    ]
    return None if None in tables else tuple(tables)


@dataclass(frozen=True, eq=False)
class Grid:
    """The cells of one histogram axis that hold samples: `blocks` blocks, from block `first` on."""

    bins: Bins
    cut: Cut
    response: Table
    derivative: Table
    first: int
    blocks: int

    @classmethod
    def covering(cls, bins: Bins, x: Tensor) -> Grid | None:
        """The grid for samples x (B, N), not empty; None where the window is no short polynomial on cells that are few enough."""
        return _grid(bins, WINDOWS[bins.window], x.dtype, (x.shape[1] - 1).bit_length(), _inside(bins, x))

    def slots(self, table: Table) -> int:
        """Slots of a row of samples."""
        return self.blocks * table.slots

    def numbers(self, table: Table) -> int:
        """Moments, or coefficients, of a row of samples."""
        return self.slots(table) * table.terms

    def samples(self, x: Tensor) -> int:
        """How many samples of a row are done at a time."""
        return budget(x, CPU_BUDGET, DEVICE_BUDGET).samples

    def rows(self, x: Tensor, *tables: Table) -> int:
        """How many of the rows of x (B, N) are done together."""
        most = budget(x, CPU_BUDGET, DEVICE_BUDGET)
        return max(1, min(most.samples // x.shape[1], most.numbers // max(map(self.numbers, tables))))

    def locate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The cell of every sample, counted from t = 0, and its place in the cell, 0 at the left end; both float64."""
        bins, cut = self.bins, self.cut
        # a power of two times t, which is not rounded again
        scale = bins.scale * cut.cells / cut.block
        t = (x.double() - bins.low if bins.low else x.double()) * scale
        if BOUNDARIES[bins.boundary].periodic:
            period = bins.count * cut.cells / cut.block
            t.sub_((t * (1 / period)).floor_(), alpha=period)
        t.clamp_(self.first * cut.cells, (self.first + self.blocks - 1) * cut.cells)
        cell = t.floor()
        return cell, t.sub_(cell)

    def slot(self, cell: Tensor, place: Tensor, table: Table) -> Tensor:
        """The slot of every sample, int32. That of a NaN is some slot: its place is NaN."""
        first = self.first * self.cut.cells
        slot = torch.add(place > 0, cell, alpha=2).sub_(2 * first) if table.ends else cell - first if first else cell
        return slot.nan_to_num(nan=0.0).int()

    def histogram(self, moments: Tensor) -> Tensor:
        """From the moments of the response's slots, (terms, B, slots), to (B, K); float64."""
        cut, batch, empty = self.cut, moments.shape[1], 2 * self.cut.margin
        moments = moments.view(len(moments), batch * self.blocks, -1).transpose(0, 1).reshape(batch * self.blocks, -1)
        sums = (moments @ _on(self.response, moments.device)).view(batch, self.blocks, cut.reach)
        # what the blocks give to the bins of their reach, with empty blocks around, and one more for `_sources`: what falls on one
        # bin is a diagonal
        sums = torch.nn.functional.pad(sums, (0, 0, empty, empty + 1))
        diagonals = (batch, self.blocks + empty + 1, cut.block, empty + 1)
        strides = (sums.stride(0), cut.reach, 1, cut.reach - cut.block)
        extended = sums.as_strided(diagonals, strides, empty * cut.block).sum(-1).view(batch, -1)
        sources = _sources(self, moments.device)
        histogram = extended.index_select(1, sources.view(-1))
        return histogram if sources.shape[1] == 1 else histogram.view(batch, *sources.shape).sum(-1)

    def polynomials(self, grad: Tensor, table: Table, factor: float, dtype: torch.dtype) -> Tensor:
        """Coefficients on every slot of factor sum_k G_k window(t - k - 1/2), or of its derivative, from G (B, K), made in float64:
        (terms, B * slots)."""
        grad, cut, batch = grad.double(), self.cut, len(grad)
        extended = torch.nn.functional.pad(grad, (0, 1)).index_select(1, _real_bins(self, grad.device))
        windows = extended.as_strided((batch, self.blocks, cut.reach), (extended.stride(0), cut.block, 1))
        # what is not finite is in all sums of the dense formula, also where a response is 0
        spread = grad.mul(0).sum(1).repeat_interleave(self.blocks).unsqueeze(1) if batch > 1 else grad.mul(0).sum(1)
        windows = windows.reshape(batch * self.blocks, cut.reach)
        numbers = torch.addmm(spread, windows, _on(table, grad.device).mT, alpha=factor)
        numbers = numbers.view(batch * self.blocks, table.terms, table.slots).transpose(0, 1)
        return numbers.to(dtype, memory_format=torch.contiguous_format).reshape(table.terms, -1)


def _inside(bins: Bins, x: Tensor) -> bool:
    """Whether all samples lie in the range, asked where it matters: where others have images in it, cells would be thrice as many."""
    if not BOUNDARIES[bins.boundary].beyond:
        return False
    low, high = torch.stack(x.aminmax()).tolist()
    return bins.low <= low and high <= bins.high


@functools.lru_cache(maxsize=256)
def _grid(bins: Bins, window: Window, dtype: torch.dtype, bits: int, inside: bool) -> Grid | None:
    """The grid on which rows of 2^bits samples are done soonest."""
    samples, best, least = 1 << bits, None, math.inf
    for exponent in range(NARROWEST, WIDEST + 1):
        grid = _grid_of(bins, window, dtype, exponent, inside)
        if grid is not None and (cost := _cost(grid, samples)) < least:
            best, least = grid, cost
    return best


def _grid_of(bins: Bins, window: Window, dtype: torch.dtype, exponent: int, inside: bool) -> Grid | None:
    """The grid of cells of 2^exponent bins."""
    radius = bins.radius(dtype)
    # before anything of that size is made
    if (2 * radius + 1) > FARTHEST or 2.0**exponent > 2 * radius + 1 or bins.count * 2.0**-exponent > MOST_CELLS:
        return None
    tables, cut = _tables(window, bins.effective_bandwidth, radius, dtype, exponent), Cut.of(exponent, radius)
    if tables is None:
        return None
    boundary = BOUNDARIES[bins.boundary]
    # on a circle, what the rounding of a lap may leave
    beyond = 0 if inside else 1 if boundary.periodic else radius + 1 + boundary.beyond * bins.count
    first, last = -(beyond // -cut.block), -(-(bins.count + beyond) // cut.block)
    # the last block holds nothing but its left end
    return Grid(bins, cut, *tables, -first, last + 1 + first)


def _cost(grid: Grid, samples: int) -> float:
    """Nanoseconds of a row of samples, infinite where its table would be large for them."""
    tables, sums = (grid.response, grid.derivative), grid.blocks * grid.cut.reach
    if max(sums // 4, *map(grid.numbers, tables)) > max(samples // 2, SMALL_TABLE):
        return math.inf
    each = [
        samples * SAMPLE_TERM * table.terms + grid.numbers(table) * (TABLE_NUMBER + MULTIPLY_ADD * grid.cut.reach)
        for table in tables
    ]
    return sum(each) / 2


@functools.lru_cache(maxsize=256)
def _on(table: Table, device: torch.device) -> Tensor:
    return table.matrix.to(device)


@functools.lru_cache(maxsize=256)
def _real_bins(grid: Grid, device: torch.device) -> Tensor:
    """The real bin of each of the extended range, the blocks and what they reach; K where its content is lost."""
    cut = grid.cut
    k = torch.arange((grid.blocks + 2 * cut.margin) * cut.block, device=device) + (grid.first - cut.margin) * cut.block
    return real_bins(BOUNDARIES[grid.bins.boundary], k, grid.bins.count)


@functools.lru_cache(maxsize=256)
def _sources(grid: Grid, device: torch.device) -> Tensor:
    """The bins of the extended range that each real one is the sum of, (K, most of them); the bin after the last where there are
    fewer. A sum of what was gathered has a fixed order, on any device."""
    real = _real_bins(grid, torch.device("cpu"))
    bins, order = torch.sort(real, stable=True)
    counts = torch.bincount(real, minlength=grid.bins.count + 1)
    place = torch.arange(len(real), device="cpu") - (counts.cumsum(0) - counts)[bins]
    sources = torch.full((grid.bins.count + 1, int(counts[:-1].max())), len(real), device="cpu")
    kept = bins < grid.bins.count
    sources[bins[kept], place[kept]] = order[kept]
    return sources[:-1].to(device)
