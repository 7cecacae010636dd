"""Folders of photographs as uint8 tensors, and endless seeded pairs of a source and a target.

photos = load_folder("flowers/", size=256)
train, held_out = hold_out(photos, count=30, seed=0)
stream = PairStream(train.to("cuda"), batch_size=32, seed=0)
source, target = stream.batch(step)    # a function of the seed and the step: nothing to save for a resume
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from tqdm import tqdm

SUFFIXES = frozenset([".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".avif", ".ppm", ".pgm", ".pbm", ".pnm"])
# pix2pix loads at 286 and crops 256 out of it; the same proportion at every size.
LOAD_RATIO = 286 / 256


def find_images(folder: str | os.PathLike[str]) -> list[Path]:
    """Entries of `folder` with an image's suffix in either case, sorted by name so that seeds mean something.

    Subfolders are not searched, hidden names are left out. Raises ValueError where `folder` is no readable
    folder.
    """
    try:
        entries = sorted(Path(folder).iterdir(), key=lambda entry: entry.name)
    except OSError as error:
        raise ValueError(f"{folder} is not a folder of images: {error.strerror}") from error
    return [entry for entry in entries if entry.suffix.lower() in SUFFIXES and not entry.name.startswith(".")]


def load_image(path: str | os.PathLike[str], at_least: int | None = None) -> Tensor:
    """The image in a file as uint8 RGB (3, H, W), upright (EXIF), of any mode that Pillow decodes.

    Transparency is composited on white; 16-bit values keep their upper byte, rounded; of an animation the
    first frame is taken. `at_least` lets a JPEG be decoded at a half, quarter or eighth of its size (much
    faster) as long as both sides keep that many pixels. Raises ValueError, naming the file and the reason,
    where it cannot be read.
    """
    try:
        with Image.open(path) as image:
            if at_least is not None:
                image.draft(None, (at_least, at_least))
            return image_to_tensor(image)
    except Exception as error:  # Pillow's plugins raise nearly anything on a damaged file
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ValueError(f"cannot read the image {path}: {reason}") from error


def image_to_tensor(image: Image.Image) -> Tensor:
    """A PIL image as uint8 RGB (3, H, W), converted as by `load_image`. Raises whatever Pillow does on a
    damaged one."""
    return _to_tensor(_to_rgb(ImageOps.exif_transpose(image)))


def fit(image: Tensor, size: int) -> Tensor:
    """The centre square of a uint8 image (3, H, W), resized (Lanczos, antialiased) to (3, size, size)."""
    picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
    return _to_tensor(ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS))


@dataclass(frozen=True, eq=False)
class Photos:
    """Decoded square photographs.

    `images`: uint8 (N, 3, S, S); `names`: N file names; `size`: side of the pictures handed out, at most S.
    What S has over `size` is room for random crops; it is S itself unless given.
    """

    images: Tensor
    names: tuple[str, ...]
    size: int = 0

    def __post_init__(self) -> None:
        shape = tuple(self.images.shape)
        if self.images.dtype != torch.uint8 or len(shape) != 4 or shape[1] != 3 or shape[2] != shape[3]:
            raise ValueError(f"images must be uint8 of shape (N, 3, S, S), got {self.images.dtype} {shape}")
        if len(self.names) != shape[0]:
            raise ValueError(f"names must have one name for each of the {shape[0]} images, got {len(self.names)}")
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "size", self.size or shape[-1])
        if not 0 < self.size <= shape[-1]:
            raise ValueError(f"size must be from 1 to the images' side {shape[-1]}, got {self.size}")

    def __len__(self) -> int:
        return len(self.names)

    def to(self, device: torch.device | str) -> Photos:
        """The same photos with the images on `device`."""
        return replace(self, images=self.images.to(device))

    def subset(self, indices: Sequence[int]) -> Photos:
        """The photos at `indices`, in that order."""
        chosen = torch.as_tensor(list(indices), dtype=torch.long, device=self.images.device)
        return replace(self, images=self.images[chosen], names=tuple(self.names[index] for index in indices))

    def pictures(self, indices: Sequence[int]) -> Tensor:
        """Centre crops of the photos at `indices` as float RGB (B, 3, size, size) in [0, 1]."""
        chosen = torch.as_tensor(list(indices), dtype=torch.long, device=self.images.device)
        margin = (self.images.shape[-1] - self.size) // 2
        inside = slice(margin, margin + self.size)
        return self.images[chosen, :, inside, inside].float() / 255.0


def load_folder(folder: str | os.PathLike[str], size: int, minimum: int = 2, margin: bool = True) -> Photos:
    """Every image of `folder` (see `find_images`) decoded once, fitted to a square and kept as uint8.

    The square's side is `size`, or with `margin` 286/256 of it (as pix2pix), so that random crops have room.
    A file that cannot be read is skipped with a warning that names it. Raises ValueError where fewer than
    `minimum` images are usable.
    """
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    paths = find_images(folder)
    side = math.ceil(size * LOAD_RATIO) if margin else size
    images = torch.empty(len(paths), 3, side, side, dtype=torch.uint8)
    names, failures = [], []
    with ThreadPoolExecutor() as pool:  # Pillow decodes outside the interpreter's lock
        loaded = pool.map(lambda path: _load_square(path, side), paths)
        progress = tqdm(loaded, "photos", len(paths), delay=1.0, disable=None, leave=False)
        for path, image in zip(paths, progress):
            if isinstance(image, ValueError):
                failures.append(str(image))
                warnings.warn(f"skipped: {image}", stacklevel=2)
            else:
                images[len(names)] = image
                names.append(path.name)
    if len(names) < minimum:
        raise ValueError(_too_few(folder, len(names), minimum, failures))
    return Photos(images[: len(names)], tuple(names), size)


def hold_out(photos: Photos, count: int, seed: int) -> tuple[Photos, Photos]:
    """`photos` split into (the others, `count` held out), drawn with `seed`; both keep their order.

    Raises ValueError unless 0 <= count < len(photos).
    """
    if not 0 <= count < len(photos):
        raise ValueError(f"cannot hold out {count} of {len(photos)} photos: at least one must remain")
    order = _generator(seed).permutation(len(photos))
    return photos.subset(sorted(order[count:].tolist())), photos.subset(sorted(order[:count].tolist()))


class PairStream:
    """Endless batches of (source, target), a function of the seed and the step alone.

    Epoch e is a permutation of the photos as sources and one as targets, drawn with (seed, e). Batches cut
    the concatenation of all epochs, so a set smaller than a batch works and nothing is dropped. Where there
    are two photos or more, none is paired with itself, and every other pair is equally likely. Flips and
    crops are drawn with (seed, e) for every photo and role, so they do not depend on the batch size or on the
    number of processes.

    Args:
        photos: the photos, on the device where the batches are wanted.
        batch_size: pairs in a batch, all processes together.
        seed: any integer >= 0.
        flips: flip upside down and left to right, each with probability 1/2.
        crop: crop at a random place rather than at the centre.
        rank, world_size: this process and their number. It gets its equal share of every batch; the shares in
            the order of ranks are the batch that a single process gets.
    """

    def __init__(
        self,
        photos: Photos,
        batch_size: int,
        seed: int,
        flips: bool = True,
        crop: bool = True,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if len(photos) < 1:
            raise ValueError("photos must not be empty")
        if batch_size < 1 or batch_size % world_size:
            raise ValueError(f"batch_size must be a positive multiple of world_size {world_size}, got {batch_size}")
        if not 0 <= rank < world_size:
            raise ValueError(f"rank must be from 0 to {world_size - 1}, got {rank}")
        self.photos, self.batch_size, self.seed = photos, batch_size, seed
        self.flips, self.crop = flips, crop
        self.rank, self.world_size = rank, world_size
        self._plan = lru_cache(maxsize=2)(self._draw_epoch)  # a batch may straddle two epochs
        _generator(seed)  # refuse a bad seed here, not at the first batch

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Source and target of a step >= 0: float RGB (batch_size / world_size, 3, size, size) in [0, 1]."""
        if step < 0:
            raise ValueError(f"step must be >= 0, got {step}")
        share = self.batch_size // self.world_size
        first = step * self.batch_size + self.rank * share
        places = (divmod(place, len(self.photos)) for place in range(first, first + share))
        source, target = np.stack([self._plan(epoch)[:, slot] for epoch, slot in places], axis=1)
        return self._cut(source), self._cut(target)

    def _draw_epoch(self, epoch: int) -> np.ndarray:
        """(role, slot, [photo, top, left, flip down, flip right])."""
        count, rng = len(self.photos), _generator(self.seed, epoch)
        sources = rng.permutation(count)
        # Rolled by a random non-zero shift, the permutation meets none of its own photos.
        targets = np.roll(sources, rng.integers(1, count) if count > 1 else 0)
        room = self.photos.images.shape[-1] - self.photos.size
        corners = rng.integers(0, room + 1, (2, count, 2))
        flips = rng.integers(0, 2, (2, count, 2))
        if not self.crop:
            corners[:] = room // 2
        if not self.flips:
            flips[:] = 0
        order = np.stack([sources, targets])[..., None]
        views = np.concatenate([corners, flips], axis=-1)  # by photo; below by slot
        return np.concatenate([order, np.take_along_axis(views, order, axis=1)], axis=-1)

    def _cut(self, views: np.ndarray) -> Tensor:
        """Crops and flips of all pictures by one gather: rows and columns counted from either end."""
        photo, top, left, down, right = torch.from_numpy(views).to(self.photos.images.device).unbind(-1)
        size = self.photos.size
        along = torch.arange(size, device=photo.device)
        rows = top[:, None] + torch.where(down[:, None] == 1, size - 1 - along, along)
        columns = left[:, None] + torch.where(right[:, None] == 1, size - 1 - along, along)
        channels = torch.arange(3, device=photo.device)[:, None, None]
        cut = self.photos.images[photo[:, None, None, None], channels, rows[:, None, :, None], columns[:, None, None, :]]
        return cut.float() / 255.0


