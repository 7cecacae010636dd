"""Boundaries: what becomes of the part of a window that leaves the range. The counterpart for kernels is jit/boundaries.py.

There are two ways of saying the same, as windows are even: a sample has *images*, which respond too (the reference, few bins); or
bins beyond the range are *folded* onto real ones (everything else).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Boundary:
    """One boundary, in bins: the range is [0, count]."""

    #: all images of coordinates t that respond, from (t, count, radius of the window)
    images: Callable[[Tensor, int, int], list[Tensor]]
    #: the real bin that each bin of the unlimited axis is folded onto; count, or anything outside the range, where its content is
    #: lost
    fold: Callable[[Tensor, int], Tensor]
    #: whether samples are taken modulo the range
    periodic: bool = False
    #: how far beyond either end of the range, in ranges, a sample still has images in it
    beyond: int = 0


def _reflected(t: Tensor, count: int, radius: int) -> list[Tensor]:
    return [t, -t, 2 * count - t]


def _laps(t: Tensor, count: int, radius: int) -> list[Tensor]:
    laps = -(-radius // count)
    return [t + count * lap for lap in range(-laps, laps + 1)]


def _mirrored(k: Tensor, count: int) -> Tensor:
    return torch.where(k < 0, -1 - k, torch.where(k >= count, 2 * count - 1 - k, k))


BOUNDARIES = {
    "open": Boundary(images=lambda t, count, radius: [t], fold=lambda k, count: k),
    "reflect": Boundary(images=_reflected, fold=_mirrored, beyond=1),
    "circular": Boundary(images=_laps, fold=torch.remainder, periodic=True),
}


def real_bins(boundary: Boundary, k: Tensor, count: int) -> Tensor:
    """The bin that each bin k of the unlimited axis is folded onto; `count` where its content is lost."""
    k = boundary.fold(k, count)
    return torch.where((k >= 0) & (k < count), k, count)
