"""Responses of every sample in every bin, dense: what the references of all histograms are made of."""

import torch
from torch import Tensor

from .bins import Bins
from .boundaries import BOUNDARIES


def responses(x: Tensor, bins: Bins) -> Tensor:
    """(..., N) -> (..., N, K). Eq. 6 with the boundary's images added."""
    images = BOUNDARIES[bins.boundary].images(bins.coordinate(x), bins.count, bins.radius(x.dtype))
    centers = torch.arange(bins.count, dtype=x.dtype, device=x.device) + 0.5
    return sum(bins.response(_subtract(image, centers)) for image in images)


def _subtract(t: Tensor, centers: Tensor) -> Tensor:
    """t - center in the dtype of `centers`, rounded once: the leading part of t minus a nearby centre is exact."""
    leading = t.to(centers.dtype)
    trailing = torch.where(leading.isfinite(), t - leading, 0).to(centers.dtype).detach()
    return (leading.unsqueeze(-1) - centers) + trailing.unsqueeze(-1)
