"""Losses never go below float32, whatever the images' dtype and under autocast too."""

from __future__ import annotations

import torch
from torch import Tensor


def at_least_float32(values: Tensor) -> Tensor:
    """float64 as it is, anything else as float32."""
    return values if values.dtype == torch.float64 else values.float()


def full_precision(image: Tensor) -> torch.autocast:
    """Context in which autocast, where there is one, does not touch what is computed."""
    return torch.autocast(image.device.type, enabled=False)
