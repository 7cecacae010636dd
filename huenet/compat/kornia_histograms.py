"""kornia's histograms; see kornia.py."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ..kernels import Bins, joint_histogram, soft_histogram
from ..kernels.common.arguments import integer, number
from ..kernels.common.devices import full_precision
from . import intervals
from .centered import even_spacing, joint_sums_at, sums_at

#: kornia's names of windows
_WINDOWS = {"triangular": "triangular", "gaussian": "rbf", "uniform": "box", "epanechnikov": "epanechnikov"}
#: what kornia adds to the joint sum, whatever its `epsilon`
_FIXED_EPSILON = 1e-10
#: sum of a sample's responses, the mean, below which rows are done densely: `Bins` leave out what is below the rounding of a peak,
#: 2^-24, which is then no longer below that of the sum
_THIN = 1 / 16
#: slope of a window at the end of its support, per bandwidth
_END_SLOPES = {"triangular": 1, "epanechnikov": 2}


def histogram(x: Tensor, bins: Tensor, bandwidth: Tensor, epsilon: float = 1e-10, *, backend: str | None = None) -> Tensor:
    """Density of samples at centres by Gaussians: m_k / (sum_k m_k + epsilon), m_k = mean_n exp(-((x_n - c_k) / bandwidth)^2 / 2).

    Centres that are even, to their dtype's rounding, are `Bins` of `soft_histogram`, as long as the rounding cannot be seen (it
    moves no response by more than 1e-5 of its peak). Others go a dense way in pieces, of order N K time; so do rows of which
    nearly all samples are far from all centres, and all where centres or bandwidth require a gradient. To find out, the host reads
    centres, bandwidth, and whether there are such rows.

    Args:
        x: samples, (B, N).
        bins: centres, (K,), in any order.
        bandwidth: standard deviation in the samples' units, a scalar tensor, finite and positive.
        epsilon: added to the sum.
        backend: as for `huenet.kernels.soft_histogram`; not used in the dense way.

    Returns:
        (B, K), in the common dtype of x and bins; half precision is computed in float32. Differentiable in x, bins and bandwidth.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        RuntimeError: on second or forward-mode derivatives and `torch.func` transforms.

    Source: kornia 0.9.0, `kornia/enhance/histogram.py`.
    """
    _check_rows(x=x)
    dtype = _check_axis(x, bins, bandwidth)
    epsilon = number("epsilon", epsilon)
    with full_precision(x):
        x = x.to(_at_least_float32(dtype))
        means = _sums(x, _Centers.of(bins, bandwidth), "rbf", backend) / max(x.shape[1], 1)
        return (means / (means.sum(-1, keepdim=True) + epsilon)).to(dtype)


def histogram2d(
    x1: Tensor,
    x2: Tensor,
    bins: Tensor,
    bandwidth: Tensor,
    epsilon: float = 1e-10,
    *,
    strict: bool = False,
    backend: str | None = None,
) -> Tensor:
    """Joint density of pairs of samples: J_kl / (sum J + epsilon), J_kl the sum of products of the Gaussians of `histogram`.

    Args:
        x1, x2: samples, (B, N) both.
        bins, bandwidth, backend: as for `histogram`, of both axes; the operator is `joint_histogram`.
        epsilon: added to the sum.
        strict: whether `epsilon` is ignored, and is 1e-10, and integers are returned for integers, as the original does.

    Returns:
        (B, K, K), x1's centres first, in the common dtype of x1 and bins. Differentiable in x1, x2, bins and bandwidth.

    Raises:
        as `histogram`.

    Source: kornia 0.9.0, `kornia/enhance/histogram.py`.
    """
    _check_rows(x1=x1, x2=x2)
    if x1.shape != x2.shape:
        raise ValueError(f"x2 must have the shape of x1, expected {tuple(x1.shape)}, got {tuple(x2.shape)}")
    dtype = _check_axis(x1, bins, bandwidth)
    epsilon = _FIXED_EPSILON if strict else number("epsilon", epsilon)
    with full_precision(x1):
        common = _at_least_float32(torch.promote_types(dtype, x2.dtype))
        sums = _joint_sums(x1.to(common), x2.to(common), _Centers.of(bins, bandwidth), backend)
        density = sums / (sums.sum((1, 2), keepdim=True) + epsilon)
        return density.to(torch.promote_types(x1.dtype, bins.dtype) if strict else dtype)


def image_histogram2d(
    image: Tensor,
    min: float = 0.0,
    max: float = 255.0,
    n_bins: int = 256,
    bandwidth: float | None = None,
    centers: Tensor | None = None,
    return_pdf: bool = False,
    kernel: str = "triangular",
    eps: float = 1e-10,
    *,
    strict: bool = False,
    backend: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Histogram of the pixels of every channel: sums of a window, of peak 1, at the bins' centres. Pixels outside the range count
    as far as their window reaches in.

    Args:
        image: (H, W), (C, H, W) or (B, C, H, W), of real numbers.
        min, max: range of the automatic centres min + (max - min) / n_bins (k + 1/2).
        n_bins: how many they are.
        bandwidth: of the window, in the image's units: half its width, or the standard deviation of "gaussian". None or -1 is the
            distance of the automatic centres; of given ones, the mean distance of neighbours, and max - min for a single one.
        centers: centres (K,) in any order, instead of the automatic ones; empty is None. As in `histogram`, the host reads them.
        return_pdf: whether the second result is the histogram over its sum + eps; zeros otherwise.
        kernel: "triangular" 1 - u for u = |pixel - centre| / bandwidth <= 1, "gaussian" exp(-u^2 / 2), "epanechnikov" 1 - u^2,
            or "uniform" 1, integer counts without a gradient, u rounded as the original's.
        eps: added to the sum.
        strict: whether, as in the original, automatic centres lie min + bandwidth (k + 1/2), wherever max is, and the bandwidth's
            default is (max - min) / n_bins also for given centers.
        backend: as for `huenet.kernels.soft_histogram`; not used for "uniform" nor in the dense way.

    Returns:
        histogram and density, (K,), (C, K) or (B, C, K): float32, or float64 where image or centers are. Differentiable in image
        and centers.

    Raises:
        as `histogram`.

    Source: kornia 0.9.0, `kornia/enhance/histogram.py`.
    """
    _check_image(image, centers, return_pdf, kernel)
    if centers is not None and not centers.numel():
        centers = None
    low, high, eps = number("min", min), number("max", max), number("eps", eps)
    n_bins = integer("n_bins", n_bins)
    width = _width(bandwidth, centers, low, high, n_bins, strict)
    dtype = _at_least_float32(image.dtype if centers is None else torch.promote_types(image.dtype, centers.dtype))
    with full_precision(image):
        if centers is None:
            where = _Centers.spread(n_bins, low, width if strict else (high - low) / n_bins, width, image, dtype)
        else:
            where = _Centers.of(centers.reshape(-1), torch.tensor(width, dtype=torch.float64, device="cpu"))
        rows = image.to(dtype).reshape(-1, image.shape[-2:].numel())
        sums = _counts(rows, where) if kernel == "uniform" else _sums(rows, where, _WINDOWS[kernel], backend)
        found = sums.view(*image.shape[:-2], -1)
        return found, found / (found.sum(-1, keepdim=True) + eps) if return_pdf else torch.zeros_like(found)


