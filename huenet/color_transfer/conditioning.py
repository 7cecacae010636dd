"""How the generator learns what colours there are to paint with: from both hue histograms.

A new conditioning is a module that returns a `Condition` (or more), which `HueGenerator` builds as `self.condition` and hands to
the U-Net's FiLM layers and to the head.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..color import color_weights
from ..kernels import Bins, soft_histogram


class Condition(NamedTuple):
    """What there is to paint with: both hue histograms as the generator reads them."""

    embedding: Tensor
    """(B, condition_width), of the target's and the source's histogram."""
    histogram: Tensor
    """(B, condition_bins), the target's hue histogram, of sum 1; all zero if it has no colour."""


class HueHistograms(nn.Module):
    """The target's and the source's hue histograms, and a small network that reads them."""

    HIDDEN = 256
    BANDWIDTH = 0.8  # wider than the losses': what a network reads should change smoothly with the hues

    def __init__(self, bins: int, width: int) -> None:
        super().__init__()
        self.bins = Bins(bins, bandwidth=self.BANDWIDTH, boundary="circular")
        self.layers = nn.Sequential(nn.Linear(2 * bins, self.HIDDEN), nn.ReLU(), nn.Linear(self.HIDDEN, width), nn.ReLU())

    def forward(self, source_hsv: Tensor, target_hsv: Tensor) -> Condition:
        """HSV images (B, 3, H, W) and (B, 3, H', W')."""
        source, target = (
            soft_histogram(hsv[:, 0].flatten(1), self.bins, weights=color_weights(hsv).flatten(1))
            for hsv in (source_hsv, target_hsv)
        )
        # A flat histogram becomes all ones; the root lets rare hues be seen beside the frequent ones.
        seen = (torch.cat([source, target], dim=-1) * self.bins.count).sqrt()
        return Condition(self.layers(seen).to(target.dtype), target)
