"""Endless seeded batches of one folder's photos, and how views of photos are cut out."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ..kernels.common.devices import sent
from .photos import Photos, seeded_generator


class PhotoStream:
    """Endless batches of photos, a function of the key and the step alone; as `PairStream` for one role.

    Epoch e is a permutation drawn with (key, e); batches cut the concatenation of all epochs. Streams that are to know nothing of
    each other, as of the two sides of an unpaired translation, need different keys: with one, equally many come in one order.

    Args:
        photos, batch_size, crop, rank, world_size, device: as for `PairStream`.
        key: integers >= 0, such as the run's seed and a number of the stream.
        flips: flip left to right with probability 1/2.
    """

    def __init__(
        self,
        photos: Photos,
        batch_size: int,
        key: tuple[int, ...],
        flips: bool = True,
        crop: bool = True,
        rank: int = 0,
        world_size: int = 1,
        device: torch.device | None = None,
    ) -> None:
        if len(photos) < 1:
            raise ValueError("photos must not be empty")
        if batch_size < 1 or batch_size % world_size:
            raise ValueError(f"batch_size must be a positive multiple of world_size {world_size}, got {batch_size}")
        self.photos, self.key, self.flips, self.crop = photos, key, flips, crop
        self.share, self.batch_size, self.rank = batch_size // world_size, batch_size, rank
        # As in `PairStream`: a batch that memory has no room for is told of here.
        torch.empty(self.share, photos.channels, photos.size, photos.size, device=photos.images.device)
        self._cut = Cutter(photos, device)
        self._plan = lru_cache(maxsize=2)(self._draw_epoch)
        seeded_generator(*key)

    def batch(self, step: int) -> Tensor:
        """This process's share of the photos of a step >= 0: floats (batch_size / world_size, C, size, size) in [0, 1]."""
        first = step * self.batch_size + self.rank * self.share
        places = (divmod(place, len(self.photos)) for place in range(first, first + self.share))
        return self._cut(np.stack([self._plan(epoch)[slot] for epoch, slot in places]))

    def _draw_epoch(self, epoch: int) -> np.ndarray:
        """(slot, [photo, top, left, flip down, flip right])."""
        count, rng = len(self.photos), seeded_generator(*self.key, epoch)
        order = rng.permutation(count)
        room = self.photos.images.shape[-1] - self.photos.size
        corners = rng.integers(0, room + 1, (count, 2)) if self.crop else np.full((count, 2), room // 2)
        right = rng.integers(0, 2, (count, 1)) if self.flips else np.zeros((count, 1), int)
        return np.concatenate([order[:, None], corners, np.zeros_like(right), right], axis=-1)


class Cutter:
    """Cuts views out of photos, where they are: pictures lie apart in memory, and a GPU waits for no loop over them.

    ``device``: where views are wanted; None: where the photos are.
    """

    def __init__(self, photos: Photos, device: torch.device | None = None) -> None:
        self.photos, images = photos, photos.images
        self.device = images.device if device is None else device
        self._square = photos.squares() if images.device.type == "cpu" else None

    def __call__(self, views: np.ndarray) -> Tensor:
        """Crops and flips, (B, [photo, top, left, flip down, flip right]) -> floats (B, C, size, size) in [0, 1]."""
        photos = self.photos
        views = np.concatenate([photos.places(views[:, :1]), views[:, 1:]], axis=1)
        if self._square is None:
            found = _gathered(photos.images, views, photos.size)
        else:
            found = photos.handed_out(_sliced(self._square, views, (len(views), photos.images.shape[1], photos.size, photos.size)))
        return (found if found.device == self.device else sent(found, self.device)).float() / 255.0


def _gathered(images: Tensor, views: np.ndarray, size: int) -> Tensor:
    """By one gather: rows and columns are counted from either end."""
    photo, top, left, down, right = sent(torch.from_numpy(views), images.device).unbind(-1)
    along = torch.arange(size, device=photo.device)
    rows = top[:, None] + torch.where(down[:, None] == 1, size - 1 - along, along)
    columns = left[:, None] + torch.where(right[:, None] == 1, size - 1 - along, along)
    channels = torch.arange(images.shape[1], device=photo.device)[:, None, None]
    return images[photo[:, None, None, None], channels, rows[:, None, :, None], columns[:, None, None, :]]


def _sliced(square: Callable[[int], np.ndarray], views: np.ndarray, shape: tuple[int, ...]) -> Tensor:
    """Picture by picture, row by row: several times sooner on a CPU."""
    found, size = np.empty(shape, np.uint8), shape[-1]
    for place, (photo, top, left, down, right) in zip(found, views.tolist()):
        picture = square(photo)[:, top : top + size, left : left + size]
        place[...] = picture[:, :: -1 if down else 1, :: -1 if right else 1]
    return torch.from_numpy(found)
