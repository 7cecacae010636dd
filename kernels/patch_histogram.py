"""Soft histograms of the patches of an image (HarmonicGAN's low-level features).

    h[p, c, k] = sum over the pixels n of patch p:  window(t_n - k - 1/2),      t_n the pixel's coordinate in bins
    dL/dx_n = dt/dx sum_k S[n, k] window'(t_n - k - 1/2),      S[n, k] = sum over the patches p that hold n:  G[p, c, k]

with G the upstream gradient. With HarmonicGAN's triangular window a pixel responds in two bins. Neither those responses nor
overlapping patches are spelt out: pixels are counted in square cells, of which patches and strides are whole multiples, and the
cells' histograms are summed over each patch, along columns and then rows. Backward, the sums are transposed, and a pixel gathers
from its cell. Nothing but the image is kept for the backward pass.

    patch 8, stride 8      cells of 8 x 8, one a patch            patch 8, stride 4      cells of 4 x 4, 2 x 2 a patch
    patch 8, stride 1      cells are pixels, 8 x 8 a patch        patch 6, stride 9      cells of 3 x 3, 2 x 2 a patch, some unused
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from . import arguments, reference_harmonic
from .bins import Bins, as_bins
from .registration import once_differentiable, operator
from .tiles import clamped_coordinate, real_bins

#: counts of cells held at a time: on a CPU what stays in the cache, on a device enough to keep it busy (chosen, not measured)
BUDGETS = {"cpu": 1 << 19, "cuda": 1 << 26}


@dataclass(frozen=True)
class Grid:
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

    def pieces(self, x: Tensor, count: int) -> Iterator[tuple[slice, slice, slice]]:
        """Cut a batch into images and rows of patches to be counted at a time, and their rows of pixels."""
        batch, channels = x.shape[:2]
        per_row = channels * (self.pixels(self.columns) // self.cell) * (count + 1)  # counts in a row of cells
        cells = max(BUDGETS[x.device.type] // per_row, 1)  # rows of cells
        per_image = self.pixels(self.rows) // self.cell
        images = max(cells // per_image, 1)
        rows = max((cells * self.cell - self.patch) // self.stride + 1, 1)
        for image in range(0, batch, images):
            for first in range(0, self.rows, rows):
                last = min(first + rows, self.rows)
                start = first * self.stride
                yield slice(image, image + images), slice(first, last), slice(start, start + self.pixels(last - first))

    def sum(self, cells: Tensor) -> Tensor:
        """Cells' histograms (B, C, cell rows, cell columns, K) summed over each patch, (B, C, rows, columns, K)."""
        for dim in (3, 2):
            cells = _window_sums(cells, dim, self.patch // self.cell)
            cells = cells[(slice(None),) * dim + (slice(None, None, self.stride // self.cell),)]
        return cells

    def spread(self, patches: Tensor) -> Tensor:
        """The transpose of `sum`: for every cell, the sum of what the patches that hold it have."""
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


class _Pixels:
    """The pixels of a piece: which counts each of them touches, and at what distances from the bins' centres."""

    def __init__(self, x: Tensor, bins: Bins, cell: int) -> None:
        self.bins, self.dtype = bins, x.dtype
        self.t = clamped_coordinate(bins, x)
        reach = bins.reach(x.dtype)
        self.responses = math.ceil(2 * reach)
        self.first = (self.t.nan_to_num(nan=0.0) - (0.5 + reach)).ceil_()
        shape = self.shape = *x.shape[:2], x.shape[2] // cell, x.shape[3] // cell, bins.count + 1
        plane, row, column = (torch.arange(size, device=x.device) for size in (shape[0] * shape[1], *x.shape[2:]))
        place = (plane.view(*shape[:2], 1, 1) * shape[2] + (row // cell).unsqueeze(-1)) * shape[3] + column // cell
        self.base = place * shape[4]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """For each bin in reach of a pixel: the index into (B, C, cell rows, cell columns, K + 1), whose last bin is for what
        the boundary loses, and the distance in bins; both (B, C, H, W)."""
        for offset in range(self.responses):
            k = self.first + offset
            yield self.base + real_bins(self.bins, k.long()), (self.t - (k + 0.5)).to(self.dtype)


def _forward(x: Tensor, bins: Bins, grid: Grid) -> Tensor:
    """(B, C, H, W) -> (B, patches, C*K)."""
    batch, channels = x.shape[:2]
    result = x.new_empty(batch, grid.rows, grid.columns, channels, bins.count)
    if result.numel():
        for images, rows, pixel_rows in grid.pieces(x, bins.count):
            piece = x[images, :, pixel_rows, : grid.pixels(grid.columns)]
            pixels = _Pixels(piece, bins, grid.cell)
            cells = x.new_zeros(pixels.shape)
            for index, distance in pixels:
                cells.view(-1).scatter_add_(0, index.view(-1), bins.response(distance).view(-1))
            counts = grid.sum(cells[..., : bins.count])
            result[images, rows] = _spread_nan(counts, piece, grid).permute(0, 2, 3, 1, 4)
    return result.view(batch, grid.rows * grid.columns, channels * bins.count)


def _spread_nan(counts: Tensor, x: Tensor, grid: Grid) -> Tensor:
    """NaN in every bin of a patch's channel that has a NaN pixel, as the dense formula gives it; in place."""
    bad = x.isnan()
    if bad.any():
        held = bad.unfold(2, grid.patch, grid.stride).unfold(3, grid.patch, grid.stride).flatten(4).any(-1)
        counts.masked_fill_(held.unsqueeze(-1), torch.nan)
    return counts


def _backward(grad: Tensor, x: Tensor, bins: Bins, grid: Grid) -> Tensor:
    """(B, patches, C*K), (B, C, H, W) -> (B, C, H, W)."""
    grad_x = torch.zeros_like(x)
    if not grad.numel():
        return grad_x
    upstream = grad.view(len(x), grid.rows, grid.columns, x.shape[1], bins.count).permute(0, 3, 1, 2, 4)
    for images, rows, pixel_rows in grid.pieces(x, bins.count):
        piece = images, slice(None), pixel_rows, slice(grid.pixels(grid.columns))
        pixels = _Pixels(x[piece], bins, grid.cell)
        cells = torch.nn.functional.pad(grid.spread(upstream[images, :, rows]), (0, 1)).view(-1)
        for index, distance in pixels:
            picked = cells.index_select(0, index.view(-1)).view(distance.shape)
            grad_x[piece].addcmul_(picked, bins.derivative(distance), value=bins.scale)
    return grad_x


@operator("patch_histogram")
def _op(x: Tensor, bins: str, patch: int, stride: int, backend: str) -> Tensor:
    forward = _fused().forward if backend == "triton" and x.numel() else _forward
    return forward(x.contiguous(), Bins.from_spec(bins), Grid(*x.shape[2:], patch, stride))


@operator("patch_histogram_backward")
def _op_backward(grad: Tensor, x: Tensor, bins: str, patch: int, stride: int, backend: str) -> Tensor:
    backward = _fused().backward if backend == "triton" and x.numel() else _backward
    return backward(grad.contiguous(), x.contiguous(), Bins.from_spec(bins), Grid(*x.shape[2:], patch, stride))


def _fused() -> ModuleType:
    """The Triton kernels, imported when first used."""
    from .fused import patch_histogram

    return patch_histogram


@_op.register_fake
def _(x: Tensor, bins: str, patch: int, stride: int, backend: str) -> Tensor:
    grid = Grid(*x.shape[2:], patch, stride)
    return x.new_empty(x.shape[0], grid.rows * grid.columns, x.shape[1] * Bins.from_spec(bins).count)


@_op_backward.register_fake
def _(grad: Tensor, x: Tensor, bins: str, patch: int, stride: int, backend: str) -> Tensor:
    return x.new_empty(x.shape)


def _setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
    x, *ctx.plain = inputs
    ctx.save_for_backward(x)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    return _op_backward(grad, *ctx.saved_tensors, *ctx.plain), None, None, None, None


_op.register_autograd(_differentiate, setup_context=_setup_context)
once_differentiable(_op_backward)


def patch_histogram(
    x: Tensor, bins: int | Bins, *, patch: int = 8, stride: int | None = None, backend: str | None = None
) -> Tensor:
    """Differentiable histograms of an image's patches: the sum of the pixels' responses in each bin (HarmonicGAN, Zhang et al.
    2019, phi_h of "low-level soft histogram").

    Args:
        x: images, (B, C, H, W), floating; half precision is computed and returned in float32. Values outside the bins' range
            are treated as `Bins` says; a NaN pixel makes the histograms of its patches, in its channel, NaN.
        bins: `Bins`, or a number of bins over [0, 1]: then HarmonicGAN's triangular window with boundary "reflect", where each
            pixel counts exactly 1, shared by the two nearest bins.
        patch: side of the square patches in pixels.
        stride: pixels from one patch to the next; None is `patch`, patches side by side. Rows and columns of pixels that are
            left over at the bottom and on the right are dropped, as by `torch.nn.functional.unfold`.
        backend: None, "torch", "triton" or "reference", as for `soft_histogram`.

    Returns:
        (B, patches, C*K), counts: patches row by row, bins channel by channel. Each channel of a patch sums to patch^2 but for
        what an `open` boundary loses.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        RuntimeError: on second or forward-mode derivatives and `torch.func` transforms, unless backend is "reference".
    """
    if not isinstance(bins, Bins):
        bins = Bins(as_bins(bins).count, boundary="reflect", window="triangular")
    x = arguments.samples("x", x)
    if x.dim() != 4:
        raise ValueError(f"x must be images (B, C, H, W), got {tuple(x.shape)}")
    patch = _length("patch", patch)
    stride = patch if stride is None else _length("stride", stride)
    if patch > min(x.shape[2:]):
        raise ValueError(f"patch must fit into x, expected at most {min(x.shape[2:])} for {tuple(x.shape)}, got {patch}")
    backend = arguments.choose_backend(backend, x, lambda: _fused().unserved(bins, x.dtype))
    if backend == "reference":
        with torch.autocast(x.device.type, enabled=False):
            return reference_harmonic.patch_histogram(x, bins, patch, stride)
    arguments.plain_autograd_only(x)
    return _op(x, bins.spec, patch, stride, backend)


def _length(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be a number of pixels, an int, got {value!r}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    return len(range(int(value)))  # under torch.compile a symbol becomes a number again, as in as_bins
