"""Patch histograms by cells (see patches.py), by moments of their pixels (moments.py) or response by response (direct.py): neither
overlapping patches nor responses are spelt out. Backward, the sums are transposed, and a pixel gathers from its cell. Nothing but
the image is kept.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from ..common.bins import Bins
from ..common.devices import budget, one_core
from ..common.nonfinite import placeless
from .direct import Direct
from .moments import Moments
from .patches import Patches

#: numbers held at a time, of cells and PER_PIXEL for each of their pixels: on a CPU some MB, as smaller pieces take longer in calls
#: than their caches gain, on other devices enough to keep them busy (chosen, not measured)
CPU_COUNTS, DEVICE_COUNTS = 1 << 20, 1 << 26
PER_PIXEL = 6
#: pixels up to which other cores would be waited for longer than they help
FEW = 1 << 16


def _way(x: Tensor, bins: Bins, patches: Patches) -> Moments | Direct:
    """The sooner way to count cells."""
    return Moments.covering(bins, x, patches.cell) or Direct(bins, patches.cell)


def _pieces(x: Tensor, numbers: int, patches: Patches) -> Iterator[tuple[slice, slice, slice]]:
    """Cut a batch into images and rows of patches to be counted at a time, and their rows of pixels."""
    batch, channels = x.shape[:2]
    per_cell = max(numbers, PER_PIXEL * patches.cell**2)
    per_row = channels * (patches.pixels(patches.columns) // patches.cell) * per_cell  # of cells
    cells = max(budget(x, CPU_COUNTS, DEVICE_COUNTS) // per_row, 1)  # rows of cells
    per_image = patches.pixels(patches.rows) // patches.cell
    images = max(cells // per_image, 1)
    rows = max((cells * patches.cell - patches.patch) // patches.stride + 1, 1)
    for image in range(0, batch, images):
        for first in range(0, patches.rows, rows):
            last = min(first + rows, patches.rows)
            start = first * patches.stride
            yield slice(image, image + images), slice(first, last), slice(start, start + patches.pixels(last - first))


def forward(x: Tensor, bins: Bins, patch: int, stride: int) -> Tensor:
    """(B, C, H, W) -> (B, patches, C*K)."""
    patches = Patches(*x.shape[2:], patch, stride)
    batch, channels = x.shape[:2]
    result = x.new_empty(batch, patches.rows, patches.columns, channels, bins.count)
    if result.numel():
        with one_core(x.numel() <= FEW):
            way = _way(x, bins, patches)
            for images, rows, pixel_rows in _pieces(x, way.numbers, patches):
                piece = x[images, :, pixel_rows, : patches.pixels(patches.columns)]
                counts = patches.sum(way.counts(piece))
                if not way.inside:
                    _spread_nan(counts, placeless(piece, bins), patches)
                result[images, rows] = counts.permute(0, 2, 3, 1, 4)
    return result.view(batch, patches.rows * patches.columns, channels * bins.count)


def _spread_nan(counts: Tensor, bad: Tensor, patches: Patches) -> None:
    """NaN in every bin of a patch's channel that has a bad pixel, as the dense formula gives it; in place."""
    if bad.any():
        held = bad.unfold(2, patches.patch, patches.stride).unfold(3, patches.patch, patches.stride).flatten(4).any(-1)
        counts.masked_fill_(held.unsqueeze(-1), torch.nan)


def backward(grad: Tensor, x: Tensor, bins: Bins, patch: int, stride: int, needs: list[bool]) -> list[Tensor]:
    """(B, patches, C*K), (B, C, H, W) -> (B, C, H, W)."""
    patches = Patches(*x.shape[2:], patch, stride)
    grad_x = torch.zeros_like(x)
    if not grad.numel():
        return [grad_x]
    upstream = grad.view(len(x), patches.rows, patches.columns, x.shape[1], bins.count).permute(0, 3, 1, 2, 4)
    with one_core(x.numel() <= FEW):
        way = _way(x, bins, patches)
        for images, rows, pixel_rows in _pieces(x, way.numbers, patches):
            piece = images, slice(None), pixel_rows, slice(patches.pixels(patches.columns))
            way.add_gradient(patches.spread(upstream[images, :, rows]), x[piece], grad_x[piece])
    return [grad_x]
