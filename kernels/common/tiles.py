"""Block-sparse layout shared by the `torch` histograms: which bins a sample can reach, and samples in tile order.

A window reaches few bins, so the bin range is cut into tiles and a sample touches only its own tile and `margin` tiles on
either side: its *reach*. Samples of one tile (in two dimensions, of one pair of tiles) are packed into runs of equal length, so
that one batched matrix product over all runs does the work. Boundaries are settled afterwards: responses are counted over an
extended range of bins, which is then folded onto the K real ones.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from .bins import Bins
from .boundaries import BOUNDARIES, real_bins
from .devices import budget
from .windows import WINDOWS, is_separable


class Budget(NamedTuple):
    """How much is done at a time."""

    ordered: int
    """Samples put in order."""
    responses: int
    """Responses, or cells of windows."""


#: torch sorts so many integers by radix, and fewer than half of them by comparison; responses stay in the cache, and in memory
#: that the allocator keeps (with four times as many, a third of the time goes into page faults)
CPU_BUDGET = Budget(1 << 16, 1 << 17)
#: any other device must be given more at a time than it takes to launch a kernel: 128 MB of float32, chosen and not measured
DEVICE_BUDGET = Budget(1 << 22, 1 << 25)
#: slots of the shortest run
SHORTEST_RUN = 8


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
        tile = 8 if radius <= 8 else 16
        margin = -(-radius // tile)
        if dense or (2 * margin + 1) * tile >= bins.count:
            first, last = (0, bins.count) if bins.boundary == "open" else (low - radius, high + 1 + radius)
            return cls(bins, x.dtype, last - first, 0, first, 1)
        return cls(bins, x.dtype, tile, margin, low // tile * tile, high // tile - low // tile + 1)

    @property
    def reach(self) -> int:
        """Bins in which the samples of one tile can respond."""
        return (2 * self.margin + 1) * self.tile

    @property
    def blocks(self) -> int:
        """Tiles of the extended range: `margin` on either side."""
        return self.count + 2 * self.margin

    def locate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Tile of every sample (int64), and its distance from the tile's centre in bins (float64, NaN for NaN)."""
        t = clamped_coordinate(self.bins, x)
        index = ((t.nan_to_num(nan=0.0) - self.origin) / self.tile).floor_().clamp_(0, self.count - 1)
        return index.long(), t - (index * self.tile + (self.origin + self.tile / 2))

    def fold(self, extended: Tensor) -> Tensor:
        """Sum an extended range of bins, the last dimension, into the real ones."""
        if self.bins.boundary == "open":
            return pad(extended, self._beyond) if any(self._beyond) else extended
        sums = extended.new_zeros(*extended.shape[:-1], self.bins.count + 1)
        return sums.index_add_(-1, _real_bins(self, extended.device), extended)[..., :-1]

    def unfold(self, gradient: Tensor) -> Tensor:
        """The transpose of `fold`: every extended bin's share of a gradient with respect to the real ones."""
        if self.bins.boundary == "open":
            low, high = self._beyond
            if low == high == 0:
                return gradient
            extended = pad(gradient, (-low, -high))
        else:
            extended = pad(gradient, (0, 1)).index_select(-1, _real_bins(self, gradient.device))
        # NaN where the row's gradient is, also in bins that are lost
        return extended.add_(gradient.sum(-1, keepdim=True), alpha=0)

    @functools.cached_property
    def _beyond(self) -> tuple[int, int]:
        """Real bins beyond either end of the extended range."""
        first = self.origin - self.margin * self.tile
        return first, self.bins.count - first - self.blocks * self.tile


@functools.lru_cache(maxsize=256)
def _real_bins(tiling: Tiling, device: torch.device) -> Tensor:
    """The real bin of each extended one; bins.count where its content is lost."""
    k = torch.arange(tiling.blocks * tiling.tile, device=device) + (tiling.origin - tiling.margin * tiling.tile)
    return real_bins(BOUNDARIES[tiling.bins.boundary], k, tiling.bins.count)


def _bounds(bins: Bins, x: Tensor) -> tuple[int, int]:
    """The lowest and the highest bin that holds a sample."""
    if BOUNDARIES[bins.boundary].periodic or not x.numel():
        return 0, bins.count
    ends = torch.stack(x.aminmax())
    if ends.isnan().any():
        ends = torch.stack(x.nan_to_num(nan=bins.low).aminmax())
    low, high = clamped_coordinate(bins, ends).floor().int().tolist()
    return low, high


def clamped_coordinate(bins: Bins, x: Tensor) -> Tensor:
    """Bin coordinate of every sample, those beyond any bin's reach brought to where the response falls below rounding."""
    beyond = bins.radius(x.dtype) + 1 + BOUNDARIES[bins.boundary].beyond * bins.count
    return bins.coordinate(x).clamp_(-beyond, bins.count + beyond)


