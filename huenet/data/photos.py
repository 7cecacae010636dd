"""A folder of photographs as squares of uint8 in memory, and some of them held out."""

import hashlib
import math
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from .images import at_most, find_images, fit, load_image

LUMA = (19595, 38470, 7471)
"""Red's, green's and blue's parts of 2^16 in the brightness, as of Pillow's mode L (ITU-R 601-2): grey stays as it is."""
# pix2pix loads at 286 and crops 256 out of it; the same proportion at every size.
LOAD_RATIO = 286 / 256


@dataclass(frozen=True, eq=False)
class Mapping:
    """Where photos lie in a file that is mapped into memory: `rows[i]` is the place of photo i. See `photo_cache`.

    `brightness`: of what is read there, of three channels, so many are handed out of the brightness; 0: it is as it is.
    """

    file: FileIO
    rows: np.ndarray
    brightness: int = 0

    def read(self, square: np.ndarray, place: int) -> np.ndarray:
        """The square, filled from its place: from the system's cache, as the mapped memory, but sooner, and no pages of it count as
        this process's. Raises ValueError where the file ends before."""
        if (count := os.preadv(self.file.fileno(), [square], place * square.nbytes)) != square.nbytes:
            raise ValueError(f"{self.file.name} must hold {square.nbytes} bytes of photo {place}, got {count}: was it cut short?")
        return square


