"""The soft histogram, then the earth mover's distance: one after the other. What is kept is the distance's slope with respect to
the histogram, in float64, as only differences between neighbouring bins count."""

from types import ModuleType

import torch
from torch import Tensor

from ..common.bins import Bins
from ..emd import portable as emd
from ..soft_histogram import portable as soft_histogram


def kept(x: Tensor, shares: Tensor | None, target: Tensor, bins: Bins, circular: bool) -> list[Tensor]:
    """The slope."""
    return [x.new_empty(len(x), bins.count, dtype=torch.float64)]


def forward(
    x: Tensor, shares: Tensor | None, target: Tensor, bins: Bins, circular: bool, histograms: ModuleType = soft_histogram
) -> tuple[Tensor, Tensor]:
    """(B, N), (B, K) -> squared distances (B,) and what is kept; histograms by the backend given."""
    return emd.forward_and_slope(histograms.forward(x, shares, bins), target, circular)


def backward(
    grad: Tensor, x: Tensor, shares: Tensor | None, target: Tensor, slope: Tensor, bins: Bins, circular: bool,
    needs: list[bool], histograms: ModuleType = soft_histogram,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients with respect to x, shares and target, empty where not needed."""
    slope = slope * grad.unsqueeze(-1)
    of_target = -slope.to(x.dtype) if needs[2] else x.new_empty(0)
    if not any(needs[:2]):
        return x.new_empty(0), x.new_empty(0), of_target
    return *histograms.backward(slope, x, shares, bins, needs[:2]), of_target
