"""The images of the cases: hues in [0, 1) and the weights of their pixels, seeded.

Large inputs repeat a smaller image, so that results and gradients of inputs of any size can be checked against a dense float64
computation on the small one: a mean over samples does not change when all of them are repeated.
"""

import dataclasses
import functools
from pathlib import Path

import torch
from torch import Tensor

from .cases import Case

#: most images that differ in a batch, and most responses (samples x bins) of the dense float64 computation
DISTINCT, LARGEST = 4, 1 << 24
#: numbers in a tensor of the specification, 0.5 GB, beyond which what cannot be repeated is checked in another way
DENSE = 1 << 26
PHOTOS = Path(__file__).resolve().parents[2] / "shared" / "data" / "flower_color"
CONSTANT_HUES = (0.3, 0.6, 0.9)


def base_shape(case: Case) -> tuple[int, int]:
    """How many images differ, a divisor of the batch so that means over it stay the same, and the side of what is repeated."""
    images, side = next(count for count in range(DISTINCT, 0, -1) if case.batch % count == 0), case.side
    while side % 2 == 0 and images * side * side * case.bins > LARGEST:
        side //= 2
    return images, side


def repeated(values: Tensor, case: Case, samples: bool = True) -> Tensor:
    """Base values (images, n, ...) as the case's (batch, samples, ...): repeated over the batch and, if wanted, over samples."""
    batch = values[torch.arange(case.batch, device=values.device) % len(values)]
    if not samples:
        return batch
    return batch.repeat(1, case.samples // values.shape[1], *[1] * (values.dim() - 2))


def hues(case: Case, role: int) -> Tensor:
    """Base hues (images, n) of one of three images: 0 an output, 1 its source, which it resembles, 2 another image's."""
    images, side = base_shape(case)
    if case.image == "constant":
        return torch.full((images, side * side), CONSTANT_HUES[role], dtype=torch.float64)
    first = _colors(case.image, images, side, 1 if role == 2 else 0)[:, 0]
    if role == 2 and case.image == "noise":
        return first.square()  # unlike an output's, or the distance between them would be nothing but rounding
    if role != 1:
        return first
    noise = _random(images, side * side, seed=2)
    return (first + 0.1 * noise) / 1.1 if case.image == "noise" else torch.remainder(first + 0.05 + 0.02 * noise, 1.0)


def weights(case: Case, role: int) -> Tensor:
    """Base votes (images, n) of the pixels of the image in that role: saturation times value."""
    images, side = base_shape(case)
    if case.image == "constant":
        return torch.ones(images, side * side, dtype=torch.float64)
    colors = _colors(case.image, images, side, 1 if role == 2 else 0)
    return colors[:, 1] * colors[:, 2]


@functools.lru_cache(maxsize=8)
def _colors(kind: str, images: int, side: int, which: int) -> Tensor:
    """Hue, saturation, value (images, 3, n) in float64."""
    if kind == "noise":
        return _random(images, 3, side * side, seed=which)
    from huenet.color import rgb_to_hsv

    return rgb_to_hsv(photos(images, side, which).double()).flatten(2)


def photos(images: int, side: int, which: int) -> Tensor:
    """Real photos where they are at hand, else drawn ones: (images, 3, side, side), the same for the same `which`."""
    from huenet.data import find_images, fit, load_image
    from huenet.data.garden import garden

    if not PHOTOS.is_dir():
        return garden(images, max(side, 16), seed=which).images[:, :, :side, :side].float() / 255
    return torch.stack([fit(load_image(path), side) for path in find_images(PHOTOS)[which * DISTINCT :][:images]])


def color_shape(case: Case) -> tuple[int, int]:
    """Images and side, as `base_shape`, for the tables of 81 kernels of `bins` color channels, of which several are needed."""
    return base_shape(dataclasses.replace(case, bins=4 * 81 * case.bins))


def color_pair(case: Case) -> tuple[Tensor, Tensor]:
    """Base images (images, n, channels) in [-1, 1] that depend on each other."""
    images, side = color_shape(case)
    x, noise = _random(2, images, side * side, case.bins, seed=3)
    return 2 * x - 1, (2 * x + 0.6 * noise) / 1.3 - 1


def whole_shape(case: Case) -> tuple[int, int]:
    """Images that differ, and side: of what cannot be repeated, a whole image."""
    return base_shape(case)[0], case.side


def whole_images(case: Case) -> Tensor:
    """Images (images, 3, side, side) in [0, 1)."""
    images, side = whole_shape(case)
    return _random(images, 3, side, side, seed=4)


def matching_points(case: Case) -> tuple[Tensor, Tensor]:
    """Points (images, N, C): the second set, and the first, which is that in another order and noisy.

    Each point then has one clear match, whose gradient rounding cannot give to another, as it does among unrelated points.
    """
    images, side = whole_shape(case)
    generator = torch.Generator().manual_seed(5)
    y, noise = torch.randn(2, images, side * side, case.bins, generator=generator, dtype=torch.float64)
    return y[:, torch.randperm(side * side, generator=generator)] + noise, y


def pair_shape(case: Case) -> tuple[int, int]:
    """Images and points that are repeated, for a mean over pairs of points: the most that divide theirs and are at most 512."""
    return base_shape(case)[0], next(count for count in range(512, 0, -1) if case.samples % count == 0)


def paired_points(case: Case) -> tuple[Tensor, Tensor]:
    """Features and outputs (images, n, D) in [0, 1)."""
    return tuple(_random(2, *pair_shape(case), case.bins, seed=6))


def photo_source() -> str:
    """Where the hues of the cases called `photo` come from."""
    return f"photos of {PHOTOS.name}" if PHOTOS.is_dir() else "pictures drawn by huenet.data.garden"


def _random(*shape: int, seed: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