class _Centers(NamedTuple):
    """Centres (K,) and bandwidth () as tensors; and where they are even, the lower edge of the first bin and the signed distance of
    neighbours."""

    places: Tensor
    bandwidth: Tensor
    width: float
    edge: float
    spacing: float | None

    @classmethod
    def of(cls, places: Tensor, bandwidth: Tensor) -> _Centers:
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
    def spread(cls, count: int, low: float, spacing: float, width: float, like: Tensor, dtype: torch.dtype) -> _Centers:
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


def _sums(x: Tensor, centers: _Centers, window: str, backend: str | None) -> Tensor:
    """Sums of the windows of samples (B, N) at centres: (B, K)."""
    bins = centers.bins(window)
    if bins is None:
        return sums_at(x, *centers.tensors(x), window)
    with_ends = window in _END_SLOPES and x.requires_grad
    if with_ends and not bins.bandwidth.is_integer():
        # the next number of the dtype, so that a window has a slope up to its very end
        wider = bins.bandwidth * (1 + torch.finfo(x.dtype).eps)
        bins, with_ends = Bins(bins.count, bins.low, bins.high, wider, "open", window), False
    sums = centers.ordered(soft_histogram(x, bins, backend=backend) * x.shape[1], 1)
    if window == "rbf":
        return _with_thin_rows(sums, lambda rows: sums_at(x[rows], *centers.tensors(x), window), x)
    return sums + centers.ordered(_ends(x, bins), 1) if with_ends else sums


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


