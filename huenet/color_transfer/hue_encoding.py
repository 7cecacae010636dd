"""Hues as numbers that a network can read, and as vectors that can be averaged and interpolated."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

SHORTEST = 1e-3
"""Vectors shorter than this are taken for having no direction."""


def encode_hue(hsv: Tensor, kind: Literal["value", "vector"]) -> Tensor:
    """The hue of an HSV image (B, 3, H, W) as a network's input in [-1, 1].

    "value": (B, 1, H, W); "vector": (cos, sin) times saturation, (B, 2, H, W), since the hue of a grey pixel means nothing.
    """
    hue, saturation, _ = hsv.split(1, dim=1)
    return 2 * hue - 1 if kind == "value" else saturation * unit_vector(hue)


def unit_vector(turns: Tensor) -> Tensor:
    """(cos, sin) of angles in turns, (B, 1, H, W) -> (B, 2, H, W)."""
    angle = 2 * math.pi * turns
    return torch.cat([angle.cos(), angle.sin()], dim=1)


def turns_of(vector: Tensor) -> Tensor:
    """Direction of vectors (B, 2, H, W) in turns, in [-1/2, 1/2], (B, 1, H, W); about 0 for vectors of no length."""
    x, y = vector.split(1, dim=1)
    # The gradient of atan2 grows as 1 / length and is NaN at zero.
    x = torch.where(x * x + y * y > SHORTEST**2, x, torch.ones_like(x))
    return torch.atan2(y, x) / (2 * math.pi)
