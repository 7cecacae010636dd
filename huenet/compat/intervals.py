"""Exact counts of samples in closed intervals about centres, by a rule that decides who is inside, to the last rounding.

The centres near enough to a sample are neighbours, so that a sample is told by the first and by the one after the last. Each adds
1 to one number of a table of differences and takes it from another, whose running sums are the counts: whatever the width, two
numbers a sample, four a pair. Nothing has a gradient.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..kernels.common.devices import budget

#: samples at a time
_CPU_PIECE, _DEVICE_PIECE = 2**16, 2**24

#: of samples and centres: whether the latter are near enough; true for a stretch of centres about each sample
Inside = Callable[[Tensor, Tensor], Tensor]


def counts(x: Tensor, centers: Tensor, inside: Inside) -> Tensor:
    """Samples (B, N) near each of the centres (K,), which ascend: (B, K), int64."""
    size = len(centers) + 1
    row = torch.arange(len(x), device=x.device).unsqueeze(1) * size
    table = torch.zeros(len(x) * size, dtype=torch.int64, device=x.device)
    for piece in _pieces(x):
        first, end = _stretch(piece, centers, inside)
        table += _at(row + first, table) - _at(row + end, table)
    return table.view(len(x), size).cumsum(1)[:, :-1]


def joint_counts(x: Tensor, y: Tensor, centers: Tensor, inside: Inside) -> Tensor:
    """Pairs (B, N) twice near each pair of centres: (B, K, K), int64, x's centres first."""
    size = len(centers) + 1
    row = torch.arange(len(x), device=x.device).unsqueeze(1) * size**2
    table = torch.zeros(len(x) * size**2, dtype=torch.int64, device=x.device)
    for some_x, some_y in zip(_pieces(x), _pieces(y), strict=True):
        (first, end), (other_first, other_end) = (_stretch(piece, centers, inside) for piece in (some_x, some_y))
        table += _at(row + first * size + other_first, table) + _at(row + end * size + other_end, table)
        table -= _at(row + first * size + other_end, table) + _at(row + end * size + other_first, table)
    return table.view(len(x), size, size).cumsum(1).cumsum(2)[:, :-1, :-1]


def _pieces(x: Tensor) -> tuple[Tensor, ...]:
    return x.split(max(1, budget(x, _CPU_PIECE, _DEVICE_PIECE) // max(len(x), 1)), 1)


def _at(place: Tensor, table: Tensor) -> Tensor:
    return torch.bincount(place.flatten(), minlength=len(table))


def _stretch(x: Tensor, centers: Tensor, inside: Inside) -> tuple[Tensor, Tensor]:
    """The first centre near each sample and the one after the last; the same, and any, where none is. A NaN is near none."""
    first = _first(x, centers, lambda x, c: (c >= x) | inside(x, c))
    return first, _first(x, centers, lambda x, c: (c > x) & ~inside(x, c))


def _first(x: Tensor, centers: Tensor, rule: Inside) -> Tensor:
    """The first centre for which a rule holds that holds for all after it, K where there is none: by halving."""
    low = torch.zeros(x.shape, dtype=torch.int64, device=x.device)
    high = torch.full_like(low, len(centers))
    for _ in range(len(centers).bit_length()):
        middle = (low + high) // 2
        holds = rule(x, centers[middle.clamp_max(len(centers) - 1)])
        open_ = low < high
        low, high = torch.where(open_ & ~holds, middle + 1, low), torch.where(open_ & holds, middle, high)
    return low