def _generator(*key: int) -> np.random.Generator:
    if any(part < 0 for part in key):
        raise ValueError(f"seed must be an integer >= 0, got {key[0]}")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_deep_grey_to_bytes(image)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _deep_grey_to_bytes(image: Image.Image) -> np.ndarray:
    """uint8 of a 16-bit grey image, of a 32-bit one that keeps to 16 bits, or of floats in [0, 1]."""
    values = np.asarray(image).astype(np.float64)
    top = 1.0 if image.mode == "F" else 65535.0
    if not (values.min() >= 0.0 and values.max() <= top):
        raise ValueError(f"mode {image.mode} needs values from 0 to {top:g}, found {values.min():g} to {values.max():g}")
    return np.rint(values * (255.0 / top)).astype(np.uint8)


def _to_tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def _load_square(path: Path, side: int) -> Tensor | ValueError:
    try:
        # Decoded at no less than twice the size, so that the antialiasing is still Lanczos's.
        return fit(load_image(path, at_least=2 * side), side)
    except ValueError as error:
        return error


def _too_few(folder: str | os.PathLike[str], usable: int, minimum: int, failures: list[str]) -> str:
    message = f"{folder} has {usable} usable image{'s' * (usable != 1)}, at least {minimum} are needed"
    if not failures:
        return message
    more = f"; and {len(failures) - 3} more" * (len(failures) > 3)
    return f"{message} ({len(failures)} could not be read: {'; '.join(failures[:3])}{more})"
