"""kornia's histogram of images; see kornia.py."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..kernels.common.arguments import integer, number
from ..kernels.common.devices import full_precision
from . import intervals
from .kornia_centers import Centers, at_least_float32, check_tensor, sums

#: kornia's names of windows
_WINDOWS = {"triangular": "triangular", "gaussian": "rbf", "uniform": "box", "epanechnikov": "epanechnikov"}


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
    dtype = at_least_float32(image.dtype if centers is None else torch.promote_types(image.dtype, centers.dtype))
    with full_precision(image):
        if centers is None:
            where = Centers.spread(n_bins, low, width if strict else (high - low) / n_bins, width, image, dtype)
        else:
            where = Centers.of(centers.reshape(-1), torch.tensor(width, dtype=torch.float64, device="cpu"))
        rows = image.to(dtype).reshape(-1, image.shape[-2:].numel())
        found = _counts(rows, where) if kernel == "uniform" else sums(rows, where, _WINDOWS[kernel], backend)
        found = found.view(*image.shape[:-2], -1)
        return found, found / (found.sum(-1, keepdim=True) + eps) if return_pdf else torch.zeros_like(found)


def _counts(x: Tensor, centers: Centers) -> Tensor:
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


def _check_image(image: Tensor, centers: Tensor | None, return_pdf: bool, kernel: str) -> None:
    check_tensor("image", image)
    if not 2 <= image.dim() <= 4:
        raise ValueError(f"image must have the shape (H, W), (C, H, W) or (B, C, H, W), got {tuple(image.shape)}")
    if centers is not None:
        check_tensor("centers", centers)
        if centers.dim() > 1:
            raise ValueError(f"centers must have the shape (K,), got {tuple(centers.shape)}")
    if not isinstance(return_pdf, bool):
        raise TypeError(f"return_pdf must be True or False, got {return_pdf!r}")
    if kernel not in _WINDOWS:
        raise ValueError(f"kernel must be one of {', '.join(map(repr, _WINDOWS))}, got {kernel!r}")
