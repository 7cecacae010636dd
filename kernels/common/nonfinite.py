"""What becomes of values that are not finite: one rule for every operator and backend.

A row is what one result is made of: the samples of an image, the pixels of a patch. A NaN in any input of a row, a weight that is
not finite, or on a circle a sample so large that it has no place there (`Bins.farthest`), makes all results of the row NaN. Where a
result is not finite, the gradients of everything in its row are NaN, whatever comes from above. Elsewhere infinite samples lie
beyond all bins: they respond in none, and their gradient is 0. Other rows never know.

Forward, the backends spread NaN themselves. Backward, the fused and the portable ones need not look: `Operator` hands them a
gradient that is NaN where the result is not finite. The references, which autograd differentiates, end with `spoil`.
"""

import functools

import torch
from torch import Tensor

from .bins import Bins
from .boundaries import BOUNDARIES


def placeless(x: Tensor, bins: Bins) -> Tensor:
    """Which samples have no place among the bins."""
    return ~(x.abs() < bins.farthest(x.dtype)) if BOUNDARIES[bins.boundary].periodic else x.isnan()


def spread(result: Tensor, shares: Tensor | None, *axes: tuple[Tensor, Bins]) -> Tensor:
    """NaN in all results (B, ...) of every row that has a share (B, N) or, on an axis, a sample (B, N) of no use; in place."""
    bad = [placeless(x, bins).any(-1) for x, bins in axes] + ([] if shares is None else [shares.isnan().any(-1)])
    spoiled = torch.where(functools.reduce(torch.logical_or, bad), torch.nan, 0.0)
    return result.add_(spoiled.to(result.dtype).view(-1, *[1] * (result.dim() - 1)))


def spoil(result: Tensor, dims: int, *tensors: Tensor | None) -> Tensor:
    """A row's result, of `dims` dimensions, as it is; where it is not finite, autograd finds NaN for all of the row in `tensors`.

    Without it a derivative that is 0 wherever a window has no slope would hide the NaN.
    """
    rows = result.dim() - dims
    zero = sum((x - x.detach()).nan_to_num().flatten(rows).sum(-1) for x in tensors if x is not None)
    slope = torch.where(result.detach().isfinite(), 0.0, torch.nan).to(result.dtype)
    return result + (slope * zero.view(zero.shape + (1,) * dims)).nan_to_num()
