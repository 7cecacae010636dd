"""Windows as short polynomials on cells of an axis, from their Chebyshev series: no window is known here but by its values.

An axis is cut into blocks of bins, and a block into cells, all alike. On a cell, at v in [-1/2, 1/2] from its middle, the response
of a sample in each bin that its block reaches is a polynomial of a few terms. How many is read off the series: a window that is
analytic up to a pole at a distance of d bins has coefficients that fall as rho^-n, rho = y + sqrt(1 + y^2), y = d / h, h half a
cell; one with knots is a polynomial of its own degree where they lie on the ends of cells.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

#: terms of the series that are computed, and the most that are used: with more, coefficients of powers would lose digits; those of
#: Chebyshev polynomials would not, but some of the rest must be seen
SERIES, MOST_TERMS, MOST_CHEBYSHEV = 32, 16, 28


def tolerance(dtype: torch.dtype) -> float:
    """What the terms left out may add up to, of the window's peak or of its steepest slope: twice dtype's rounding of one, and in
    float64 2^-44, as its series are rounded too. It is an eighth, or a twentieth, of what results are allowed to be off."""
    return max(2 * torch.finfo(dtype).eps, 2.0**-44)


@dataclass(frozen=True, eq=False)
class Table:
    """A window, or its derivative, on the cells of a block."""

    #: (terms * slots, reach): the coefficients of v^j, or of T_j(2 v), on every slot, of the responses in the bins of the reach
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
    def of(cls, cell: float, radius: int) -> Cut:
        """Cells of so many bins, of which there are a whole number in one or the other; windows reach `radius` bins beyond a
        sample's own."""
        block, cells = max(int(cell), 1), max(int(1 / cell), 1)
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
    middles = torch.arange(cut.cells, dtype=torch.float64, device="cpu") + 0.5
    return series_about(middles, lambda t: function((t * (cut.block / cut.cells)).unsqueeze(-1) - cut.centers()))


def series_about(middles: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Chebyshev coefficients of a function on intervals of length 1 about the middles (n,), (n, SERIES, K), from its values
    (..., K) at places (...)."""
    orders = torch.arange(SERIES, device="cpu")
    # T_j at the nodes: of an angle within a turn, as the cosine of a large one is rounded
    cosines = torch.cos((orders.unsqueeze(1) * (2 * orders + 1) % (4 * SERIES)).double() * (math.pi / (2 * SERIES)))
    coefficients = cosines @ function(middles.unsqueeze(1) + cosines[1] / 2) * (2 / SERIES)
    coefficients[:, 0] /= 2
    return coefficients


def terms_needed(coefficients: Tensor, allowed: float, fewest: int = 2) -> int:
    """Terms of which the rest adds up to at most `allowed`; two at least where a NaN must show in the moments."""
    rest = coefficients.abs().flip(1).cumsum(1).flip(1).amax((0, 2))
    return max(fewest, int((rest > allowed).sum()))


def tabulate(
    function: Callable[[Tensor], Tensor], cut: Cut, allowed: float, chebyshev: bool = False, most: int = MOST_TERMS
) -> Table | None:
    """The function on cells, off by at most `allowed` of its largest value; None where that takes more than `most` terms.
    Coefficients of powers are large and nearly cancel, and so want float64; those of Chebyshev polynomials serve in any dtype."""
    coefficients = series(function, cut)
    left = torch.arange(cut.cells, dtype=torch.float64, device="cpu") * (cut.block / cut.cells)
    ends = function(left.unsqueeze(1) - cut.centers())
    allowed *= max(ends.abs().max().item(), coefficients.abs().amax().item())
    terms = terms_needed(coefficients, allowed)
    if terms > most:
        return None
    powers = chebyshev_powers(terms).T @ coefficients[:, :terms]  # (cells, terms, reach)
    slots = cut.cells
    separate = _jumps(ends, coefficients[:, :terms], cut, 64 * allowed)
    if chebyshev:
        powers = coefficients[:, :terms]
    if separate:
        constant = torch.zeros_like(powers)
        constant[:, 0] = ends
        powers, slots = torch.stack([constant, powers], 1), 2 * slots
    return Table(powers.reshape(slots, terms, cut.reach).transpose(0, 1).reshape(terms * slots, cut.reach), terms, slots, separate)


def chebyshev_powers(terms: int) -> Tensor:
    """Coefficients of the powers of v in T_j(2 v), (terms, terms)."""
    rows = torch.zeros(terms, terms, dtype=torch.float64, device="cpu")
    rows[0, 0], rows[1, 1] = 1, 2
    for j in range(2, terms):
        rows[j, 1:] = 4 * rows[j - 1, :-1]
        rows[j] -= rows[j - 2]
    return rows


def _jumps(ends: Tensor, coefficients: Tensor, cut: Cut, allowed: float) -> bool:
    """Whether at the left end of some cell the function is not what the polynomials on either side tend to, but for `allowed`."""
    right = coefficients[:, ::2].sum(1) - coefficients[:, 1::2].sum(1)
    left = coefficients.sum(1)  # at the right ends, seen from the left
    following = torch.cat([ends[1:], torch.nn.functional.pad(ends[:1], (cut.block, 0))[:, : cut.reach]])
    return bool(((right - ends).abs() > allowed).any() or ((left - following).abs() > allowed).any())
