"""Where the bins of kornia's histograms are, and sums of windows there: by operators where they are even, else densely."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ..kernels import Bins, joint_histogram, soft_histogram
from .centered import even_spacing, joint_sums_at, sums_at

#: sum of a sample's responses, the mean, below which rows are done densely: `Bins` leave out what is below the rounding of a peak,
#: 2^-24, which is then no longer below that of the sum
_THIN = 1 / 16
#: slope of a window at the end of its support, per bandwidth
_END_SLOPES = {"triangular": 1, "epanechnikov": 2}


class Centers(NamedTuple):
    """Centres (K,) and bandwidth () as tensors; and where they are even, the lower edge of the first bin and the signed distance of
    neighbours."""

    places: Tensor
    bandwidth: Tensor
    width: float
    edge: float
    spacing: float | None

    @classmethod
    def of(cls, places: Tensor, bandwidth: Tensor) -> Centers:
        # one transfer where they are on a device
        numbers, width = places.detach().double().tolist(), bandwidth.detach().double().item()
        if not 0 < width < math.inf:
            raise ValueError(f"bandwidth must be finite and positive, got {width:g}")
        if not all(map(math.isfinite, numbers)):
            raise ValueError(f"the centres of the bins must be finite, got {next(c for c in numbers if not math.isfinite(c))}")
        if places.requires_grad or bandwidth.requires_grad:
            return cls(places, bandwidth, width, 0.0, None)
        dtype = places.dtype if places.dtype.is_floating_point else torch.float64
        spacing = even_spacing(numbers, dtype, width)
        if spacing is None or not 1e-20 < abs(spacing) * len(numbers) < 1e20 or not 1e-20 < width / abs(spacing) < 1e20:
            return cls(places, bandwidth, width, 0.0, None)
        first = numbers[0] if spacing > 0 else numbers[-1]
        return cls(places, bandwidth, width, first - abs(spacing) / 2, spacing)

    @classmethod
    def spread(cls, count: int, low: float, spacing: float, width: float, like: Tensor, dtype: torch.dtype) -> Centers:
        """Automatic centres, of an image's histogram."""
        steps = torch.arange(count, device=like.device, dtype=dtype) + 0.5
        return cls(low + spacing * steps, torch.tensor(width, dtype=torch.float64, device="cpu"), width, low, spacing)

    def bins(self, window: str) -> Bins | None:
        """None where they are not even."""
        if self.spacing is None:
            return None
        step = abs(self.spacing)
        return Bins(len(self.places), self.edge, self.edge + step * len(self.places), self.width / step, "open", window)

    def ordered(self, result: Tensor, dims: int) -> Tensor:
        """What bins that ascend give, in the centres' order."""
        return result.flip(*range(-dims, 0)) if self.spacing < 0 else result

    def tensors(self, like: Tensor) -> tuple[Tensor, Tensor]:
        return self.places.to(like.dtype), self.bandwidth.to(like)


def sums(x: Tensor, centers: Centers, window: str, backend: str | None) -> Tensor:
    """Sums of the windows of samples (B, N) at centres: (B, K)."""
    bins = centers.bins(window)
    if bins is None:
        return sums_at(x, *centers.tensors(x), window)
    with_ends = window in _END_SLOPES and x.requires_grad
    if with_ends and not bins.bandwidth.is_integer():
        # the next number of the dtype, so that a window has a slope up to its very end
        wider = bins.bandwidth * (1 + torch.finfo(x.dtype).eps)
        bins, with_ends = Bins(bins.count, bins.low, bins.high, wider, "open", window), False
    found = centers.ordered(soft_histogram(x, bins, backend=backend) * x.shape[1], 1)
    if window == "rbf":
        return _with_thin_rows(found, lambda rows: sums_at(x[rows], *centers.tensors(x), window), x)
    return found + centers.ordered(_ends(x, bins), 1) if with_ends else found


def _with_thin_rows(sums: Tensor, dense: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Sums (B, ...), those of rows of which nearly all samples (B, N) are far from all centres made in the dense way."""
    rows = (sums.detach().flatten(1).sum(1) < _THIN * x.shape[1]).nonzero().squeeze(1)
    return sums.index_copy(0, rows, dense(rows)) if len(rows) else sums


def _ends(x: Tensor, bins: Bins) -> Tensor:
    """Zeros (B, K), whose gradient is what the slopes at the very ends of windows, which `Bins` leave out, give to samples that lie
    there: at another bin's centre, for a bandwidth of whole bins."""
    t = (x.detach().double() - bins.low) * bins.scale - 0.5
    row, sample = (t == t.round()).nonzero(as_tuple=True)
    k, values = t[row, sample], x[row, sample]
    slope = _END_SLOPES[bins.window] * bins.scale / bins.bandwidth
    sums = x.new_zeros(len(x) * bins.count)
    for side in (1, -1):
        bin_ = k + side * bins.bandwidth
        there = (bin_ >= 0) & (bin_ < bins.count)
        place = row[there] * bins.count + bin_[there].long()
        sums = sums.index_add(0, place, (values[there] - values[there].detach()) * (side * slope))
    return sums.view(len(x), bins.count)


def joint_sums(x: Tensor, y: Tensor, centers: Centers, backend: str | None) -> Tensor:
    """Sums of the products of Gaussians of pairs (B, N) at centres: (B, K, K)."""
    bins = centers.bins("rbf")
    if bins is None:
        return joint_sums_at(x, y, *centers.tensors(x), "rbf")
    found = centers.ordered(joint_histogram(x, y, bins, backend=backend) * x.shape[1], 2)
    return _with_thin_rows(found, lambda rows: joint_sums_at(x[rows], y[rows], *centers.tensors(x), "rbf"), x)


def check_tensor(name: str, value: Tensor) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(value).__name__}")
    if value.is_complex():
        raise TypeError(f"{name} must be a tensor of real numbers, got {value.dtype}")


def at_least_float32(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)
