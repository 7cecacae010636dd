"""The soft histogram, then the earth mover's distance: one after the other. What is kept is the distance's slope with respect to
the histogram, in float64, as only differences between neighbouring bins count."""

from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from ..common.bins import Bins
from ..common.operator import as_tuple
from ..emd import portable as emd
from ..soft_histogram import portable as soft_histogram


def kept(
    x: Tensor, shares: Tensor | None, target: Tensor, bins: Bins, circular: bool, histograms: ModuleType = soft_histogram
) -> list[Tensor]:
    """The slope, and what the histogram keeps."""
    of_histogram = histograms.kept(x, shares, bins) if hasattr(histograms, "kept") else []
    return [x.new_empty(len(x), bins.count, dtype=torch.float64), *of_histogram]


def forward(
    x: Tensor, shares: Tensor | None, target: Tensor, bins: Bins, circular: bool, histograms: ModuleType = soft_histogram
) -> tuple[Tensor, ...]:
    """(B, N), (B, K) -> squared distances (B,) and what is kept; histograms by the backend given."""
    histogram, *of_histogram = as_tuple(histograms.forward(x, shares, bins))
    return *emd.forward_and_slope(histogram, target, circular), *of_histogram


def backward(
    grad: Tensor, x: Tensor, shares: Tensor | None, target: Tensor, slope: Tensor,
    *kept_and_settings: Any, histograms: ModuleType = soft_histogram,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients with respect to x, shares and target, empty where not needed."""
    *of_histogram, bins, _circular, needs = kept_and_settings
    slope = slope * grad.unsqueeze(-1)
    of_target = -slope.to(x.dtype) if needs[2] else x.new_empty(0)
    if not any(needs[:2]):
        return x.new_empty(0), x.new_empty(0), of_target
    return *histograms.backward(slope, x, shares, *of_histogram, bins, needs[:2]), of_target
