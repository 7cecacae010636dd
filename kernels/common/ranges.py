"""Ranges that are tensors: measured from the data, on the device where these are, without the host waiting for it.

The operators' ranges are plain numbers. So samples are brought to one range that is known, [-1/2, 1/2], in float64, and rounded
once to their own dtype: to count * 2^-26 of a bin in float32, 4e-6 at 256 bins, about what the samples' own last digit is worth.
That is plain PyTorch, by which gradients reach the range.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: the range that samples are brought to: rounding is least about zero
LOW, HIGH = -0.5, 0.5


def as_range(low: Tensor | float, high: Tensor | float) -> tuple[Tensor, Tensor]:
    """Both ends in float64, of one shape. TypeError for what is no real number, ValueError where neither is a tensor or the two do
    not go together."""
    tensors = [value for value in (low, high) if isinstance(value, Tensor)]
    if not tensors:
        raise ValueError(f"low or high must be a torch.Tensor, got {low!r} and {high!r}; of plain numbers, Bins(count, low, high)")
    for name, value in (("low", low), ("high", high)):
        if isinstance(value, Tensor) and (value.is_complex() or value.dtype == torch.bool):
            raise TypeError(f"{name} must be a tensor of real numbers, got {value.dtype}")
    device = tensors[0].device
    if tensors[-1].device != device:
        raise ValueError(f"high must be on the device of low, expected {device}, got {tensors[-1].device}")
    low, high = (torch.as_tensor(value, dtype=torch.float64, device=device) for value in (low, high))
    try:
        low, high = torch.broadcast_tensors(low, high)
    except RuntimeError:
        raise ValueError(f"high must broadcast against low of shape {tuple(low.shape)}, got {tuple(high.shape)}") from None
    return low, high


def extremes(x: Tensor, dim: int | tuple[int, ...] | None) -> tuple[Tensor, Tensor]:
    """The least and the largest finite sample over the dimensions, which stay with length 1; both 0 where there is none."""
    dims = tuple(range(x.dim())) if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    if not all(x.shape[each] for each in dims):
        raise ValueError(f"x must have samples along dim {dim}, got {tuple(x.shape)}")
    finite = x.isfinite()
    low = torch.where(finite, x, torch.inf).amin(dims, keepdim=dim is not None)
    high = torch.where(finite, x, -torch.inf).amax(dims, keepdim=dim is not None)
    found = low <= high
    return torch.where(found, low, 0), torch.where(found, high, 0)


def brought(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Samples in [low, high] brought to [LOW, HIGH]. ValueError where that is no range of theirs."""
    if low.device != x.device:
        raise ValueError(f"bins must be on the device of the samples, expected {x.device}, got {low.device}")
    if torch.broadcast_shapes(x.shape, low.shape) != x.shape:
        shapes = f"{tuple(x.shape)}, got {tuple(low.shape)}"
        raise ValueError(f"bins must have a range that broadcasts to the samples, expected a shape for {shapes}")
    return ((x.double() - (low + high) / 2) * (1 / _width(low, high))).to(x.dtype)


def brought_back(places: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Places (K,) in [LOW, HIGH] brought to [low, high]: (..., K) for ends of shape (..., 1), (K,) for single numbers."""
    low, high = (end.unsqueeze(-1) if not end.dim() else end for end in (low, high))
    return (low + high) / 2 + places.to(low.device) * _width(low, high)


def _width(low: Tensor, high: Tensor) -> Tensor:
    """high - low; 1 where they are the same, NaN where they are in the wrong order."""
    width = high - low
    return torch.where(width > 0, width, torch.where(width == 0, 1.0, torch.nan))
