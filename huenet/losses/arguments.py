"""Checks and conversions that the losses share."""

import torch
from torch import Tensor


def check_images(also: str = "", **images: Tensor) -> None:
    """ValueError naming the one that is no floating-point tensor (B, C, H, W); `also` says in the message what the caller asks."""
    for name, image in images.items():
        if image.ndim != 4 or not image.is_floating_point() or (also and not image.numel()):
            raise ValueError(f"{name} must be a floating-point tensor (B, C, H, W){also}, got {image.dtype} {tuple(image.shape)}")


def at_least_float32(x: Tensor) -> Tensor:
    """Half precision as float32; anything else stays."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
