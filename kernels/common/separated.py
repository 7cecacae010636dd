"""The logistic window's responses as products of what depends on the sample and what depends on the bin.

sinh(a/2) / (cosh(a/2) + cosh(a (u - o))) for a sample at u and a bin at o, a = 1 / bandwidth, where 2 cosh = E F + 1 / (E F) with
E = exp(a u), F = exp(-a o). So the denominators of all samples and bins are one product of [E, 1/E, 1] and [F, 1/F, 2 cosh(a/2)].
Against overflow the bins are cut into blocks with centres of their own, and what a sample is to a block it does not reach is taken
at the end of what can be told.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .bins import Bins
from .windows import WINDOWS


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
    #: (2 blocks + 1, reach): F, -1/F and 0
    slopes: Tensor
    #: value * factor is the response, slope * slope_factor its derivative with respect to u
    factor: float
    slope_factor: float

    def describe(self, distance: Tensor) -> Tensor:
        """E, 1/E of every block, and 1 of samples at a distance (float64) from the origin: (..., 2 blocks + 1)."""
        blocks = len(self.centers)
        exponent = distance.unsqueeze(0) - self.centers.view(-1, *[1] * distance.dim()) if blocks > 1 else distance.unsqueeze(0)
        exponent = (exponent * self.a).clamp_(-self.a * self.farthest, self.a * self.farthest).exp_()
        described = exponent.new_empty(2 * blocks + 1, *distance.shape, dtype=self.factors.dtype)
        described[:blocks] = exponent
        torch.reciprocal(described[:blocks], out=described[blocks:-1])
        described[-1] = 1
        return described.movedim(0, -1).contiguous()  # products of transposed ones take twice as long

    def values(self, described: Tensor) -> Tensor:
        """(..., 2 blocks + 1) -> (..., reach)."""
        return torch.matmul(described, self.factors).reciprocal_()

    def slopes_sum(self, described: Tensor, values: Tensor, weights: Tensor) -> Tensor:
        """The sum over bins of slope times weight, (...); the weights are overwritten."""
        # a slope times a value first, which is at most 1: a value's square would be where arithmetic is slow
        slopes = torch.matmul(described, self.slopes).mul_(values).mul_(values)
        return sum_last(weights.mul_(slopes))


def sum_last(x: Tensor) -> Tensor:
    """The sum over a short last dimension, as a product with ones, which takes half the time."""
    return torch.matmul(x, _ones(x.shape[-1], x.dtype, x.device))


@functools.lru_cache(maxsize=256)
def _ones(count: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.ones(count, dtype=dtype, device=device)


@functools.lru_cache(maxsize=256)
def separated(bins: Bins, dtype: torch.dtype, reach: int, device: torch.device) -> Separated | None:
    """For bins at -reach/2 + 1/2, ..., reach/2 - 1/2 from the origin; None where windows do not split, or not without overflow."""
    if not WINDOWS[bins.window].separable:
        return None
    width = bins.effective_bandwidth
    # exponents of sample and bin add up to at most this; a sample beyond `farthest` from a block's centre reaches none of its bins
    most, radius = 0.95 * math.log(torch.finfo(dtype).max) * width, bins.radius(dtype) + 1
    widest = int(most - radius)
    if widest < min(reach, 8):
        return None
    blocks = -(-reach // widest)
    size = -(-reach // blocks)
    offsets, a = torch.arange(reach, dtype=torch.float64, device="cpu") + (0.5 - reach / 2), 1 / width
    block = torch.arange(reach, device="cpu") // size
    centers = torch.arange(blocks, dtype=torch.float64, device="cpu") * size + (size - reach) / 2
    exponential = torch.exp(-a * (offsets - centers[block]))
    factors, columns = torch.zeros(2 * blocks + 1, reach, dtype=torch.float64, device="cpu"), torch.arange(reach, device="cpu")
    factors[block, columns], factors[blocks + block, columns] = exponential, exponential.reciprocal()
    factors[-1] = 2 * math.cosh(a / 2)
    slopes = factors.clone()
    slopes[blocks:-1] *= -1
    slopes[-1] = 0
    factor = 2 * math.sinh(a / 2)
    on = lambda constant: constant.to(device, dtype).contiguous()  # noqa: E731
    return Separated(a, centers.to(device), most - size / 2, on(factors), on(slopes), factor, -a * factor)
