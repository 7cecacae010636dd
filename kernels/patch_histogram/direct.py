"""Cells' histograms response by response: each bin in a pixel's reach is one addition, or one number that it gathers. For windows
that are no short polynomials, and cells of too few pixels for moments (see moments.py)."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ..common.bins import Bins
from ..common.boundaries import BOUNDARIES, real_bins
from ..common.tiles import clamped_coordinate


class Direct:
    """How pixels (B, C, H, W) make histograms of their cells of `cell` x `cell` pixels, (B, C, H / cell, W / cell, K)."""

    def __init__(self, bins: Bins, cell: int) -> None:
        self.bins, self.cell = bins, cell
        self.inside = False  # not looked at
        #: numbers that a cell takes
        self.numbers = bins.count + 1

    def counts(self, x: Tensor) -> Tensor:
        """Pixels -> the histograms of their cells, (B, C, H / cell, W / cell, K)."""
        pixels = _Pixels(x, self.bins, self.cell)
        cells = x.new_zeros(pixels.shape)
        for index, distance in pixels:
            cells.view(-1).scatter_add_(0, index.view(-1), self.bins.response(distance).view(-1))
        return cells[..., : self.bins.count]

    def add_gradient(self, cells: Tensor, x: Tensor, grad_x: Tensor) -> None:
        """Adds the pixels' gradients to `grad_x`, from those with respect to their cells' histograms."""
        pixels = _Pixels(x, self.bins, self.cell)
        cells = torch.cat([cells, cells[..., :1] * 0], -1).view(-1)  # what the boundary loses: 0, but for NaN
        for index, distance in pixels:
            picked = cells.index_select(0, index.view(-1)).view(distance.shape)
            grad_x.addcmul_(picked, self.bins.derivative(distance), value=self.bins.scale)


class _Pixels:
    """The pixels of a piece: which counts each of them touches, and at what distances from the bins' centres."""

    def __init__(self, x: Tensor, bins: Bins, cell: int) -> None:
        self.bins, self.dtype = bins, x.dtype
        self.t = clamped_coordinate(bins, x).nan_to_num_(nan=0.0)  # what NaN does is up to those who know the patches
        reach = bins.reach(x.dtype)
        self.responses, self.first = math.ceil(2 * reach), (self.t - (0.5 + reach)).ceil_()
        if bins.boundary == "open" and self.responses > bins.count:  # all that there are
            self.responses, self.first = bins.count, torch.zeros_like(self.t)
        shape = self.shape = *x.shape[:2], x.shape[2] // cell, x.shape[3] // cell, bins.count + 1
        plane, row, column = (torch.arange(size, device=x.device) for size in (shape[0] * shape[1], *x.shape[2:]))
        place = (plane.view(*shape[:2], 1, 1) * shape[2] + (row // cell).unsqueeze(-1)) * shape[3] + column // cell
        self.base = place * shape[4]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """For each bin in reach of a pixel: the index into (B, C, cell rows, cell columns, K + 1), whose last bin is for what
        the boundary loses, and the distance in bins; both (B, C, H, W)."""
        for offset in range(self.responses):
            k = self.first + offset
            yield (
                self.base + real_bins(BOUNDARIES[self.bins.boundary], k.long(), self.bins.count),
                (self.t - (k + 0.5)).to(self.dtype),
            )