@dataclass(frozen=True, eq=False)
class Photos:
    """Decoded square photographs.

    `images`: uint8 (N, C, S, S), of 3 channels, or 1 of grey ones; `names`: N file names; `size`: side of the pictures handed out,
    at most S. What S has over `size` is room for random crops; it is S itself unless given. `mapping`: `images` are a file, of
    which these photos are some, in an order of their own.
    """

    images: Tensor
    names: tuple[str, ...]
    size: int = 0
    mapping: Mapping | None = None

    def __post_init__(self) -> None:
        shape = tuple(self.images.shape)
        if self.images.dtype != torch.uint8 or len(shape) != 4 or shape[1] not in (1, 3) or shape[2] != shape[3]:
            raise ValueError(f"images must be uint8 of shape (N, 3, S, S) or (N, 1, S, S), got {self.images.dtype} {shape}")
        count = shape[0] if self.mapping is None else len(self.mapping.rows)
        if len(self.names) != count:
            raise ValueError(f"names must have one name for each of the {count} images, got {len(self.names)}")
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "size", self.size or shape[-1])
        if not 0 < self.size <= shape[-1]:
            raise ValueError(f"size must be from 1 to the images' side {shape[-1]}, got {self.size}")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def channels(self) -> int:
        """Of the pictures handed out."""
        return (self.mapping is not None and self.mapping.brightness) or self.images.shape[1]

    def to(self, device: torch.device | str) -> Self:
        """The same photos with the images on `device`; those of a file stay there."""
        if self.mapping is not None:
            return self
        return replace(self, images=self.images.to(device))

    def subset(self, indices: Sequence[int]) -> Self:
        """The photos at `indices`, in that order."""
        if self.mapping is not None:
            names, rows = tuple(self.names[index] for index in indices), self.mapping.rows[np.asarray(indices, dtype=np.int64)]
            return replace(self, names=names, mapping=replace(self.mapping, rows=rows))
        chosen = torch.as_tensor(list(indices), dtype=torch.long, device=self.images.device)
        return replace(self, images=self.images[chosen], names=tuple(self.names[index] for index in indices))

    def pictures(self, indices: Sequence[int]) -> Tensor:
        """Centre crops of the photos at `indices` as floats (B, C, size, size) in [0, 1]."""
        places, margin = self.places(list(indices)), (self.images.shape[-1] - self.size) // 2
        inside = slice(margin, margin + self.size)
        if self.mapping is None:
            cut = self.images[torch.as_tensor(places, device=self.images.device), :, inside, inside]
        else:
            cut, square = self.images.new_empty(len(places), self.images.shape[1], self.size, self.size), self.squares()
            for picture, place in zip(cut, places.tolist()):
                picture.numpy()[...] = square(place)[:, inside, inside]
        return self.handed_out(cut).float() / 255.0

    def handed_out(self, cut: Tensor) -> Tensor:
        """Parts of some of the `images`, uint8 (B, ., H, W), with the channels of these photos."""
        brightness = 0 if self.mapping is None else self.mapping.brightness
        return _luma(cut).expand(-1, brightness, -1, -1) if brightness else cut

    def with_channels(self, count: int | None = None) -> Self:
        """The same photos with 3 channels, or with 1, of their `LUMA`; None: 1 if all of them are grey, else 3."""
        if count is None:
            count = 1 if all((image == image[:1]).all() for image in self._each()) else 3
        if count == self.channels:
            return self
        if self.mapping is not None:
            return replace(self, mapping=replace(self.mapping, brightness=count))
        if count == 1:
            return replace(self, images=torch.cat([_luma(image[None]) for image in self.images]))
        return replace(self, images=self.images.expand(-1, 3, -1, -1))

    def digest(self) -> str:
        """SHA-256 of all pixels, which tells photos of the same names apart."""
        found = hashlib.sha256()
        for image in self._each():
            found.update(image.contiguous().cpu().numpy())
        return found.hexdigest()

    def _each(self) -> Iterator[Tensor]:
        """One after another, uint8 (C, S, S); of those in a file few stay in memory."""
        if self.images.device.type != "cpu":
            yield from self.images
            return
        square = self.squares()
        for place in self.places(range(len(self))).tolist():
            yield self.handed_out(torch.from_numpy(square(place)).unsqueeze(0))[0]

    def squares(self) -> Callable[[int], np.ndarray]:
        """What gives one of `images`, which must not be on a GPU, by its place, (C, S, S). Those of a file share one memory: each
        is there until the next is asked for."""
        if self.mapping is None or not hasattr(os, "preadv"):
            return self.images.numpy().__getitem__
        return partial(self.mapping.read, np.empty(self.images.shape[1:], np.uint8))

    def places(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Where the photos at `indices` lie in `images`."""
        chosen = np.asarray(indices, dtype=np.int64)
        return chosen if self.mapping is None else self.mapping.rows[chosen]


def load_folder(
    folder: str | os.PathLike[str], size: int, minimum: int = 2, margin: bool = True, recursive: bool | None = False
) -> Photos:
    """Every image of `folder`, with `recursive` of its subfolders too (see `find_images`), decoded once, fitted to a square and
    kept as uint8.

    The square's side is `size`, or with `margin` 286/256 of it (as pix2pix), so that random crops have room. A file that cannot be
    read is skipped with a warning that names it. Raises ValueError where fewer than `minimum` images are usable.
    """
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    paths = find_images(folder, recursive)
    side = side_of(size, margin)
    images = torch.empty(len(paths), 3, side, side, dtype=torch.uint8)
    names, failures = [], []
    with at_most(), ThreadPoolExecutor() as pool:  # Pillow decodes outside the interpreter's lock
        loaded = pool.map(lambda path: load_square(path, side), paths)
        progress = tqdm(loaded, "photos", len(paths), delay=1.0, disable=None, leave=False)
        for path, image in zip(paths, progress):
            if isinstance(image, ValueError):
                failures.append(str(image))
                warnings.warn(f"skipped: {image}", stacklevel=2)
            else:
                images[len(names)] = image
                names.append(path.relative_to(folder).as_posix())
    if len(names) < minimum:
        raise ValueError(too_few(folder, len(names), minimum, failures))
    return Photos(images[: len(names)], tuple(names), size)


def hold_out(photos: Photos, count: int, seed: int) -> tuple[Photos, Photos]:
    """`photos` split into (the others, `count` held out), drawn with `seed`; both keep their order.

    Raises ValueError unless 0 <= count < len(photos).
    """
    if not 0 <= count < len(photos):
        raise ValueError(f"cannot hold out {count} of {len(photos)} photos: at least one must remain")
    order = seeded_generator(seed).permutation(len(photos))
    return photos.subset(sorted(order[count:].tolist())), photos.subset(sorted(order[:count].tolist()))


def seeded_generator(*key: int) -> np.random.Generator:
    """Random numbers that are a function of the key, a seed and what it is split by. Raises ValueError for negative ones."""
    if any(part < 0 for part in key):
        raise ValueError(f"seed must be an integer >= 0, got {key[0]}")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def _luma(images: Tensor) -> Tensor:
    """uint8 RGB (B, 3, H, W) -> (B, 1, H, W)."""
    total = sum(weight * channel.int() for weight, channel in zip(LUMA, images.unbind(1)))
    return ((total + 2**15) >> 16).byte().unsqueeze(1)


def side_of(size: int, margin: bool = True) -> int:
    """Of the squares that are kept of photos: with room for random crops, or without."""
    return math.ceil(size * LOAD_RATIO) if margin else size


def load_square(path: Path, side: int) -> Tensor | ValueError:
    try:
        # Decoded at no less than twice the size, so that the antialiasing is still Lanczos's.
        return fit(load_image(path, at_least=2 * side), side)
    except ValueError as error:
        return error


def too_few(folder: str | os.PathLike[str], usable: int, minimum: int, failures: list[str]) -> str:
    message = f"{folder} has {usable} usable image{'s' * (usable != 1)}, at least {minimum} are needed"
    if not failures:
        return message
    more = f"; and {len(failures) - 3} more" * (len(failures) > 3)
    return f"{message} ({len(failures)} could not be read: {'; '.join(failures[:3])}{more})"
