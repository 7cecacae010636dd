"""Procedural scenes: what a model must have seen that paints more than flowers; free of anyone's copyright.

Half of them are pictures of the `garden`; the others are collages, landscapes, cars and rooms. They have what photos have and
flowers lack: large areas that are grey or nearly so and tinted by the light, colours that fill little of the picture, skies and
shadows, and a camera's compression, which smears colour over edges.
"""

import io
from typing import NamedTuple

import numpy as np
from PIL import Image

from .drawing import SUPERSAMPLING, TURN, blend, developed, drawn, grid, light, mix, noise, ramp, rgb
from .garden import flowers
from .photos import Photos


def scenes(count: int, size: int, seed: int, margin: bool = False) -> Photos:
    """`count` pictures of flowers and of other things, size x size; picture i depends on the size, the seed and i alone.

    `margin`: room for random crops, as by `drawn`.
    Raises ValueError for a count below 1, a size below 16 or a negative seed.
    """
    return drawn(_picture, "scene", count, size, seed, margin)


def _picture(size: int, rng: np.random.Generator) -> np.ndarray:
    kind = rng.choice(5, p=[0.5, 0.15, 0.11, 0.15, 0.09])
    if kind == 0:
        pixels = flowers(size, rng)
    else:
        canvas = (_collage, _landscape, _car, _room)[kind - 1](size * SUPERSAMPLING, rng)
        light(canvas, rng)
        canvas *= 1.0 + rng.uniform(-0.08, 0.08, 3)  # the white balance
        pixels = developed(canvas, size, rng)
    return _compressed(pixels, rng)


def _compressed(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "jpeg", quality=int(rng.integers(60, 96)))
    return np.asarray(Image.open(file))


class _Palette(NamedTuple):
    """A picture's colours: few hues, of one liveliness."""

    hues: np.ndarray
    saturation: float

    def color(self, rng: np.random.Generator) -> np.ndarray:
        """One of them, (3,): often pale, dark or grey."""
        saturation = self.saturation * rng.choice([1.0, 0.5, 0.12, 0.0], p=[0.5, 0.2, 0.15, 0.15])
        return rgb(rng.choice(self.hues) + rng.normal(0.0, 0.015), saturation * rng.uniform(0.8, 1.1), rng.uniform(0.15, 1.0))


def _palette(rng: np.random.Generator) -> _Palette:
    hues = rng.random(rng.integers(1, 5))
    if rng.random() < 0.3:  # neighbours
        hues = rng.random() + rng.uniform(-0.08, 0.08, len(hues))
    return _Palette(hues, rng.choice([0.9, 0.6, 0.3, 0.08], p=[0.45, 0.3, 0.15, 0.1]))


class _Shape(NamedTuple):
    """Where a shape is: its `edge` is how far inside it a pixel lies, `x` and `y` its own coordinates, from -1 to 1."""

    edge: np.ndarray
    x: np.ndarray
    y: np.ndarray


def _box(side: int, center: np.ndarray, half: np.ndarray, angle: float, roundness: float) -> _Shape:
    """A rectangle with rounded corners; an ellipse at roundness 1."""
    x, y = (axis - middle for axis, middle in zip(grid(side), center))
    x, y = (x * np.cos(angle) + y * np.sin(angle)) / half[0], (y * np.cos(angle) - x * np.sin(angle)) / half[1]
    power = 2.0 / max(roundness, 0.15)
    edge = (1.0 - (np.abs(x) ** power + np.abs(y) ** power) ** (1.0 / power)) * half.min()
    return _Shape(edge, x, y)


def _put(canvas: np.ndarray, shape: _Shape, color: np.ndarray, rng: np.random.Generator, gloss: float = 0.3) -> None:
    """The shape with its shadow, lit from one side, with a texture of its own."""
    angle, side = rng.uniform(0.0, TURN), len(canvas)
    shade = 1.0 + gloss * (shape.x * np.cos(angle) + shape.y * np.sin(angle)).clip(-1.0, 1.0)
    if rng.random() < 0.35:
        shade = shade + rng.uniform(0.05, 0.25) * noise(side, int(rng.integers(4, 24)), rng)
    elif rng.random() < 0.2:
        shade = shade + 0.15 * np.sign(np.cos(rng.uniform(6.0, 20.0) * (shape.x + rng.uniform(-1.0, 1.0) * shape.y)))
    blend(canvas, np.zeros(3), 0.3 * ramp(shape.edge + 0.01, 0.06))
    blend(canvas, color * shade[..., None], ramp(shape.edge, 1.5 / side))


