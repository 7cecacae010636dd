"""Soft histogram by runs of samples of one tile of bins (see common/tiles.py): only the bins within a sample's reach enter, and
nothing but the samples and shares is kept for the backward pass."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ..common.bins import Bins
from ..common.devices import budget
from ..common.nonfinite import spread
from ..common.separated import separated
from ..common.tiles import Runs, Tiling, offsets


class Budget(NamedTuple):
    """How much is done at a time."""

    ordered: int
    """Samples put in order."""
    responses: int


#: torch sorts so many integers by radix, and fewer than half of them by comparison; responses stay in the cache, and in memory
#: that the allocator keeps (with four times as many, a third of the time goes into page faults)
CPU_BUDGET = Budget(1 << 16, 1 << 17)
#: any other device must be given more at a time than it takes to launch a kernel: 128 MB of float32, chosen and not measured
DEVICE_BUDGET = Budget(1 << 22, 1 << 25)


def forward(x: Tensor, shares: Tensor | None, bins: Bins) -> Tensor:
    """(B, N) -> (B, K) by runs of samples of one tile."""
    tiling = Tiling.covering(bins, x)
    # float64, as a constant image adds all its runs to one block
    blocks = x.new_zeros(len(x) * tiling.blocks, tiling.tile, dtype=torch.float64)
    for part in _parts(x):
        ordered = _Ordered(x, shares, tiling, part)
        first = ordered.image * tiling.blocks + ordered.tile
        for piece, responses in ordered.pieces():
            windows = torch.bmm((ordered.share[piece] * responses.factor).unsqueeze(1), responses.values).squeeze(1).double()
            for i, block in enumerate(windows.split(tiling.tile, dim=1)):
                blocks.index_add_(0, first[piece] + i, block)
    histogram = tiling.fold(blocks.view(len(x), tiling.blocks * tiling.tile)).to(x.dtype)
    return spread(histogram, shares, (x, bins))


def backward(grad: Tensor, x: Tensor, shares: Tensor | None, bins: Bins, needs: list[bool]) -> tuple[Tensor, Tensor]:
    """Gradients with respect to x and shares, empty where not needed."""
    tiling = Tiling.covering(bins, x)
    grad_x, grad_shares = (x.new_empty(x.shape if need else 0) for need in needs)
    # G over the reach of every tile, a view: (B, tiles, reach)
    reaches = tiling.unfold(grad.to(x.dtype)).unfold(1, tiling.reach, tiling.tile)
    for part in _parts(x):
        ordered = _Ordered(x, shares, tiling, part)
        slope, response = torch.empty_like(ordered.share), torch.empty_like(ordered.share)
        for piece, responses in ordered.pieces():
            upstream = reaches[ordered.image[piece], ordered.tile[piece]].unsqueeze(-1)
            if needs[0]:
                slope[piece] = torch.bmm(responses.slopes() * (responses.slope_factor * bins.scale), upstream).squeeze(-1)
            if needs[1]:
                response[piece] = torch.bmm(responses.values * responses.factor, upstream).squeeze(-1)
        if needs[0]:
            grad_x[part] = ordered.runs.scatter(slope.mul_(ordered.share), x[part])
        if needs[1]:
            grad_shares[part] = ordered.runs.scatter(response, x[part])
    return grad_x, grad_shares


def _parts(x: Tensor) -> Iterator[tuple[slice, slice]]:
    """Cut samples (B, N) into parts to be ordered at a time: several small rows or a piece of a large one."""
    (batch, samples), most = x.shape, budget(x, CPU_BUDGET, DEVICE_BUDGET).ordered
    rows = max(most // max(samples, 1), 1)
    for first, start in itertools.product(range(0, batch, rows), range(0, samples, most)):
        yield slice(first, first + rows), slice(start, start + most)


class _Ordered:
    """A part of samples in runs of one tile: distances from its centre and shares, (runs, length), and the image and tile of every
    run."""

    def __init__(self, x: Tensor, shares: Tensor | None, tiling: Tiling, part: tuple[slice, slice]) -> None:
        samples = x[part]
        tile, distance = tiling.locate(samples)
        key = torch.arange(len(samples), device=x.device).unsqueeze(1) * tiling.count + tile
        self._tiling, self.runs = tiling, Runs.of(key, len(samples) * tiling.count, tiling.reach)
        self._distance = self.runs.gather(distance)
        self.share = self.runs.gather(torch.full_like(samples, 1 / x.shape[1]) if shares is None else shares[part])
        self.image, self.tile = self.runs.tiles // tiling.count + part[0].start, self.runs.tiles % tiling.count

    def pieces(self) -> Iterator[tuple[slice, "_Responses"]]:
        """Runs that are done together, and their responses."""
        step = max(budget(self.share, CPU_BUDGET, DEVICE_BUDGET).responses // (self.runs.length * self._tiling.reach), 1)
        for start in range(0, len(self.runs.tiles), step):
            piece = slice(start, start + step)
            yield piece, _Responses(self._tiling, self._distance[piece])


class _Responses:
    """Of samples at a distance (float64) from their tile's centre, over its reach. `values * factor` is the response,
    `slopes() * slope_factor` its derivative with respect to the sample's bin coordinate; the constants are left to the caller, who
    multiplies smaller tensors."""

    def __init__(self, tiling: Tiling, distance: Tensor) -> None:
        self._bins, self._separated = tiling.bins, separated(tiling.bins, tiling.dtype, tiling.reach, distance.device)
        if self._separated is None:
            # subtracted in float64: far from the tile's centre, a distance in float32 would be off by 1e-5 of a bin
            self._described = (distance.unsqueeze(-1) - offsets(tiling.reach, distance.device)).to(tiling.dtype)
            self.values, self.factor, self.slope_factor = self._bins.response(self._described), 1.0, 1.0
        else:
            self._described = self._separated.describe(distance)
            self.values = self._separated.values(self._described)
            self.factor, self.slope_factor = self._separated.factor, self._separated.slope_factor

    def slopes(self) -> Tensor:
        if self._separated is None:
            return self._bins.derivative(self._described)
        return self._separated.slopes_at(self._described, self.values)
