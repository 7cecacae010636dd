"""A procedural flower garden: pictures for `huenet demo` and the tests, free of anyone's copyright.

Every picture is a close-up: blossoms of one kind, on stems between leaves, before an out-of-focus background. Kind, petal count and
shape, slant, hues, light and place are drawn from the seed and the picture's index. Lengths and places are in units of the
picture's side. A petal has coordinates of its own, `along` its axis (0 at the flower's centre, 1 at its tip) and `across` it, and
all petals of half a ring are painted at once: every pixel belongs to the nearest of them.
"""

from typing import NamedTuple

import numpy as np

from .drawing import SUPERSAMPLING, TURN, blend, developed, drawn, enlarge, grid, light, mix, noise, ramp, rgb, window
from .photos import Photos


def garden(count: int, size: int, seed: int, margin: bool = False) -> Photos:
    """`count` pictures of flowers, size x size; picture i depends on the size, the seed and i alone.

    `margin`: room for random crops, as by `drawn`.
    Raises ValueError for a count below 1, a size below 16 or a negative seed.
    """
    return drawn(flowers, "garden", count, size, seed, margin)


class _Kind(NamedTuple):
    """A kind of flower: the ranges its blossoms are drawn from, in units of the blossom's radius."""

    petals: tuple[int, int]
    rings: tuple[int, int]
    width: tuple[float, float]  # of a petal where it is widest; 1 just meets its neighbours
    widest: tuple[float, float]  # where along the petal that is
    taper: tuple[float, float]  # 0.5 is an ellipse's tip; more is more pointed, less is blunter
    disc: tuple[float, float]
    notch: float = 0.0  # how far the petal's tip is cut in
    rib: float = 0.1  # how much darker the midrib is
    throat: float = 0.5  # how far along the petal the base's colour reaches


# daisy, cosmos, anemone, primrose, dahlia, lily, poppy
_KINDS = (
    _Kind((13, 22), (1, 2), (1.1, 1.5), (0.62, 0.75), (0.35, 0.5), (0.24, 0.36), rib=0.15, throat=0.3),
    _Kind((7, 9), (1, 1), (1.15, 1.45), (0.66, 0.78), (0.3, 0.4), (0.15, 0.22), notch=0.07, rib=0.2),
    _Kind((5, 7), (2, 2), (1.2, 1.5), (0.55, 0.68), (0.4, 0.5), (0.17, 0.25), throat=0.6),
    _Kind((5, 5), (1, 1), (1.1, 1.3), (0.66, 0.74), (0.28, 0.36), (0.08, 0.12), notch=0.12, rib=0.15),
    _Kind((12, 17), (4, 5), (1.25, 1.6), (0.55, 0.66), (0.5, 0.75), (0.08, 0.12), rib=0.25, throat=0.5),
    _Kind((3, 3), (2, 2), (0.36, 0.46), (0.45, 0.55), (0.6, 0.8), (0.07, 0.1), rib=0.4, throat=0.6),
    _Kind((5, 6), (2, 2), (1.2, 1.45), (0.64, 0.72), (0.3, 0.4), (0.12, 0.18), notch=0.04, throat=0.7),
)


class _Petal(NamedTuple):
    """The form that all petals of a blossom share, drawn from its kind's ranges."""

    kind: _Kind
    half_width: float
    widest: float
    taper: float
    bend: float  # to one side, which makes a pinwheel


class _Palette(NamedTuple):
    """Colours as RGB in [0, 1], each of shape (3,)."""

    petal: np.ndarray
    tip: np.ndarray
    base: np.ndarray
    disc: np.ndarray
    leaf: np.ndarray


class _View(NamedTuple):
    """The part of the canvas around a blossom: pixels (h, w, 3) to paint on, and polar coordinates (h, w) in
    its plane, in units of its radius. `pixel` is the side of one pixel in that unit."""

    pixels: np.ndarray
    distance: np.ndarray
    angle: np.ndarray
    pixel: float