def _collage(side: int, rng: np.random.Generator) -> np.ndarray:
    """Things upon things, as on a table, a wall, or roofs from above."""
    palette = _palette(rng)
    canvas = np.empty((side, side, 3), np.float32)
    canvas[:] = palette.color(rng)
    canvas *= (1.0 + 0.2 * noise(side, 3, rng))[..., None]
    straight = rng.random() < 0.4
    for _ in range(rng.integers(6, 30)):
        half = rng.uniform(0.04, 0.09) * np.exp(rng.uniform(0.0, 1.3, 2))
        angle = rng.normal(0.3, 0.03) if straight else rng.uniform(0.0, TURN)
        shape = _box(side, rng.random(2), half, angle, 0.15 if straight else rng.uniform(0.15, 1.0))
        _put(canvas, shape, palette.color(rng), rng)
    return canvas


def _landscape(side: int, rng: np.random.Generator) -> np.ndarray:
    """A sky, clouds, and what stands before it: hills, woods, a field, water."""
    canvas = _sky(side, rng)
    x, y = grid(side)
    horizon, layers = rng.uniform(0.3, 0.8), int(rng.integers(1, 5))
    for layer in range(layers):
        near = (layer + 1) / layers
        top = (
            horizon
            + (1.0 - horizon) * 0.8 * layer / layers
            + rng.uniform(0.02, 0.1) * noise(side, int(rng.integers(3, 12)), rng)[:1]
        )
        ground = rgb(
            rng.choice([0.28, 0.22, 0.12, 0.07, 0.58]) + rng.normal(0.0, 0.02), rng.uniform(0.1, 0.7), rng.uniform(0.2, 0.7)
        )
        haze = canvas[0].mean(axis=0)
        color = mix(haze, ground, np.asarray(0.3 + 0.7 * near))
        texture = 1.0 + 0.25 * near * noise(side, int(rng.integers(8, 40)), rng)
        blend(canvas, color * texture[..., None], ramp(y - top, 2.0 / side) * np.ones_like(x))
    return canvas


def _sky(side: int, rng: np.random.Generator) -> np.ndarray:
    x, y = grid(side)
    blue = (rgb(rng.uniform(0.54, 0.64), rng.uniform(0.2, 0.8), rng.uniform(0.6, 1.0)), rgb(0.56, rng.uniform(0.05, 0.3), 0.95))
    dusk = (rgb(rng.uniform(0.58, 0.8), 0.5, 0.5), rgb(rng.uniform(0.0, 0.12), 0.7, 1.0))
    grey = (np.full(3, rng.uniform(0.5, 0.9), np.float32), np.full(3, 0.9, np.float32))
    top, bottom = (blue, dusk, grey)[rng.choice(3, p=[0.55, 0.25, 0.2])]
    canvas = mix(top, bottom, (y * np.ones_like(x)).clip(0.0, 1.0)).astype(np.float32)
    clouds = ramp(noise(side, 4, rng) + 0.5 * noise(side, 11, rng) - rng.uniform(0.0, 0.6), 0.7)
    blend(canvas, np.full(3, 0.97, np.float32), rng.uniform(0.2, 0.95) * clouds)
    return canvas


