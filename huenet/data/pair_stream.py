"""Endless seeded pairs of a source and a target."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from .photo_stream import Cutter
from .photos import Photos, seeded_generator


class PairStream:
    """Endless batches of (source, target), a function of the seed and the step alone.

    Epoch e is a permutation of the photos as sources and one as targets, drawn with (seed, e). Batches cut the concatenation of all
    epochs, so a set smaller than a batch works and nothing is dropped. Where there are two photos or more, none is paired with
    itself, and every other pair is equally likely. Flips and crops are drawn with (seed, e) for every photo and role, so they do
    not depend on the batch size or on the number of processes.

    Args:
        photos: the photos, on the device where the batches are wanted, or in a file.
        batch_size: pairs in a batch, all processes together.
        seed: any integer >= 0.
        flips: flip upside down and left to right, each with probability 1/2.
        crop: crop at a random place rather than at the centre.
        rank, world_size: this process and their number. It gets its equal share of every batch; the shares in
            the order of ranks are the batch that a single process gets.
        device: where the batches are wanted; None: where the photos are.
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
        device: torch.device | None = None,
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
        # A batch that memory has no room for is told of here: drawing it picture by picture would take hours.
        torch.empty(2, batch_size // world_size, photos.channels, photos.size, photos.size, device=photos.images.device)
        self._cut = Cutter(photos, device)
        self._plan = lru_cache(maxsize=2)(self._draw_epoch)  # a batch may straddle two epochs
        seeded_generator(seed)  # refuse a bad seed here, not at the first batch

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Source and target of a step >= 0: floats (batch_size / world_size, C, size, size) in [0, 1]."""
        if step < 0:
            raise ValueError(f"step must be >= 0, got {step}")
        share = self.batch_size // self.world_size
        first = step * self.batch_size + self.rank * share
        places = (divmod(place, len(self.photos)) for place in range(first, first + share))
        source, target = np.stack([self._plan(epoch)[:, slot] for epoch, slot in places], axis=1)
        return self._cut(source), self._cut(target)

    def _draw_epoch(self, epoch: int) -> np.ndarray:
        """(role, slot, [photo, top, left, flip down, flip right])."""
        count, rng = len(self.photos), seeded_generator(self.seed, epoch)
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
