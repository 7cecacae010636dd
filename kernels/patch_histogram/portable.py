"""Patch histograms by cells (see patches.py): with a triangular window a pixel responds in two bins, and neither those responses
nor overlapping patches are spelt out. Backward, the sums are transposed, and a pixel gathers from its cell. Nothing but the image
is kept.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ..common.bins import Bins
from ..common.boundaries import BOUNDARIES, real_bins
from ..common.devices import budget
from ..common.nonfinite import placeless
from ..common.tiles import clamped_coordinate
from .patches import Patches

#: counts of cells held at a time: on a CPU what stays in the cache, on other devices enough to keep them busy (chosen, not
#: measured)
CPU_COUNTS, DEVICE_COUNTS = 1 << 19, 1 << 26


def _pieces(x: Tensor, count: int, patches: Patches) -> Iterator[tuple[slice, slice, slice]]:
    """Cut a batch into images and rows of patches to be counted at a time, and their rows of pixels."""
    batch, channels = x.shape[:2]
    per_row = channels * (patches.pixels(patches.columns) // patches.cell) * (count + 1)  # counts in a row of cells
    cells = max(budget(x, CPU_COUNTS, DEVICE_COUNTS) // per_row, 1)  # rows of cells
    per_image = patches.pixels(patches.rows) // patches.cell
    images = max(cells // per_image, 1)
    rows = max((cells * patches.cell - patches.patch) // patches.stride + 1, 1)
    for image in range(0, batch, images):
        for first in range(0, patches.rows, rows):
            last = min(first + rows, patches.rows)
            start = first * patches.stride
            yield slice(image, image + images), slice(first, last), slice(start, start + patches.pixels(last - first))


class _Pixels:
    """The pixels of a piece: which counts each of them touches, and at what distances from the bins' centres."""

    def __init__(self, x: Tensor, bins: Bins, cell: int) -> None:
        self.bins, self.dtype = bins, x.dtype
        self.t = clamped_coordinate(bins, x).nan_to_num_(nan=0.0)  # what NaN does is up to those who know the patches
        reach = bins.reach(x.dtype)
        self.responses = math.ceil(2 * reach)
        self.first = (self.t - (0.5 + reach)).ceil_()
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


def forward(x: Tensor, bins: Bins, patch: int, stride: int) -> Tensor:
    """(B, C, H, W) -> (B, patches, C*K)."""
    patches = Patches(*x.shape[2:], patch, stride)
    batch, channels = x.shape[:2]
    result = x.new_empty(batch, patches.rows, patches.columns, channels, bins.count)
    if result.numel():
        for images, rows, pixel_rows in _pieces(x, bins.count, patches):
            piece = x[images, :, pixel_rows, : patches.pixels(patches.columns)]
            pixels = _Pixels(piece, bins, patches.cell)
            cells = x.new_zeros(pixels.shape)
            for index, distance in pixels:
                cells.view(-1).scatter_add_(0, index.view(-1), bins.response(distance).view(-1))
            counts = patches.sum(cells[..., : bins.count])
            result[images, rows] = _spread_nan(counts, placeless(piece, bins), patches).permute(0, 2, 3, 1, 4)
    return result.view(batch, patches.rows * patches.columns, channels * bins.count)


def _spread_nan(counts: Tensor, bad: Tensor, patches: Patches) -> Tensor:
    """NaN in every bin of a patch's channel that has a bad pixel, as the dense formula gives it; in place."""
    if bad.any():
        held = bad.unfold(2, patches.patch, patches.stride).unfold(3, patches.patch, patches.stride).flatten(4).any(-1)
        counts.masked_fill_(held.unsqueeze(-1), torch.nan)
    return counts


def backward(grad: Tensor, x: Tensor, bins: Bins, patch: int, stride: int, needs: list[bool]) -> list[Tensor]:
    """(B, patches, C*K), (B, C, H, W) -> (B, C, H, W)."""
    patches = Patches(*x.shape[2:], patch, stride)
    grad_x = torch.zeros_like(x)
    if not grad.numel():
        return [grad_x]
    upstream = grad.view(len(x), patches.rows, patches.columns, x.shape[1], bins.count).permute(0, 3, 1, 2, 4)
    for images, rows, pixel_rows in _pieces(x, bins.count, patches):
        piece = images, slice(None), pixel_rows, slice(patches.pixels(patches.columns))
        pixels = _Pixels(x[piece], bins, patches.cell)
        cells = patches.spread(upstream[images, :, rows])
        cells = torch.cat([cells, cells[..., :1] * 0], -1).view(-1)  # what the boundary loses: 0, but for NaN
        for index, distance in pixels:
            picked = cells.index_select(0, index.view(-1)).view(distance.shape)
            grad_x[piece].addcmul_(picked, bins.derivative(distance), value=bins.scale)
    return [grad_x]