def _car(side: int, rng: np.random.Generator) -> np.ndarray:
    """A car before a wall, a wood or a sky, on grey ground: body, cabin, windows, wheels, lamps."""
    canvas = _landscape(side, rng) if rng.random() < 0.6 else _collage(side, rng)
    blend(canvas, np.full(3, canvas.mean(), np.float32), np.full((side, side), rng.uniform(0.2, 0.9)))  # the car is what has colour
    x, y = grid(side)
    ground = np.full(3, rng.uniform(0.25, 0.7), np.float32) * (1.0 + rng.uniform(-0.04, 0.04, 3))
    floor = rng.uniform(0.55, 0.75)
    blend(canvas, ground * (1.0 + 0.1 * noise(side, 30, rng))[..., None], ramp(y - floor, 0.02) * np.ones_like(x))
    paint = _car_paint(rng)
    middle, half, angle = np.array([rng.uniform(0.42, 0.58), floor - 0.02]), rng.uniform(0.32, 0.46), rng.normal(0.0, 0.06)

    def at(along: float, up: float) -> np.ndarray:
        return middle + half * np.array([along, -up])

    blend(canvas, np.zeros(3), 0.6 * ramp(_box(side, at(0.0, -0.3), np.array([1.0, 0.14]) * half, angle, 1.0).edge, 0.06))
    cabin = rng.uniform(-0.2, 0.2), rng.uniform(0.4, 0.6)
    _put(canvas, _box(side, at(cabin[0], 0.32), np.array([cabin[1], 0.28]) * half, angle, 0.5), paint, rng, 0.4)
    glass = rgb(rng.uniform(0.5, 0.65), rng.uniform(0.0, 0.25), rng.uniform(0.08, 0.35))
    for step in (-0.5, 0.5):
        window = _box(side, at(cabin[0] + step * cabin[1], 0.34), np.array([0.42 * cabin[1], 0.19]) * half, angle, 0.4)
        _put(canvas, window, glass, rng, 0.8)
    _put(canvas, _box(side, at(0.0, 0.0), np.array([1.0, 0.3]) * half, angle, 0.4), paint, rng, 0.45)
    shine = _box(side, at(0.0, 0.12), np.array([0.9, 0.05]) * half, angle, 0.6)
    blend(canvas, np.ones(3, np.float32), rng.uniform(0.1, 0.6) * ramp(shine.edge, 0.03))
    for step, lamp in ((-0.93, rgb(0.0, 0.85, 0.7)), (0.93, rgb(0.11, rng.uniform(0.05, 0.8), 0.95))):
        _put(canvas, _box(side, at(step, 0.08), np.array([0.06, 0.06]) * half, angle, 0.6), lamp, rng)
    for step in (-0.6, 0.6):
        _put(canvas, _box(side, at(step, -0.22), np.array([0.19, 0.19]) * half, 0.0, 1.0), np.full(3, 0.07, np.float32), rng)
        _put(canvas, _box(side, at(step, -0.22), np.array([0.11, 0.11]) * half, 0.0, 1.0), np.full(3, rng.uniform(0.3, 0.8)), rng)
    return canvas


def _car_paint(rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.4:  # white, silver, black, with a tint that nobody sees
        return rgb(rng.random(), rng.uniform(0.0, 0.08), rng.choice([0.95, 0.7, 0.45, 0.1]))
    return rgb(
        rng.choice([0.0, 0.6, 0.12, 0.08, rng.random()]) + rng.normal(0.0, 0.02), rng.uniform(0.5, 0.95), rng.uniform(0.3, 0.95)
    )


def _room(side: int, rng: np.random.Generator) -> np.ndarray:
    """A wall, a floor, a window, and furniture of few colours under a lamp or daylight."""
    palette = _palette(rng)
    x, y = grid(side)
    wall = rgb(rng.uniform(0.05, 0.17) if rng.random() < 0.7 else rng.random(), rng.uniform(0.0, 0.4), rng.uniform(0.4, 0.95))
    canvas = np.empty((side, side, 3), np.float32)
    canvas[:] = wall
    canvas *= (1.1 - 0.4 * np.hypot(x - rng.random(), y - 0.3))[..., None]
    wood = rgb(rng.uniform(0.04, 0.1), rng.uniform(0.1, 0.7), rng.uniform(0.25, 0.7))
    boards = 1.0 + 0.12 * np.sign(np.cos(rng.uniform(20.0, 60.0) * (x - 0.5) / (y + 0.2))) + 0.1 * noise(side, 30, rng)
    blend(canvas, wood * boards[..., None], ramp(y - rng.uniform(0.55, 0.8), 0.01) * np.ones_like(x))
    if rng.random() < 0.6:
        pane = _box(side, np.array([rng.random(), 0.25]), rng.uniform(0.08, 0.2, 2), 0.0, 0.15)
        blend(canvas, np.full(3, 0.95, np.float32), ramp(pane.edge + 0.01, 0.005))
        blend(canvas, _sky(side, rng), ramp(pane.edge, 0.005))
    for _ in range(rng.integers(3, 12)):
        place = np.array([rng.random(), rng.uniform(0.35, 0.95)])
        _put(canvas, _box(side, place, rng.uniform(0.04, 0.22, 2), 0.0, rng.uniform(0.15, 0.8)), palette.color(rng), rng)
    return canvas
