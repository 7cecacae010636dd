"""Sums of responses, one bin of a sample's reach after the other: each response is right to its own rounding, however small the
sum, by which a histogram's shares are divided."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..common.bins import Bins
from ..common.boundaries import BOUNDARIES, real_bins
from ..common.devices import budget
from ..common.nonfinite import spread
from ..common.tiles import clamped_coordinate

#: samples done at a time: on a CPU they stay in the cache, on other devices they keep it busy
CPU_SAMPLES, DEVICE_SAMPLES = 1 << 15, 1 << 22


def forward(x: Tensor, bins: Bins) -> Tensor:
    """(B, N) -> (B, N)."""
    return spread(_by_parts(x, lambda part: _sum(part, bins, bins.response)), None, (x, bins))


def backward(grad: Tensor, x: Tensor, bins: Bins, needs: list[bool]) -> list[Tensor]:
    """Gradient with respect to x."""
    return [_by_parts(x, lambda part: _sum(part, bins, bins.derivative).mul_(bins.scale)).mul_(grad)]


def _by_parts(x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    if not x.numel():
        return torch.empty_like(x)
    parts = x.view(-1).split(budget(x, CPU_SAMPLES, DEVICE_SAMPLES))
    return torch.cat([function(part) for part in parts]).view(x.shape)


def _sum(x: Tensor, bins: Bins, form: Callable[[Tensor], Tensor]) -> Tensor:
    """The sum of a form of the window over the bins in reach of samples x (n,)."""
    boundary, count = BOUNDARIES[bins.boundary], reached(bins, x.dtype)
    t = bins.coordinate(x) if boundary.periodic else clamped_coordinate(bins, x)
    first = t.floor().sub_((count - 1) // 2)
    if bins.boundary == "open":  # real bins only, of which there may be fewer
        first.clamp_(0, bins.count - count)
    total = torch.zeros_like(t)
    for j in range(count):
        k = first + j
        value = form((t - (k + 0.5)).to(x.dtype))
        if bins.boundary != "open":  # what is folded onto no bin is lost
            value.masked_fill_(real_bins(boundary, k.nan_to_num().long(), bins.count) == bins.count, 0)
        total += value
    return total.to(x.dtype)


def reached(bins: Bins, dtype: torch.dtype) -> int:
    """How many bins are looked at for a sample."""
    most = 2 * bins.radius(dtype) + 1
    return min(most, bins.count) if bins.boundary == "open" else most
