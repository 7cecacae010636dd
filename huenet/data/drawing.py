"""What drawn pictures are made of: shapes with soft edges, noise, light, and the picture as a camera stores it.

A canvas is float32 (side, side, 3), RGB about [0, 1], `SUPERSAMPLING` times as large as the picture. Lengths and places are in
units of its side. Everything random comes from the generator that is handed in.
"""

import colorsys
import math
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from .photos import LOAD_RATIO, Photos, seeded_generator

SUPERSAMPLING = 2
TURN = 2.0 * np.pi


Draw = Callable[[int, np.random.Generator], np.ndarray]
"""A picture, uint8 (size, size, 3), of its size and random numbers."""


def drawn(draw: Draw, name: str, count: int, size: int, seed: int, margin: bool = False) -> Photos:
    """`count` pictures of side `size`, the i-th with random numbers of the seed and i alone. With `margin` they are drawn a little
    larger than `size`, as a folder's photos are loaded, so that random crops have room.

    Raises ValueError for a count below 1, a size below 16 or a negative seed.
    """
    for argument, value, least in (("count", count, 1), ("size", size, 16)):
        if value < least:
            raise ValueError(f"{argument} must be at least {least}, got {value}")
    indices = tqdm(range(count), name, delay=1.0, disable=None, leave=False)
    side = math.ceil(size * LOAD_RATIO) if margin else size
    pictures = [draw(side, seeded_generator(seed, index)) for index in indices]
    images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()
    return Photos(images, tuple(f"{name}_{index:04d}.png" for index in range(count)), size)


def developed(canvas: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """The canvas as a camera gives it: size x size, with the sensor's noise, uint8."""
    pixels = canvas.reshape(size, SUPERSAMPLING, size, SUPERSAMPLING, 3).mean(axis=(1, 3))
    pixels += rng.normal(0.0, 0.01, pixels.shape)
    return np.rint(255.0 * pixels.clip(0.0, 1.0)).astype(np.uint8)


def light(canvas: np.ndarray, rng: np.random.Generator) -> None:
    """Sun from one side, darker corners, and the tint of the hour, in place."""
    x, y = grid(len(canvas))
    angle = rng.uniform(0.0, TURN)
    sun = 1.0 + 0.18 * ((x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle))
    corners = 1.0 - rng.uniform(0.0, 0.5) * ((x - 0.5) ** 2 + (y - 0.5) ** 2)
    tint = 1.0 + rng.uniform(-0.06, 0.06) * np.array([1.0, 0.0, -1.0], np.float32)
    canvas *= (rng.uniform(0.9, 1.12) * sun * corners)[..., None] * tint


def window(canvas: np.ndarray, center: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The canvas within `reach` of `center`, as a view, with x (1, w) and y (h, 1) from there."""
    side = len(canvas)
    low = np.floor((center - reach) * side).astype(int).clip(0, side)
    high = np.ceil((center + reach) * side).astype(int).clip(0, side)
    x, y = (((np.arange(*ends) + 0.5) / side - middle).astype(np.float32) for *ends, middle in zip(low, high, center))
    return canvas[low[1] : high[1], low[0] : high[0]], x[None], y[:, None]


def grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    """x (1, side) and y (side, 1) of the pixels' centres."""
    at = ((np.arange(side) + 0.5) / side).astype(np.float32)
    return at[None], at[:, None]


def noise(side: int, cells: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise in about [-1, 1] that varies over 1 / `cells` of the picture."""
    return enlarge(rng.uniform(-1.0, 1.0, (cells, cells)), side)


def enlarge(image: np.ndarray, side: int) -> np.ndarray:
    picture = Image.fromarray(np.ascontiguousarray(image, np.float32))
    return np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC))


def ramp(x: np.ndarray, width: float) -> np.ndarray:
    """A soft step: 0 below -width/2, 1 above width/2."""
    return (x / width + 0.5).clip(0.0, 1.0)


def mix(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    return first + (second - first) * share[..., None]


def blend(pixels: np.ndarray, color: np.ndarray, coverage: np.ndarray) -> None:
    pixels += (color - pixels) * coverage[..., None]


def rgb(hue: float, saturation: float, value: float) -> np.ndarray:
    return np.array(colorsys.hsv_to_rgb(hue % 1.0, min(max(saturation, 0.0), 1.0), min(value, 1.0)), np.float32)
