"""Endless seeded batches of one folder's photos, and how views of photos are cut out."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from .photos import Photos, seeded_generator


class PhotoStream:
    """Endless batches of photos, a function of the key and the step alone; as `PairStream` for one role.

    Epoch e is a permutation drawn with (key, e); batches cut the concatenation of all epochs. Streams that are to know nothing of
    each other, as of the two sides of an unpaired translation, need different keys: with one, equally many come in one order.

    Args:
        photos, batch_size, crop, rank, world_size: as for `PairStream`.
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
    ) -> None:
        if len(photos) < 1:
            raise ValueError("photos must not be empty")
        if batch_size < 1 or batch_size % world_size:
            raise ValueError(f"batch_size must be a positive multiple of world_size {world_size}, got {batch_size}")
        self.photos, self.key, self.flips, self.crop = photos, key, flips, crop
        self.share, self.batch_size, self.rank = batch_size // world_size, batch_size, rank
        # As in `PairStream`: a batch that memory has no room for is told of here.
        torch.empty(self.share, photos.images.shape[1], photos.size, photos.size, device=photos.images.device)
        self._plan = lru_cache(maxsize=2)(self._draw_epoch)
        seeded_generator(*key)

    def batch(self, step: int) -> Tensor:
        """This process's share of the photos of a step >= 0: floats (batch_size / world_size, C, size, size) in [0, 1]."""
        first = step * self.batch_size + self.rank * self.share
        places = (divmod(place, len(self.photos)) for place in range(first, first + self.share))
        return cut(self.photos, np.stack([self._plan(epoch)[slot] for epoch, slot in places]))

    def _draw_epoch(self, epoch: int) -> np.ndarray:
        """(slot, [photo, top, left, flip down, flip right])."""
        count, rng = len(self.photos), seeded_generator(*self.key, epoch)
        order = rng.permutation(count)
        room = self.photos.images.shape[-1] - self.photos.size
        corners = rng.integers(0, room + 1, (count, 2)) if self.crop else np.full((count, 2), room // 2)
        right = rng.integers(0, 2, (count, 1)) if self.flips else np.zeros((count, 1), int)
        return np.concatenate([order[:, None], corners, np.zeros_like(right), right], axis=-1)


def cut(photos: Photos, views: np.ndarray) -> Tensor:
    """Crops and flips, (B, [photo, top, left, flip down, flip right]) -> floats (B, C, size, size) in [0, 1].

    All pictures by one gather: rows and columns are counted from either end.
    """
    photo, top, left, down, right = torch.from_numpy(views).to(photos.images.device).unbind(-1)
    along = torch.arange(photos.size, device=photo.device)
    rows = top[:, None] + torch.where(down[:, None] == 1, photos.size - 1 - along, along)
    columns = left[:, None] + torch.where(right[:, None] == 1, photos.size - 1 - along, along)
    channels = torch.arange(photos.images.shape[1], device=photo.device)[:, None, None]
    found = photos.images[photo[:, None, None, None], channels, rows[:, None, :, None], columns[:, None, None, :]]
    return found.float() / 255.0
