"""Where the patches of an image lie, and sums over them without spelling them out.

Pixels are counted in square *cells*, of which patches and strides are whole multiples, and cells are summed over each patch, along
columns and then rows:

    patch 8, stride 8      cells of 8 x 8, one a patch            patch 8, stride 4      cells of 4 x 4, 2 x 2 a patch
    patch 8, stride 1      cells are pixels, 8 x 8 a patch        patch 6, stride 9      cells of 3 x 3, 2 x 2 a patch, some unused
"""

import math
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Patches:
    """Patches of `patch` x `patch` pixels, `stride` apart, in images of `height` x `width`; what is left over is dropped."""

    height: int
    width: int
    patch: int
    stride: int

    @property
    def rows(self) -> int:
        return (self.height - self.patch) // self.stride + 1

    @property
    def columns(self) -> int:
        return (self.width - self.patch) // self.stride + 1

    @property
    def cell(self) -> int:
        """Side of the largest cells that every patch is made of."""
        return math.gcd(self.patch, self.stride)

    def pixels(self, patches: int) -> int:
        """Pixels along a row or column of so many patches."""
        return (patches - 1) * self.stride + self.patch

    def sum(self, cells: Tensor) -> Tensor:
        """Cells' histograms (B, C, cell rows, cell columns, K) summed over each patch, (B, C, rows, columns, K)."""
        if self.patch == self.stride:  # cells are patches
            return cells
        for dim in (3, 2):
            cells = _window_sums(cells, dim, self.patch // self.cell)
            cells = cells[(slice(None),) * dim + (slice(None, None, self.stride // self.cell),)]
        return cells

    def spread(self, patches: Tensor) -> Tensor:
        """The transpose of `sum`: for every cell, the sum of what the patches that hold it have."""
        if self.patch == self.stride:
            return patches
        length, step = self.patch // self.cell, self.stride // self.cell
        for dim in (2, 3):
            shape = list(patches.shape)
            extent = (shape[dim] - 1) * step + 1
            shape[dim] = extent + 2 * (length - 1)
            padded = patches.new_zeros(shape)
            padded.narrow(dim, length - 1, extent)[(slice(None),) * dim + (slice(None, None, step),)] = patches
            patches = _window_sums(padded, dim, length)
        return patches


def _window_sums(x: Tensor, dim: int, length: int) -> Tensor:
    """Sums of every `length` successive entries along `dim`, by doubling: no cancellation, log2(length) additions a place."""
    places = x.shape[dim] - length + 1
    total, start, span = None, 0, 1
    while True:  # x holds the sums of `span` entries
        if length & span:
            part = x.narrow(dim, start, places)
            total, start = part if total is None else total + part, start + span
        if 2 * span > length:
            return total
        rest = x.shape[dim] - span
        x, span = x.narrow(dim, 0, rest) + x.narrow(dim, span, rest), 2 * span
