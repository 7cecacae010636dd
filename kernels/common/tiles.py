"""Block-sparse layout shared by the `torch` histograms: which bins a sample can reach, and samples in tile order.

A window reaches few bins, so the bin range is cut into tiles and a sample touches only its own tile and `margin` bins on
either side: its *reach*. Samples of one tile (in two dimensions, of one pair of tiles) are packed into runs of equal length, so
that one batched matrix product over all runs does the work. Boundaries are settled afterwards: responses are counted over an
extended range of bins, which is then folded onto the K real ones.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from .bins import Bins
from .boundaries import BOUNDARIES, real_bins

#: slots of the shortest run
SHORTEST_RUN = 8
#: bins of a tile; margins are multiples of half of it, so that reaches are whole tiles. Tiles of 8 bins, with reaches of 24 instead
#: of 32, take 9 of 16 multiply-adds of a sample, but twice as many windows, whose memory takes longer than the products
TILE = 16
#: stretches of an extended range up to which each is a slice; an index for every bin takes 6 times as long as three of them
SLICED = 16


@dataclass(frozen=True)
class Tiling:
    """The tiles of one histogram axis that hold samples: `count` tiles of `tile` bins, from bin `origin` on."""

    bins: Bins
    dtype: torch.dtype
    tile: int
    margin: int
    origin: int
    count: int

    @classmethod
    def covering(cls, bins: Bins, x: Tensor, dense: bool = False) -> Tiling:
        """The tiling for samples x: tiles from the lowest sample's to the highest's; `dense`, a single one."""
        radius = bins.radius(x.dtype)
        low, high = _bounds(bins, x)
        margin = TILE // 2 * -(-radius // (TILE // 2))
        if dense or TILE + 2 * margin >= bins.count:
            first, last = (0, bins.count) if bins.boundary == "open" else (low - radius, high + 1 + radius)
            return cls(bins, x.dtype, last - first, 0, first, 1)
        return cls(bins, x.dtype, TILE, margin, low // TILE * TILE, high // TILE - low // TILE + 1)

    @property
    def reach(self) -> int:
        """Bins in which the samples of one tile can respond."""
        return self.tile + 2 * self.margin

    @property
    def blocks(self) -> int:
        """Tiles of the extended range: `margin` bins on either side."""
        return self.count + 2 * self.margin // self.tile

    def locate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Tile of every sample (int64), and its distance from the tile's centre in bins (float64, NaN for NaN)."""
        t = clamped_coordinate(self.bins, x)
        index = ((t.nan_to_num(nan=0.0) - self.origin) / self.tile).floor_().clamp_(0, self.count - 1)
        return index.long(), t - (index * self.tile + (self.origin + self.tile / 2))

    @property
    def real(self) -> bool:
        """Whether there is one tile, of the real bins and no others."""
        return not self.origin and self.reach == self.bins.count == self.tile

    def fold(self, extended: Tensor) -> Tensor:
        """Sum an extended range of bins, the last dimension, into the real ones; itself where it is these."""
        if self.real:
            return extended
        stretches = _stretches(self)
        if stretches is None:
            sums = extended.new_zeros(*extended.shape[:-1], self.bins.count + 1)
            return sums.index_add_(-1, _real_bins(self, extended.device), extended)[..., :-1]
        sums = extended.new_zeros(*extended.shape[:-1], self.bins.count)
        for there, real, mirrored in stretches:
            part = extended[..., there]
            sums[..., real] += part.flip(-1) if mirrored else part
        return sums

    def unfold(self, gradient: Tensor) -> Tensor:
        """The transpose of `fold`: every extended bin's share of a gradient with respect to the real ones."""
        if self.real:
            return gradient
        stretches = _stretches(self)
        if stretches is None:
            extended = pad(gradient, (0, 1)).index_select(-1, _real_bins(self, gradient.device))
        else:
            extended = gradient.new_zeros(*gradient.shape[:-1], self.blocks * self.tile)
            for there, real, mirrored in stretches:
                part = gradient[..., real]
                extended[..., there] = part.flip(-1) if mirrored else part
        # NaN where the row's gradient is, also in bins that are lost
        return extended.add_(gradient.sum(-1, keepdim=True), alpha=0)


@functools.lru_cache(maxsize=256)
def _real_bins(tiling: Tiling, device: torch.device) -> Tensor:
    """The real bin of each extended one; bins.count where its content is lost."""
    k = torch.arange(tiling.blocks * tiling.tile, device=device) + (tiling.origin - tiling.margin)
    return real_bins(BOUNDARIES[tiling.bins.boundary], k, tiling.bins.count)


