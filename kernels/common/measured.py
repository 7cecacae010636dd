"""Bins whose range is in tensors: measured from the data, on the device where these are, without the host waiting for it.

The operators' ranges are plain numbers. So samples are brought to one range that is known, [-1/2, 1/2], in float64, and rounded
once to their own dtype: to count * 2^-26 of a bin in float32, 4e-6 at 256 bins, about what the samples' own last digit is worth.
That is plain PyTorch, by which gradients reach the range.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .bins import Bins

#: the range that samples are brought to: rounding is least about zero
LOW, HIGH = -0.5, 0.5


@dataclass(frozen=True, eq=False)
class MeasuredBins:
    """Equal bins over [low, high] of tensors, as `Bins.of` and `Bins.between` make them; given to functions as `Bins` are."""

    #: over [-1/2, 1/2], to which samples are brought
    unit: Bins
    #: float64, broadcast against the samples
    low: Tensor
    high: Tensor

    @property
    def count(self) -> int:
        """Number of bins K."""
        return self.unit.count

    @property
    def edges(self) -> Tensor:
        """The count + 1 bin edges, float64: (..., K + 1) for a range of shape (..., 1), (K + 1,) for one of a single number."""
        return self._at(self.unit.edges)

    @property
    def centers(self) -> Tensor:
        """The count bin centres, float64, likewise."""
        return self._at(self.unit.centers)

    def _at(self, places: Tensor) -> Tensor:
        low, high = self.low.unsqueeze(-1) if not self.low.dim() else self.low, self.high
        return (low + high) / 2 + places.to(low.device) * _width(self.low, self.high)

    def recount(self, count: int) -> MeasuredBins:
        """The same with another number of bins."""
        return MeasuredBins(self.unit.recount(count), self.low, self.high)

    def place(self, x: Tensor) -> Tensor:
        """Samples (...) brought to the range of `unit`. ValueError where the range is no range of theirs."""
        if self.low.device != x.device:
            raise ValueError(f"bins must be on the device of the samples, expected {x.device}, got {self.low.device}")
        if torch.broadcast_shapes(x.shape, self.low.shape) != x.shape:
            shapes = f"{tuple(x.shape)}, got {tuple(self.low.shape)}"
            raise ValueError(f"bins must have a range that broadcasts to the samples, expected a shape for {shapes}")
        return ((x.double() - (self.low + self.high) / 2) * (1 / _width(self.low, self.high))).to(x.dtype)


def _width(low: Tensor, high: Tensor) -> Tensor:
    """high - low; 1 where they are the same, NaN where they are in the wrong order."""
    width = high - low
    return torch.where(width > 0, width, torch.where(width == 0, 1.0, torch.nan))


def between(low: Tensor | float, high: Tensor | float, unit: Bins) -> MeasuredBins:
    """Bins like `unit` over [low, high]. TypeError for what is neither tensor nor number, ValueError where neither is a tensor or
    the two do not go together."""
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
    return MeasuredBins(unit, low, high)


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