def flowers(size: int, rng: np.random.Generator) -> np.ndarray:
    """One picture, uint8 (size, size, 3)."""
    side = size * SUPERSAMPLING
    palette = _draw_palette(rng)
    kind = _KINDS[rng.integers(len(_KINDS))]
    canvas = _background(side, palette, rng)
    places = _draw_places(rng)
    for center, radius in places:
        _stem_and_leaves(canvas, center, radius, palette, rng)
    for center, radius in places:
        _blossom(canvas, center, radius, kind, palette, rng)
    light(canvas, rng)
    return developed(canvas, size, rng)


def _draw_palette(rng: np.random.Generator) -> _Palette:
    hue, shift = rng.random(), rng.uniform(-0.07, 0.07)
    if 0.19 < hue < 0.45 and rng.random() < 0.8:  # green blossoms are rare
        hue = rng.choice([0.13, 0.02, 0.92, 0.82, 0.74]) + rng.uniform(-0.04, 0.04)
    saturation, value = rng.uniform(0.55, 0.95), rng.uniform(0.85, 1.0)
    white = rng.random() < 0.2
    if white:
        saturation, value = rng.uniform(0.0, 0.1), rng.uniform(0.92, 1.0)
    bases = (
        rgb(hue + shift, saturation + 0.2, 0.5 * value),  # a darker throat
        rgb(rng.uniform(0.1, 0.17), 0.8, 0.95),  # a yellow eye
        rgb(hue, 0.3 * saturation, 1.0),  # a pale eye
        rgb(hue + 2.0 * shift, saturation + 0.1, 0.85 * value),  # a neighbouring hue
    )
    disc = rgb(rng.uniform(0.08, 0.16), rng.uniform(0.8, 1.0), rng.uniform(0.7, 1.0))
    if rng.random() < 0.25:
        disc = rgb(rng.choice([0.05, 0.25, 0.8]), 0.6, 0.3)
    return _Palette(
        petal=rgb(hue, saturation, value),
        tip=rgb(hue - shift, saturation * (1.0 if white else rng.uniform(0.5, 1.05)), 1.1 * value),
        base=bases[rng.choice([1, 2, 3] if white else [0, 1, 2, 3])],
        disc=disc,
        leaf=rgb(rng.uniform(0.2, 0.4), rng.uniform(0.4, 0.8), rng.uniform(0.35, 0.65)),
    )


def _draw_places(rng: np.random.Generator) -> list[tuple[np.ndarray, float]]:
    """Centres (x, y) and radii of the blossoms, the smallest and thus furthest first."""
    if rng.random() < 0.55:
        return [(rng.uniform(0.4, 0.6, 2), rng.uniform(0.33, 0.48))]
    count = rng.integers(2, 5)
    angle = rng.uniform(0.0, TURN) + TURN * np.arange(count) / count
    centers = 0.5 + 0.28 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    centers += rng.uniform(-0.06, 0.06, (count, 2))
    radii = rng.uniform(0.2, 0.28, count) + (0.05 if count == 2 else 0.0)
    return sorted(zip(centers, radii.tolist()), key=lambda place: place[1])


def _background(side: int, palette: _Palette, rng: np.random.Generator) -> np.ndarray:
    """Foliage, earth or sky, painted small and enlarged, which puts it out of focus: (side, side, 3)."""
    small = 24
    green = palette.leaf * rng.uniform(0.5, 1.0)
    scenes = (
        (0.7 * green, 0.4 * green),  # deep shade
        (1.4 * green, 0.8 * green),  # foliage in the sun
        (rgb(rng.uniform(0.53, 0.62), rng.uniform(0.2, 0.5), 0.95), green),  # sky over a meadow
        (0.7 * green, rgb(rng.uniform(0.04, 0.1), 0.45, rng.uniform(0.2, 0.45))),  # earth
    )
    top, bottom = scenes[rng.choice(4, p=[0.25, 0.4, 0.2, 0.15])]
    x, y = grid(small)
    shade = 1.0 + 0.5 * noise(small, 4, rng) + 0.3 * noise(small, 9, rng)
    canvas = (top + (bottom - top) * y[..., None]) * shade[..., None]
    for _ in range(rng.integers(3, 12)):  # far blossoms and spots of light
        colors = (palette.petal, palette.tip, 1.6 * palette.leaf, 1.7 * canvas.mean(axis=(0, 1)))
        distance = np.hypot(x - rng.random(), y - rng.random()) / rng.uniform(0.04, 0.13)
        blend(canvas, colors[rng.integers(4)], ramp(1.2 - distance, 0.6) * rng.uniform(0.3, 0.75))
    return np.stack([enlarge(canvas[..., channel], side) for channel in range(3)], axis=-1)