class Stretch(NamedTuple):
    """Of the extended range, which is folded onto real bins in one piece."""

    there: slice
    real: slice
    mirrored: bool


@functools.lru_cache(maxsize=256)
def _stretches(tiling: Tiling) -> list[Stretch] | None:
    """All that is not lost, in each of which bins follow each other; None if they are too many."""
    first, count, real = tiling.origin - tiling.margin, tiling.bins.count, _real_bins(tiling, torch.device("cpu")).tolist()
    found, laps = [], range(first // count, -(-(first + len(real)) // count))
    if len(laps) > SLICED:
        return None
    for lap in laps:
        there = slice(max(lap * count - first, 0), min((lap + 1) * count - first, len(real)))
        begin, end = real[there.start], real[there.stop - 1]
        if count not in (begin, end):
            found.append(Stretch(there, slice(min(begin, end), max(begin, end) + 1), end < begin))
    return found


def _bounds(bins: Bins, x: Tensor) -> tuple[int, int]:
    """The lowest and the highest bin that holds a sample."""
    if BOUNDARIES[bins.boundary].periodic or not x.numel():
        return 0, bins.count - 1
    ends = torch.stack(x.aminmax())
    if ends.isnan().any():
        ends = torch.stack(x.nan_to_num(nan=bins.low).aminmax())
    low, high = clamped_coordinate(bins, ends).floor().int().tolist()
    return low, high


def clamped_coordinate(bins: Bins, x: Tensor) -> Tensor:
    """Bin coordinate of every sample, those beyond any bin's reach brought to where the response falls below rounding."""
    beyond = bins.radius(x.dtype) + 1 + BOUNDARIES[bins.boundary].beyond * bins.count
    return bins.coordinate(x).clamp_(-beyond, bins.count + beyond)


@functools.lru_cache(maxsize=256)
def offsets(reach: int, device: torch.device) -> Tensor:
    """The bins of a reach, in bins from its middle, float64."""
    return torch.arange(reach, device=device, dtype=torch.float64) + (0.5 - reach / 2)


@dataclass(frozen=True)
class Runs:
    """Samples of a chunk grouped by tile into runs of equal length."""

    slots: Tensor  # (runs * length,) the sample in each slot; the number of samples where a slot is empty
    tiles: Tensor  # (runs,) the tile of each run
    length: int
    order: Tensor  # (samples,) the samples by tile

    @classmethod
    def of(cls, tiles: Tensor, tile_count: int, reach: int, order: Tensor | None = None) -> Runs:
        """Runs of samples whose tiles are given, any shape, values in [0, tile_count); their order, if it is known already."""
        tiles, samples, device = tiles.flatten(), tiles.numel(), tiles.device
        counts = torch.bincount(tiles, minlength=tile_count)
        length = _run_length(samples / max(int(counts.count_nonzero()), 1), reach)
        runs = (counts + (length - 1)).div_(length, rounding_mode="floor")
        run_tiles = torch.repeat_interleave(runs)
        if order is None:
            order = torch.sort(tiles, stable=True)[1]
        # the j-th sample of a tile goes to the j-th slot of that tile's first run
        shift = (runs.cumsum(0) - runs) * length - (counts.cumsum(0) - counts)
        slots = torch.full((run_tiles.numel() * length,), samples, device=device)
        # scatters and index_select, as on a CPU an index takes three times as long
        slots.scatter_(0, torch.repeat_interleave(shift, counts).add_(torch.arange(samples, device=device)), order)
        return cls(slots, run_tiles, length, order)

    def gather(self, values: Tensor) -> Tensor:
        """Values of the samples in slot order, (runs, length); 0 in empty slots."""
        values = values.flatten()
        return torch.cat([values, values.new_zeros(1)]).index_select(0, self.slots).view(-1, self.length)

    def scatter(self, values: Tensor, like: Tensor) -> Tensor:
        """Back from slot order, (runs, length), to the samples' own order and the shape of `like`."""
        result = values.new_empty(like.numel() + 1)
        result.scatter_(0, self.slots, values.flatten())
        return result[:-1].view(like.shape)


def _run_length(samples_per_tile: float, reach: int) -> int:
    """Long runs add fewer windows to the histogram, short ones leave fewer slots empty.

    A tile with fewer samples than its reach has bins gets a single run, a fuller one about two.
    """
    wanted = samples_per_tile if samples_per_tile <= reach else samples_per_tile / 2
    longest = 1 << (2 * reach - 1).bit_length()
    return min(longest, max(SHORTEST_RUN, 1 << round(math.log2(max(wanted, 1)))))
