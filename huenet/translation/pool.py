"""A pool of earlier translations for a discriminator to judge (Shrivastava et al. 2017, as CycleGAN has it)."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..training.checkpoint import CheckpointError


class ImagePool:
    """Keeps up to `size` images (C, S, S). Every process has the same pool, of the joint batch's images."""

    def __init__(self, size: int, shape: tuple[int, int, int], dtype: torch.dtype, device: torch.device) -> None:
        self.images = torch.zeros(size, *shape, dtype=dtype, device=device)
        self.count = 0

    def exchange(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """What to judge in place of a batch (B, C, S, S): one by one, an image is kept and judged while there is room; then with
        probability 1/2 it takes the place of one that was kept, which is judged instead."""
        shown = []
        for image, place in zip(images.detach(), rng.integers(0, 2 * len(self.images), len(images))):
            if self.count < len(self.images):
                self.images[self.count] = image
                self.count += 1
            elif place < len(self.images):
                kept = self.images[place].clone()
                self.images[place] = image
                image = kept
            shown.append(image)
        return torch.stack(shown)

    def state(self) -> dict[str, Tensor]:
        return {"images": self.images, "count": torch.tensor(self.count)}

    def load_state(self, path: Path, tensors: dict[str, Tensor]) -> None:
        """The inverse of `state`. Raises `CheckpointError` naming ``path`` if the tensors do not fit."""
        images, count = tensors.get("images"), tensors.get("count")
        if images is None or count is None or (images.shape, images.dtype) != (self.images.shape, self.images.dtype):
            raise CheckpointError(f"{path} lacks the pool of earlier translations")
        if count.shape != () or count.dtype != torch.int64 or not 0 <= int(count) <= len(images):
            raise CheckpointError(f"{path} has a damaged pool: it counts {count.tolist()!r:.40} of {len(images)} images")
        self.images.copy_(images)
        self.count = int(count)