def _stem_and_leaves(canvas: np.ndarray, center: np.ndarray, radius: float, palette: _Palette, rng: np.random.Generator) -> None:
    x, y = grid(len(canvas))
    below = y - center[1]
    thickness = 0.06 * radius
    across = (x - center[0] - rng.uniform(-0.4, 0.4) * below * below) / thickness
    coverage = ramp(1.0 - np.abs(across), 1.0 / (thickness * len(canvas))) * (below > 0.0)
    blend(canvas, palette.leaf * (0.95 + 0.3 * across.clip(-1.0, 1.0))[..., None], coverage)
    for _ in range(rng.integers(2, 6)):
        angle = rng.uniform(0.0, TURN)
        root = center + 0.25 * radius * np.array([np.cos(angle), np.sin(angle)])
        _leaf(canvas, root, angle, radius * rng.uniform(1.0, 1.6), palette.leaf * rng.uniform(0.65, 1.2), rng)


def _leaf(canvas: np.ndarray, root: np.ndarray, angle: float, length: float, color: np.ndarray, rng: np.random.Generator) -> None:
    pixels, x, y = window(canvas, root, length)
    along = (x * np.cos(angle) + y * np.sin(angle)) / length
    across = (y * np.cos(angle) - x * np.sin(angle)) / length + rng.uniform(-0.2, 0.2) * along * along
    half = rng.uniform(0.15, 0.25) * _outline(along, 0.42, 0.75)
    edge = _inward(along, across, half)
    side_veins = np.cos(TURN * (8.0 * along - 8.0 * np.abs(across)))
    shade = 0.9 + 0.07 * side_veins + 0.1 * rng.choice([-1.0, 1.0]) * np.sign(across)
    shade += 0.3 * np.exp(-((across / 0.012) ** 2))  # the midrib catches the light
    blend(pixels, np.zeros(3), 0.35 * ramp(edge + 0.04, 0.12))
    blend(pixels, color * shade[..., None], ramp(edge, 1.0 / (length * len(canvas))))


def _blossom(
    canvas: np.ndarray, center: np.ndarray, radius: float, kind: _Kind, palette: _Palette, rng: np.random.Generator
) -> None:
    view = _slanted_view(canvas, center, radius, rng)
    blend(view.pixels, np.zeros(3), 0.3 * ramp(0.9 - view.distance, 0.5))  # its shadow on what lies behind
    petals, rings = (int(rng.integers(*ends, endpoint=True)) for ends in (kind.petals, kind.rings))
    half_width = rng.uniform(*kind.width) * min(np.tan(np.pi / petals), 0.8)
    widest = rng.uniform(*kind.widest)
    petal = _Petal(kind, half_width * widest, widest, rng.uniform(*kind.taper), rng.uniform(-0.18, 0.18))
    start = rng.uniform(0.0, TURN)
    for ring in range(rings):
        reach = 1.0 - 0.75 * ring / rings if rings > 2 else 1.0 - 0.1 * ring
        for half in range(2):  # neighbours overlap, so every other petal lies upon the rest
            axes = start + TURN * (np.arange(half, petals, 2) + 0.5 * ring) / petals
            axes += rng.uniform(-0.12, 0.12, len(axes)) * np.pi / petals
            lengths = reach * rng.uniform(0.9, 1.0, len(axes))
            brightness = (0.9 + 0.07 * half + 0.12 * ring / rings) * rng.uniform(0.94, 1.06, len(axes))
            _half_ring(view, axes, lengths, brightness, petal, palette)
    _disc(view, rng.uniform(*kind.disc), palette, rng)


