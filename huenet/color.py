"""Hue, saturation and value of RGB images and back, differentiable.

The standard hexcone definition (Smith 1978; the one of `colorsys` and matplotlib), with hue in turns: red 0, green 1/3, blue 2/3.
Images are (..., 3, H, W); all is made of plain tensor operations, and compiles.

    hue, saturation, value = rgb_to_hsv(rgb).unbind(-3)
    rgb = hsv_to_rgb(torch.stack([hue, saturation, value], dim=-3))

As vectors (B, 2, H, W) hues can be averaged, interpolated, and read by networks: `unit_vector`, `turns_of`, `encode_hue`.
"""

import math
from typing import Literal

import torch
from torch import Tensor

NO_HUE, FULL_HUE = 1 / 255, 4 / 255
"""Mean chromas (see `color_weights`) up to which a picture has no hue, and from which on it has one like any other. A step of eight
bits is what rounding leaves of grey: of sepia or a faint cast, four or more."""
SHORTEST = 1e-3
"""Vectors shorter than this are taken for having no direction."""


def rgb_to_hsv(rgb: Tensor) -> Tensor:
    """HSV (..., 3, H, W) of an RGB image (..., 3, H, W) with values in [0, 1].

    Hue lies in [0, 1) turns and never rounds to 1; saturation and value lie in [0, 1]. Grey pixels have hue
    and saturation 0, and their hue has gradient 0. Elsewhere the hue's gradient is at most 1 / (6 * chroma),
    so weigh hues with `color_weights` before averaging gradients over pixels that are nearly grey. float16
    and bfloat16 are computed and returned in float32, since eight bits of mantissa cannot hold 256 hues. A NaN in
    any channel makes all three NaN.

    Raises TypeError for anything but a floating-point tensor, ValueError for any other shape.
    """
    hue, chroma, value = hue_chroma_value(rgb)
    grey = _is_grey(chroma)
    saturation = torch.where(grey, 0.0, chroma / torch.where(grey, 1.0, value))
    return torch.stack([hue, saturation, value], dim=-3)


def hue_chroma_value(rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue and value as by `rgb_to_hsv`, and between them the chroma, saturation times value, each (..., H, W)."""
    red, green, blue = _channels(rgb, "rgb")
    value = torch.maximum(torch.maximum(red, green), blue)
    chroma = value - torch.minimum(torch.minimum(red, green), blue)
    # Below `tiny`, 1 / chroma overflows: such a pixel is grey, and divided by 1 to keep gradients finite.
    grey = _is_grey(chroma)
    divisor = torch.where(grey, 1.0, chroma)
    sextant = torch.where(
        red == value,
        (green - blue) / divisor,
        torch.where(green == value, 2.0 + (blue - red) / divisor, 4.0 + (red - green) / divisor),
    )
    return wrap_hue(torch.where(grey, 0.0, sextant / 6.0)), chroma, value


def hsv_to_rgb(hsv: Tensor) -> Tensor:
    """RGB (..., 3, H, W) in [0, 1] of HSV (..., 3, H, W): any hue (modulo 1), saturation and value in [0, 1].

    Piecewise linear in the hue, so its gradient is finite everywhere. Half precision is computed and returned
    in float32. Raises TypeError and ValueError as `rgb_to_hsv`.
    """
    hue, saturation, value = _channels(hsv, "hsv")
    return rgb_of(hue, value * saturation, value)


def rgb_of(hue: Tensor, chroma: Tensor, value: Tensor) -> Tensor:
    """RGB (..., 3, H, W) of what `hue_chroma_value` gives, with any hue."""
    sextant = 6.0 * wrap_hue(hue)
    # The share of the chroma that each channel lacks: all of it at cyan (3), magenta (5), yellow (1).
    lacks = (2.0 - (sextant - 3.0).abs(), (sextant - 2.0).abs() - 1.0, (sextant - 4.0).abs() - 1.0)
    return torch.stack([value - chroma * lack.clamp(0.0, 1.0) for lack in lacks], dim=-3)


def color_weights(hsv: Tensor) -> Tensor:
    """Each pixel's vote in a hue histogram: saturation times value, (..., 1, H, W), in [0, 1].

    This is the chroma, max - min of RGB: it is 0 for grey, white and black pixels, whose hue means nothing.
    """
    _, saturation, value = _channels(hsv, "hsv")
    return (saturation * value).unsqueeze(-3)


def hue_presence(mean_chroma: Tensor, faint: tuple[float, float] = (NO_HUE, FULL_HUE)) -> Tensor:
    """From 0, up to the first of the two chromas, where a picture has no hue, to 1, from the second on; linear between. Of any
    shape, without gradient; NaN stays."""
    none, full = faint
    return ((mean_chroma.detach() - none) / (full - none)).clamp(0.0, 1.0)


def mean_chroma(rgb: Tensor) -> Tensor:
    """Mean over a picture of max - min of RGB, which `color_weights` are, (..., 3, H, W) -> (...,)."""
    return (rgb.amax(-3) - rgb.amin(-3)).mean((-2, -1))


def wrap_hue(hue: Tensor) -> Tensor:
    """`hue` modulo 1, in [0, 1): unlike `torch.remainder`, never 1.0 for a tiny negative hue. The gradient is 1."""
    turned = hue - hue.floor()
    return turned - (turned >= 1.0).to(turned.dtype)


def unit_vector(turns: Tensor) -> Tensor:
    """(cos, sin) of angles in turns, (B, 1, H, W) -> (B, 2, H, W)."""
    angle = 2 * math.pi * turns
    return torch.cat([angle.cos(), angle.sin()], dim=1)


def turns_of(vector: Tensor) -> Tensor:
    """Direction of vectors (B, 2, H, W) in turns, in [-1/2, 1/2], (B, 1, H, W); about 0 for vectors of no length."""
    x, y = vector.split(1, dim=1)
    # The gradient of atan2 grows as 1 / length and is NaN at zero.
    x = torch.where(x * x + y * y <= SHORTEST**2, torch.ones_like(x), x)
    return torch.atan2(y, x) / (2 * math.pi)


def encode_hue(hsv: Tensor, kind: Literal["value", "vector"]) -> Tensor:
    """The hue of an HSV image (B, 3, H, W) as a network's input in [-1, 1].

    "value": (B, 1, H, W); "vector": (cos, sin) times saturation, (B, 2, H, W), since the hue of a grey pixel means nothing.
    """
    hue, saturation, _ = hsv.split(1, dim=1)
    return 2 * hue - 1 if kind == "value" else saturation * unit_vector(hue)


def _is_grey(chroma: Tensor) -> Tensor:
    return chroma <= torch.finfo(chroma.dtype).tiny  # which NaN is not


def _channels(image: Tensor, name: str) -> tuple[Tensor, ...]:
    if not isinstance(image, Tensor) or not image.is_floating_point():
        kind = image.dtype if isinstance(image, Tensor) else type(image).__name__
        raise TypeError(f"{name} must be a floating-point tensor, got {kind}")
    if image.ndim < 3 or image.shape[-3] != 3:
        raise ValueError(f"{name} must have shape (..., 3, H, W), got {tuple(image.shape)}")
    if image.dtype in (torch.float16, torch.bfloat16):
        image = image.float()
    return image.unbind(-3)
