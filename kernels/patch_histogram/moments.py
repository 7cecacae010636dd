"""Cells' histograms by moments. An axis is cut into *slots* of equal width, on which the responses in all K bins, boundary and all,
are short polynomials of the distance v from the slot's middle (see common/polynomials.py). Then, with `M` the sums of v^j over a
cell's pixels in each slot, and `G` the upstream gradient of the cell's histogram,

    h[k] = sum over slots s and j of M[s, j] matrix[s, j, k],      dL/dx_n = sum_j F[s_n, j] v_n^j,      F = G slopes^T

so that a pixel costs one addition or one number a term, and what is done bin by bin is done once a cell.

Slot s lies about t = s / per_bin: with one slot a bin, about the edges of bins, so that the triangular window, with its knots at
the centres, is linear on a slot. A derivative may jump where slots meet, and have a value of its own there: these points have
places of their own.

    t          -1/2   0   1/2   1   3/2   2          s = round(t), v = t - s, exact in any dtype
    place        0    1    2    3    4    5          2 (s - first) + 1, and 2 v, which is 1 or -1 at the ends alone, rounded to 0
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..common.bins import Bins
from ..common.boundaries import BOUNDARIES
from ..common.cells import is_inside
from ..common.kept import kept_tensors
from ..common.nonfinite import placeless
from ..common.polynomials import MOST_TERMS, chebyshev_powers, series_about, terms_needed, tolerance
from ..common.windows import WINDOWS, Window

#: slots per bin that are tried
PER_BIN = 1, 2, 4
#: numbers that a matrix may have: 8 MB
LARGEST = 1 << 20
#: nanoseconds on one core, estimated, of which only the ratios matter: a pixel's term, a number of a cell's moments, a multiply-add
#: of these; and a response without moments, of a window that has knots and of one that has not
TERM, NUMBER, MULTIPLY_ADD, POLYNOMIAL_RESPONSE, ANALYTIC_RESPONSE = 2.0, 2.0, 0.05, 6.0, 12.0
#: pixels of a cell of which two moments fit into a float64: of 2^p pixels the second is right to 2^(3p - 53)
PACKED = 12


@dataclass(frozen=True, eq=False)
class Moments:
    """How pixels (B, C, H, W) make histograms of their cells of `cell` x `cell` pixels: by slots `first` to `last`."""

    bins: Bins
    cell: int
    per_bin: int
    first: int
    last: int
    #: (terms * slots, K): coefficients of the responses
    matrix: Tensor
    #: for each term (K, places): of their derivatives to x
    slopes: tuple[Tensor, ...]
    #: whether two moments are all, and are added as one number
    packed: bool
    #: whether all pixels lie in the range
    inside: bool

    @classmethod
    def covering(cls, bins: Bins, x: Tensor, cell: int) -> Moments | None:
        """For pixels x, not empty; None where counting response by response takes no longer."""
        return _moments(bins, WINDOWS[bins.window], x.dtype, x.device, cell, is_inside(bins, x))

    @property
    def slots(self) -> int:
        return self.last + 1 - self.first

    @property
    def numbers(self) -> int:
        """Numbers that a cell takes, of either pass."""
        return max(len(self.matrix), len(self.slopes) * (2 * self.slots + 1))

    def counts(self, x: Tensor) -> Tensor:
        """Pixels -> the histograms of their cells, (B, C, H / cell, W / cell, K)."""
        sums = (self._packed if self.packed else self._separate)(x, *self._in_slots(x))
        counts = (sums @ self.matrix).to(x.dtype)
        return counts.view(*x.shape[:2], x.shape[2] // self.cell, x.shape[3] // self.cell, -1)

    def _in_slots(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Where in (B, C, cell rows, cell columns, slots) each pixel counts, int64, which is what scattered additions take; and its
        v, float64. Lists."""
        s, v = self._locate(x)
        return self._index(s.int(), self.slots, -self.first).long(), v.double().view(-1)

    def _packed(self, x: Tensor, index: Tensor, v: Tensor) -> Tensor:
        """The numbers of pixels and sums of v by slot, (cells, 2 * slots), which are added as one: `unit` times the former, and the
        latter, which are at most half of it. In place of v."""
        unit = 1 << (self.cell**2).bit_length()
        sums = x.new_zeros(x.numel() // self.cell**2, self.slots, dtype=torch.float64)
        sums.view(-1).scatter_add_(0, index, v.add_(unit))
        both = x.new_empty(len(sums), 2, self.slots)
        pixels = both[:, 0].copy_((sums * (1 / unit)).round_())
        both[:, 1] = sums.sub_(pixels, alpha=unit)
        return both.view(len(sums), -1)

    def _separate(self, x: Tensor, index: Tensor, v: Tensor) -> Tensor:
        """The sums of v^j by slot, (cells, terms * slots), float64."""
        cells = x.numel() // self.cell**2
        sums = v.new_zeros(len(self.matrix) // self.slots, cells * self.slots)
        power = torch.ones_like(v)
        for j, moment in enumerate(sums):
            moment.scatter_add_(0, index, power.mul_(v) if j else power)
        return sums.view(-1, cells, self.slots).transpose(0, 1).reshape(cells, -1)

    def add_gradient(self, cells: Tensor, x: Tensor, grad_x: Tensor) -> None:
        """Adds the pixels' gradients to `grad_x`, from those with respect to their cells' histograms."""
        s, v = self._locate(x)
        at_ends = (v * 2).int()
        index = self._index(at_ends.add_(s.int(), alpha=2), 2 * self.slots + 1, 1 - 2 * self.first)
        cells, v, value = cells.reshape(-1, self.bins.count), v.to(x.dtype), None
        for slopes in reversed(self.slopes):
            picked = (cells @ slopes).view(-1).index_select(0, index).view(x.shape)
            value = picked if value is None else picked.addcmul_(value, v)
        grad_x.add_(value)

    def _locate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Slot and distance from its middle, of every pixel: exact, but for the rounding of t in float64."""
        bins, scale = self.bins, self.bins.scale * self.per_bin
        exact = self.inside and bins.low == 0 and math.frexp(scale)[0] == 0.5  # a power of two times x
        t = x * scale if exact else (x.double() - bins.low).mul_(scale)
        if not self.inside:
            if BOUNDARIES[bins.boundary].periodic:
                t = torch.remainder(t, bins.count * self.per_bin)
            t = t.masked_fill_(placeless(x, bins), 0).clamp_(self.first, self.last)  # what NaN does is up to those who know patches
        s = t.round()
        return s, t.sub_(s)

    def _index(self, place: Tensor, places: int, shift: int) -> Tensor:
        """Where in (B, C, cell rows, cell columns, places) each pixel's `place`, int32 from -shift on, is; a list."""
        batch, channels, height, width = place.shape
        columns = _places(width, self.cell, places, 0, place.device)
        rows = _places(batch * channels * height, self.cell, width // self.cell * places, shift, place.device)
        return place.add_(rows.view(batch, channels, height, 1)).add_(columns).view(-1)


@kept_tensors(maxsize=64)
def _places(count: int, cell: int, places: int, shift: int, device: torch.device) -> Tensor:
    """Where the places of each row's or column's cell begin, int32."""
    return torch.arange(count, dtype=torch.int32, device=device).div_(cell, rounding_mode="floor").mul_(places).add_(shift)


@functools.lru_cache(maxsize=256)
def _moments(bins: Bins, window: Window, dtype: torch.dtype, device: torch.device, cell: int, inside: bool) -> Moments | None:
    """The slots with which cells are counted soonest; None where that is response by response."""
    analytic = not window.knots
    best, least = None, math.ceil(2 * bins.reach(dtype)) * (ANALYTIC_RESPONSE if analytic else POLYNOMIAL_RESPONSE)
    for per_bin in PER_BIN:
        moments = _of(bins, window, dtype, device, cell, per_bin, inside)
        if moments is None:
            continue
        numbers = len(moments.matrix)
        cost = TERM * (1 + numbers // moments.slots) + numbers * (NUMBER + MULTIPLY_ADD * bins.count) / cell**2
        if cost < least:
            best, least = moments, cost
    return best


def _of(
    bins: Bins, window: Window, dtype: torch.dtype, device: torch.device, cell: int, per_bin: int, inside: bool
) -> Moments | None:
    """Slots of 1 / per_bin bins; None where responses are no short polynomials there, or their matrix is large."""
    radius, boundary, width = bins.radius(dtype), BOUNDARIES[bins.boundary], bins.effective_bandwidth
    beyond = 0 if inside or boundary.periodic else radius + 1 + boundary.beyond * bins.count
    first, last = -beyond * per_bin, (bins.count + beyond) * per_bin
    largest = MOST_TERMS * (2 * (last - first) + 3) * bins.count
    if largest > LARGEST or not all(((0.5 + knot * width) * per_bin - 0.5).is_integer() for knot in window.knots):
        return None

    def all_bins(t: Tensor, slope: bool) -> Tensor:
        """The response, or its derivative to t, of samples t (...), in slots, in all bins, (..., K)."""
        images, following = (boundary.images(t / per_bin + step, bins.count, radius) for step in (0, 1))
        centers = torch.arange(bins.count, dtype=torch.float64, device="cpu") + 0.5
        if not slope:
            return sum(bins.response(image.unsqueeze(-1) - centers) for image in images)
        # a mirror image moves the other way
        ways = ((after - image).round().unsqueeze(-1) for image, after in zip(images, following))
        return sum(way * bins.derivative(image.unsqueeze(-1) - centers) for image, way in zip(images, ways))

    middles = torch.arange(first, last + 1, dtype=torch.float64, device="cpu")
    matrix = _polynomials(lambda t: all_bins(t, False), middles, dtype, 2)
    slopes = _polynomials(lambda t: all_bins(t, True), middles, dtype, 1)
    if matrix is None or slopes is None:
        return None
    ends = torch.arange(first, last + 2, dtype=torch.float64, device="cpu") - 0.5
    places = slopes.new_zeros(len(slopes), 2 * len(middles) + 1, bins.count)
    places[:, 1::2] = slopes
    places[0, ::2] = all_bins(ends, True)
    places = tuple((places.mT * bins.scale).to(device, dtype).contiguous())
    packed = len(matrix) == 2 and dtype == torch.float32 and (cell**2).bit_length() <= PACKED
    matrix = matrix.flatten(0, 1).to(device, dtype if packed else torch.float64)
    return Moments(bins, cell, per_bin, first, last, matrix, places, packed, inside)


def _polynomials(function: Callable[[Tensor], Tensor], middles: Tensor, dtype: torch.dtype, fewest: int) -> Tensor | None:
    """Coefficients of v^j about each of the middles, (terms, slots, K), off by at most dtype's tolerance of the largest value; None
    where that takes too many."""
    coefficients = series_about(middles, function)
    terms = terms_needed(coefficients, tolerance(dtype) * coefficients.abs().amax().item(), fewest)
    if terms > MOST_TERMS:
        return None
    return torch.einsum("jp,sjk->psk", chebyshev_powers(max(terms, 2))[:terms, :terms], coefficients[:, :terms])
