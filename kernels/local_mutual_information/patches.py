"""Where the patches of images of any number of dimensions lie, and which of an image's numbers are theirs."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Patches:
    """Patches of `size` pixels, `stride` apart, along each dimension; what is left over at the ends is dropped."""

    size: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def spec(self) -> str:
        """As a string, the form in which they pass through registered operators."""
        return "/".join(",".join(map(str, lengths)) for lengths in (self.size, self.stride))

    @staticmethod
    @functools.lru_cache(maxsize=256)
    def from_spec(spec: str) -> Patches:
        return Patches(*(tuple(map(int, lengths.split(","))) for lengths in spec.split("/")))

    @property
    def pixels(self) -> int:
        """Of one patch."""
        return math.prod(self.size)

    def grid(self, shape: Sequence[int]) -> tuple[int, ...]:
        """How many patches there are along each dimension of an image."""
        return tuple((length - size) // stride + 1 for length, size, stride in zip(shape, self.size, self.stride))

    def unfolded(self, x: Tensor) -> Tensor:
        """Images (B, *shape) as patches (B, *grid, pixels), those that overlap repeated."""
        for dim, (size, stride) in enumerate(zip(self.size, self.stride), start=1):
            x = x.unfold(dim, size, stride)
        return x.flatten(-len(self.size))

    def places(self, x: Tensor, at_once: int) -> Iterator[tuple[slice, Tensor]]:
        """The patches of images (B, *shape), so many at a time: which of all patches, image by image in the order of the grid, and
        where in the flattened images their pixels are, (patches, pixels)."""
        shape = x.shape[1:]
        grid = self.grid(shape)
        steps = [math.prod(shape[dim + 1 :]) for dim in range(len(shape))]  # from one pixel to the next
        pixels = torch.zeros((), dtype=torch.int64, device=x.device)
        for size, step in zip(self.size, steps):
            pixels = pixels.unsqueeze(-1) + step * torch.arange(size, device=x.device)
        count = len(x) * math.prod(grid)
        for first in range(0, count, at_once):
            last = min(first + at_once, count)
            rest, start = torch.arange(first, last, device=x.device), 0
            for number, stride, step in zip(reversed(grid), reversed(self.stride), reversed(steps)):
                start = start + rest % number * (stride * step)
                rest = rest // number
            start = start + rest * math.prod(shape)
            yield slice(first, last), start.unsqueeze(-1) + pixels.flatten()