def _joint_sums(x: Tensor, y: Tensor, centers: _Centers, backend: str | None) -> Tensor:
    """Sums of the products of Gaussians of pairs (B, N) at centres: (B, K, K)."""
    bins = centers.bins("rbf")
    if bins is None:
        return joint_sums_at(x, y, *centers.tensors(x), "rbf")
    sums = centers.ordered(joint_histogram(x, y, bins, backend=backend) * x.shape[1], 2)
    return _with_thin_rows(sums, lambda rows: joint_sums_at(x[rows], y[rows], *centers.tensors(x), "rbf"), x)


def _counts(x: Tensor, centers: _Centers) -> Tensor:
    """Samples (B, N) within the bandwidth of each centre, as kornia's roundings have it: (B, K)."""
    places, order = centers.places.detach().to(x.dtype).sort()
    found = intervals.counts(x.detach(), places, lambda samples, near: (samples - near).abs() / centers.width <= 1)
    return torch.empty_like(found).index_copy_(1, order, found).to(x.dtype)


def _width(bandwidth: float | None, centers: Tensor | None, low: float, high: float, n_bins: int, strict: bool) -> float:
    """The bandwidth of an image's histogram."""
    automatic = bandwidth is None or bandwidth == -1
    if centers is None or (automatic and strict):
        if n_bins < 1:
            raise ValueError(f"n_bins must be at least 1, got {n_bins}")
        if high <= low:
            raise ValueError(f"max must be larger than min, got min={low:g} and max={high:g}")
    if not automatic:
        width = number("bandwidth", bandwidth)
    elif centers is None or strict:
        width = (high - low) / n_bins
    elif centers.numel() == 1:
        width = high - low
    else:
        ends = torch.stack(centers.detach().aminmax()).double().tolist()
        width = (ends[1] - ends[0]) / (centers.numel() - 1)
    if not 0 < width < math.inf:
        raise ValueError(f"bandwidth must be finite and positive, got {width:g}")
    return width


def _check_tensor(name: str, value: Tensor) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(value).__name__}")
    if value.is_complex():
        raise TypeError(f"{name} must be a tensor of real numbers, got {value.dtype}")


def _check_rows(**samples: Tensor) -> None:
    for name, value in samples.items():
        _check_tensor(name, value)
        if value.dim() != 2:
            raise ValueError(f"{name} must have the shape (B, N), got {tuple(value.shape)}")


def _check_axis(x: Tensor, bins: Tensor, bandwidth: Tensor) -> torch.dtype:
    """The common dtype of samples and centres; the bandwidth's, or float32, where both are integers."""
    _check_tensor("bins", bins)
    _check_tensor("bandwidth", bandwidth)
    if bins.dim() != 1 or not bins.numel():
        raise ValueError(f"bins must be centres of the shape (K,), at least one, got {tuple(bins.shape)}")
    if bandwidth.dim():
        raise ValueError(f"bandwidth must be a scalar tensor, got {tuple(bandwidth.shape)}")
    dtype = torch.promote_types(x.dtype, bins.dtype)
    return dtype if dtype.is_floating_point else _at_least_float32(bandwidth.dtype)


def _check_image(image: Tensor, centers: Tensor | None, return_pdf: bool, kernel: str) -> None:
    _check_tensor("image", image)
    if not 2 <= image.dim() <= 4:
        raise ValueError(f"image must have the shape (H, W), (C, H, W) or (B, C, H, W), got {tuple(image.shape)}")
    if centers is not None:
        _check_tensor("centers", centers)
        if centers.dim() > 1:
            raise ValueError(f"centers must have the shape (K,), got {tuple(centers.shape)}")
    if not isinstance(return_pdf, bool):
        raise TypeError(f"return_pdf must be True or False, got {return_pdf!r}")
    if kernel not in _WINDOWS:
        raise ValueError(f"kernel must be one of {', '.join(map(repr, _WINDOWS))}, got {kernel!r}")


def _at_least_float32(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)