def parts(x: Tensor) -> Iterator[tuple[slice, slice]]:
    """Cut samples (B, N) into parts to be ordered at a time: several small rows or a piece of a large one."""
    (batch, samples), most = x.shape, budget(x, CPU_BUDGET, DEVICE_BUDGET).ordered
    rows = max(most // max(samples, 1), 1)
    for first, start in itertools.product(range(0, batch, rows), range(0, samples, most)):
        yield slice(first, first + rows), slice(start, start + most)


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
        slots[torch.repeat_interleave(shift, counts).add_(torch.arange(samples, device=device))] = order
        return cls(slots, run_tiles, length, order)

    def pieces(self, *tilings: Tiling) -> Iterator[slice]:
        """Cut the runs so that neither their responses nor their windows, as large as the product of reaches, are too many."""
        reaches = [tiling.reach for tiling in tilings]
        per_run = max(self.length * max(reaches), math.prod(reaches))
        step = max(budget(self.tiles, CPU_BUDGET, DEVICE_BUDGET).responses // per_run, 1)
        for start in range(0, len(self.tiles), step):
            yield slice(start, start + step)

    def gather(self, values: Tensor) -> Tensor:
        """Values of the samples in slot order, (runs, length); 0 in empty slots."""
        values = values.flatten()
        return torch.cat([values, values.new_zeros(1)])[self.slots].view(-1, self.length)

    def scatter(self, values: Tensor, like: Tensor) -> Tensor:
        """Back from slot order, (runs, length), to the samples' own order and the shape of `like`."""
        result = values.new_empty(like.numel() + 1)
        result[self.slots] = values.flatten()
        return result[:-1].view(like.shape)


def _run_length(samples_per_tile: float, reach: int) -> int:
    """Long runs add fewer windows to the histogram, short ones leave fewer slots empty.

    A tile with fewer samples than its reach has bins gets a single run, a fuller one about two.
    """
    wanted = samples_per_tile if samples_per_tile <= reach else samples_per_tile / 2
    longest = 1 << (2 * reach - 1).bit_length()
    return min(longest, max(SHORTEST_RUN, 1 << round(math.log2(max(wanted, 1)))))


class Responses:
    """Responses of samples over their reach. `values * factor` is the response, `slopes() * slope_factor` its derivative with
    respect to the sample's bin coordinate; the constants are left to the caller, who multiplies smaller tensors."""

    def __init__(self, tiling: Tiling, distance: Tensor) -> None:
        """distance: float64, from the tile's centre, any shape; `values` gets a last dimension of tiling.reach."""
        self._bins, width = tiling.bins, tiling.bins.effective_bandwidth
        offsets = torch.arange(tiling.reach, device=distance.device, dtype=torch.float64) + (0.5 - tiling.reach / 2)
        farthest = (tiling.tile + tiling.reach) / 2 + tiling.bins.radius(tiling.dtype) + 1
        self._separable = is_separable(WINDOWS[tiling.bins.window], width, farthest, tiling.dtype)
        if self._separable:
            self._separate(distance, offsets, 1 / width, tiling.dtype)
        else:
            self._distance = distance.to(tiling.dtype).unsqueeze(-1) - offsets.to(tiling.dtype)
            self.values, self.factor, self.slope_factor = self._bins.response(self._distance), 1.0, 1.0

    def _separate(self, distance: Tensor, offsets: Tensor, a: float, dtype: torch.dtype) -> None:
        """sinh(a/2) / (cosh(a/2) + cosh(a (u - o))), where 2 cosh = E F + 1 / (E F) with E = exp(a u), F = exp(-a o)."""
        sample, column = torch.exp(a * distance), torch.exp(-a * offsets)
        self._sample = torch.stack([sample, sample.reciprocal()], -1).to(dtype)
        self._cosh = torch.stack([column, column.reciprocal()]).to(dtype)
        self._sinh = torch.stack([column, -column.reciprocal()]).to(dtype)
        self.factor = 2 * math.sinh(a / 2)
        self.slope_factor = -a * self.factor
        self.values = (self._sample @ self._cosh).add_(2 * math.cosh(a / 2)).reciprocal_()

    def slopes(self) -> Tensor:
        if not self._separable:
            return self._bins.derivative(self._distance)
        return (self._sample @ self._sinh).mul_(self.values).mul_(self.values)


class Ordered:
    """A part of samples in runs of one tile of each axis: distances from the tiles' centres and shares, (runs, length), and where
    runs belong: image, and the tile of each axis."""

    def __init__(self, axes: Sequence[Tensor], shares: Tensor | None, tilings: Sequence[Tiling], part: tuple[slice, slice]) -> None:
        samples = [x[part] for x in axes]
        key = torch.arange(len(samples[0]), device=samples[0].device).unsqueeze(1)
        distances = []
        for tiling, x in zip(tilings, samples):
            tile, distance = tiling.locate(x)
            key = key * tiling.count + tile
            distances.append(distance)
        tiles = math.prod(tiling.count for tiling in tilings)
        self.runs = Runs.of(key, len(samples[0]) * tiles, max(tiling.reach for tiling in tilings))
        self.distances = [self.runs.gather(distance) for distance in distances]
        even = torch.full_like(samples[0], 1 / axes[0].shape[1]) if shares is None else shares[part]
        self.share, self.tiles, rest = self.runs.gather(even), [], self.runs.tiles
        for tiling in reversed(tilings):
            self.tiles.insert(0, rest % tiling.count)
            rest = rest // tiling.count
        self.image = rest + part[0].start
