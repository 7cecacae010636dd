"""The logistic window's responses as products of what depends on the sample and what depends on the bin.

sinh(a/2) / (cosh(a/2) + cosh(a (u - o))) for a sample at u and a bin at o, a = 1 / bandwidth, where 2 cosh = E F + 1 / (E F) with
E = exp(a u), F = exp(-a o). So the denominators of all samples and bins are one product of [E, 1/E, 1] and [F, 1/F, 2 cosh(a/2)].
Against overflow the bins are cut into blocks with centres of their own, and what a sample is to a block it does not reach is taken
at the end of what can be told. Denominators are never small, so that where this saves a block they are made 2^24 times smaller.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .bins import Bins
from .windows import WINDOWS

#: binary digits by which denominators are made smaller, where that saves a block
LIFT = 24
#: distances of more bins than its inverse are as good as infinite
NOWHERE = 1e-30


@dataclass(frozen=True, eq=False)
class Separated:
    """Constants of `reach` bins around an origin, in blocks."""

    a: float
    #: (blocks,) float64, from the origin in bins
    centers: Tensor
    #: the farthest that a sample is taken to be from a block's centre
    farthest: float
    #: (2 blocks + 1, reach): F and 1/F of every block's bins, and 2 cosh(a/2)
    factors: Tensor
    #: (2 blocks, reach): F and -1/F
    slopes: Tensor
    #: value * factor is the response, slope * slope_factor its derivative with respect to u
    factor: float
    slope_factor: float

    @property
    def numbers(self) -> int:
        """That describe a sample."""
        return len(self.factors)

    def describe(self, distance: Tensor, out: Tensor | None = None, finite: bool = True) -> Tensor:
        """E, 1/E of every block, and 1, of samples at a distance (float64) from the origin: (..., 2 blocks + 1), of which `out` is
        the memory, with the last dimension first. If not `finite`, infinity instead of 1 at an infinite distance, where nothing is
        to be left."""
        blocks = len(self.centers)
        exponent = distance - self.centers.view(-1, *[1] * distance.dim()) if blocks > 1 else distance.unsqueeze(0)
        exponent = (exponent * self.a).clamp_(-self.a * self.farthest, self.a * self.farthest).exp_()
        described = exponent.new_empty(self.numbers, *distance.shape, dtype=self.factors.dtype) if out is None else out
        grown = described[:blocks].copy_(exponent)
        torch.reciprocal(grown, out=described[blocks:-1])
        if finite:
            described[-1].fill_(1)
        else:  # 1 but where no window reaches: comparing and choosing takes twice as long
            torch.mul(distance, NOWHERE, out=described[-1]).abs_().clamp_min_(1)
        return described.movedim(0, -1)

    def values(self, described: Tensor, out: Tensor | None = None) -> Tensor:
        """(..., 2 blocks + 1) -> (..., reach), of which `out` is the memory."""
        values = described.new_empty(*described.shape[:-1], self.factors.shape[1]) if out is None else out
        torch.mm(described.flatten(0, -2), self.factors, out=values.view(-1, self.factors.shape[1]))
        return values.reciprocal_()

    def slopes_at(self, described: Tensor, values: Tensor) -> Tensor:
        """(..., reach)."""
        # times a value first, which is at most 1: a value's square would be where arithmetic is slow
        return torch.matmul(described[..., :-1], self.slopes).mul_(values).mul_(values)

    def slopes_sum(self, described: Tensor, values: Tensor, weights: Tensor) -> Tensor:
        """The sum over bins of slope times weight, (...); the weights are overwritten."""
        return sum_last(weights.mul_(self.slopes_at(described, values)))


def sum_last(x: Tensor) -> Tensor:
    """The sum over a short last dimension, as a product with ones, which takes half the time."""
    return torch.matmul(x, _ones(x.shape[-1], x.dtype, x.device))


@functools.lru_cache(maxsize=256)
def _ones(count: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.ones(count, dtype=dtype, device=device)


@functools.lru_cache(maxsize=256)
def block_layout(bins: Bins, dtype: torch.dtype, reach: int) -> tuple[int, int] | None:
    """Of bins as below, blocks, and digits by which denominators are made smaller; None where windows do not split, or not without
    overflow."""
    if not WINDOWS[bins.window].separable:
        return None
    plain, lifted = (_blocks(bins, dtype, reach, lift) for lift in (0, LIFT))
    best = min((count for count in (plain, lifted) if count is not None), default=None)
    return None if best is None else (best, LIFT if best != plain else 0)


def _most(bins: Bins, dtype: torch.dtype, lift: int = 0) -> float:
    """What exponents may add up to, in bins."""
    return (0.95 * math.log(torch.finfo(dtype).max) + lift * math.log(2)) * bins.effective_bandwidth


def _blocks(bins: Bins, dtype: torch.dtype, reach: int, lift: int) -> int | None:
    """A sample beyond `farthest` from a block's centre must reach none of its bins, and its exponential alone not overflow."""
    radius = bins.radius(dtype) + 1
    widest = int(_most(bins, dtype, lift) - radius)
    if widest < min(reach, 8):
        return None
    blocks = -(-reach // widest)
    size = -(-reach // blocks)
    return blocks if radius + size / 2 <= _most(bins, dtype) else None


@functools.lru_cache(maxsize=256)
def separated(bins: Bins, dtype: torch.dtype, reach: int, device: torch.device) -> Separated | None:
    """For bins at -reach/2 + 1/2, ..., reach/2 - 1/2 from the origin; None where windows do not split, or not without overflow."""
    layout = block_layout(bins, dtype, reach)
    if layout is None:
        return None
    blocks, lift = layout
    size = -(-reach // blocks)
    offsets, a = torch.arange(reach, dtype=torch.float64, device="cpu") + (0.5 - reach / 2), 1 / bins.effective_bandwidth
    block = torch.arange(reach, device="cpu") // size
    centers = torch.arange(blocks, dtype=torch.float64, device="cpu") * size + (size - reach) / 2
    exponential = torch.exp(-a * (offsets - centers[block]))
    factors, columns = torch.zeros(2 * blocks + 1, reach, dtype=torch.float64, device="cpu"), torch.arange(reach, device="cpu")
    factors[block, columns], factors[blocks + block, columns] = exponential, exponential.reciprocal()
    factors[-1] = 2 * math.cosh(a / 2)
    factors *= 2.0**-lift
    slopes = factors[:-1].clone()
    slopes[blocks:] *= -1
    factor = 2 * math.sinh(a / 2) * 2.0**-lift
    farthest = min(_most(bins, dtype, lift) - size / 2, _most(bins, dtype))
    on = lambda constant: constant.to(device, dtype).contiguous()  # noqa: E731
    return Separated(a, centers.to(device), farthest, on(factors), on(slopes), factor, -a * factor)