def _half_ring(
    view: _View, axes: np.ndarray, lengths: np.ndarray, brightness: np.ndarray, petal: _Petal, palette: _Palette
) -> None:
    """Petals along the angles `axes`, each with its length and brightness."""
    steps = 512
    from_axis = (np.arange(steps)[:, None] * (TURN / steps) - axes + np.pi) % TURN - np.pi
    nearest = np.abs(from_axis).argmin(axis=1)[(view.angle * (steps / TURN)).astype(np.intp) % steps]
    turned = view.angle - axes[nearest].astype(np.float32)
    scaled = view.distance / lengths[nearest].astype(np.float32)
    along, across = scaled * np.cos(turned), scaled * np.sin(turned)
    across = across + petal.bend * petal.half_width * along * along
    notch = petal.kind.notch * np.exp(-((across / (0.5 * petal.half_width)) ** 2))
    half = petal.half_width * _outline(along + notch, petal.widest, petal.taper)
    edge = _inward(along, across, half)
    inside = across / np.maximum(half, 1e-3)
    color = mix(palette.base, palette.petal, ramp(along - 0.6 * petal.kind.throat, 0.7 * petal.kind.throat))
    color = mix(color, palette.tip, ramp(along - 0.8, 0.5))
    shade = brightness[nearest].astype(np.float32) * (1.06 - 0.22 * inside.clip(-1.0, 1.0) ** 2)
    shade *= 1.0 + 0.05 * np.cos(7.0 * np.pi * inside) - petal.kind.rib * np.exp(-((across / 0.03) ** 2))
    shade *= 0.78 + 0.22 * ramp(along - 0.35, 0.7)  # the throat lies deeper
    blend(view.pixels, np.zeros(3), 0.3 * ramp(edge + 0.03, 0.12))
    blend(view.pixels, color * shade[..., None], ramp(edge, 1.5 * view.pixel))


def _disc(view: _View, radius: float, palette: _Palette, rng: np.random.Generator) -> None:
    """A dome of florets in crossing spirals."""
    spiral = np.log(view.distance + 0.02) * 6.0
    turns = int(rng.choice([8, 13]))
    florets = np.cos(turns * (view.angle + 0.25 * spiral)) * np.cos(turns * (view.angle - 0.4 * spiral))
    height = 1.0 - (view.distance / radius).clip(0.0, 1.0) ** 2
    shade = (0.55 + 0.5 * height) * (1.0 + 0.25 * florets) + 0.15 * np.cos(view.angle + 2.4) * (1.0 - height)
    blend(view.pixels, np.zeros(3), 0.35 * ramp(radius + 0.03 - view.distance, 0.12))
    blend(view.pixels, palette.disc * shade[..., None], ramp(radius - view.distance, 2.0 * view.pixel))


def _slanted_view(canvas: np.ndarray, center: np.ndarray, radius: float, rng: np.random.Generator) -> _View:
    pixels, x, y = window(canvas, center, 1.05 * radius)
    lean, shortening = rng.uniform(0.0, TURN), rng.uniform(0.65, 1.0)
    stretch = (x * np.cos(lean) + y * np.sin(lean)) * (1.0 / shortening - 1.0)
    x, y = (x + stretch * np.cos(lean)) / radius, (y + stretch * np.sin(lean)) / radius
    return _View(pixels, np.hypot(x, y), np.arctan2(y, x) % TURN, 1.0 / (radius * len(canvas)))


def _outline(along: np.ndarray, widest: float, taper: float) -> np.ndarray:
    """Half the width of a petal or leaf, 1 at `widest` and 0 at both ends."""
    along = along.clip(0.0, 1.0)
    return (along / widest) ** (taper * widest / (1.0 - widest)) * ((1.0 - along) / (1.0 - widest)) ** taper


def _inward(along: np.ndarray, across: np.ndarray, half: np.ndarray) -> np.ndarray:
    """How far inside a petal or leaf of half width `half` a place is, negative outside."""
    return np.minimum(half - np.abs(across), np.minimum(along, 1.0 - along))
