"""What samples are on an axis of bins: their places, their responses in the bins that they reach, and the slopes of these."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from .bins import Bins
from .boundaries import BOUNDARIES
from .separated import Separated, block_layout, separated, sum_last
from .tiles import Tiling, clamped_coordinate, offsets


class BinsAxis:
    """Tiles of bins, for samples in runs of one of them (an `Axis` of joint_histogram/axes.py), or a single tile of all bins."""

    two_tables = False

    def __init__(self, tiling: Tiling, device: torch.device) -> None:
        self._tiling, self._bins, self._dtype = tiling, tiling.bins, tiling.dtype
        self.count, self.size, self.step, self.extent = tiling.count, tiling.reach, tiling.tile, tiling.blocks * tiling.tile
        self._middle = tiling.origin + tiling.tile / 2
        self._separated: Separated | None = separated(tiling.bins, tiling.dtype, tiling.reach, device)
        given = (1.0, 1.0) if self._separated is None else (self._separated.factor, self._separated.slope_factor)
        self.factor, self.slope_factor = given[0], given[1] * tiling.bins.scale

    def locate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._tiling.locate(x)

    @property
    def numbers(self) -> int:
        """That describe a sample."""
        return 1 if self._separated is None else self._separated.numbers

    def describe(self, place: Tensor) -> Tensor:
        return place if self._separated is None else self._separated.describe(place)

    def describe_all(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """What values are made of, of samples on a single tile; `out` is the memory, with the last dimension first."""
        if self._separated is None:
            return clamped_coordinate(self._bins, x).sub_(self._middle)
        # what splits needs no clamping before
        return self._separated.describe(self._bins.coordinate(x).sub_(self._middle), out, finite=False)

    def _distance(self, place: Tensor) -> Tensor:
        return (place.unsqueeze(-1) - offsets(self.size, place.device)).to(self._dtype)

    def values(self, described: Tensor, out: Tensor | None = None) -> Tensor:
        if self._separated is None:
            return self._bins.response(self._distance(described))
        return self._separated.values(described, out)

    def along(self, windows: Tensor, others: Tensor) -> Tensor:
        return torch.matmul(others, windows.mT)

    def slopes(self, described: Tensor, values: Tensor, along: Tensor) -> Tensor:
        if self._separated is None:
            return sum_last(along.mul_(self._bins.derivative(self._distance(described))))
        return self._separated.slopes_sum(described, values, along)

    def slopes_at(self, described: Tensor, values: Tensor) -> Tensor:
        """(runs, length, size), `slope_factor` times too small."""
        if self._separated is None:
            return self._bins.derivative(self._distance(described))
        return self._separated.slopes_at(described, values)

    def fold(self, extended: Tensor) -> Tensor:
        return self._tiling.fold(extended)

    def expand(self, grad: Tensor, slopes: bool) -> Tensor:
        return self._tiling.unfold(grad)


@functools.lru_cache(maxsize=256)
def _of_tiling(tiling: Tiling, device: torch.device) -> BinsAxis:
    return BinsAxis(tiling, device)


def bins_axis(bins: Bins, x: Tensor, single: bool = False) -> BinsAxis:
    """In tiles of bins, those that hold samples x (B, N); or a single tile of all bins."""
    if single and bins.boundary == "open":
        return _all_bins(bins, x.dtype, x.device)
    return _of_tiling(Tiling.covering(bins, x, dense=single), x.device)


@functools.lru_cache(maxsize=256)
def _all_bins(bins: Bins, dtype: torch.dtype, device: torch.device) -> BinsAxis:
    """Without a look at samples."""
    return BinsAxis(Tiling.covering(bins, torch.empty(0, dtype=dtype, device=device), dense=True), device)


def held_shapes(bins: Bins, x: Tensor, both: int = 1) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Shapes of what describes samples x (B, N), `both` times, and of their responses in a single tile of all bins, so that a later
    pass need not make them; None where windows do not split, or bins depend on where samples are."""
    size, numbers = _sizes(bins, x.dtype)
    return ((numbers, both, *x.shape), (both, *x.shape, size)) if size else None


@functools.lru_cache(maxsize=256)
def _sizes(bins: Bins, dtype: torch.dtype) -> tuple[int, int]:
    boundary = BOUNDARIES[bins.boundary]
    size = bins.count + (2 * bins.radius(dtype) if boundary.periodic else 0)
    layout = block_layout(bins, dtype, size)
    return (0, 0) if layout is None or boundary.beyond else (size, 2 * layout[0] + 1)
