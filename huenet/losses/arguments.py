"""Checks and conversions that the losses share."""

import functools

import torch
from torch import Tensor

from ..kernels.common.arguments import number


def check_images(also: str = "", /, **images: Tensor) -> None:
    """TypeError naming the one that is no tensor, ValueError for one that is not floating-point (B, C, H, W); `also` says in the
    message what the caller asks."""
    for name, image in images.items():
        if not isinstance(image, Tensor):
            raise TypeError(f"{name} must be a torch.Tensor, got {type(image).__name__}")
        if image.ndim != 4 or not image.is_floating_point() or (also and not image.numel()):
            raise ValueError(f"{name} must be a floating-point tensor (B, C, H, W){also}, got {image.dtype} {tuple(image.shape)}")


def not_negative(name: str, value: float) -> float:
    """A finite number of at least 0. TypeError or ValueError naming it otherwise."""
    value = number(name, value)
    if value < 0:
        raise ValueError(f"{name} must not be negative, got {value:g}")
    return value


def at_least_float32(x: Tensor) -> Tensor:
    """Half precision as float32; anything else stays."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def result_dtype(*images: Tensor) -> torch.dtype:
    """The common dtype, under autocast at least float32, as autocast computes exp and log: a loss in half precision would overflow
    where it is scaled."""
    dtype = functools.reduce(torch.promote_types, (image.dtype for image in images))
    autocast = torch.is_autocast_enabled(images[0].device.type)
    return torch.promote_types(dtype, torch.float32) if autocast else dtype
