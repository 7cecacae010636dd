"""A Hue-Net that is built in no time, and pictures for it."""

from __future__ import annotations

import torch

from huenet.color_transfer.config import ModelConfig
from huenet.color_transfer.heads import HEADS

# Random weights turn hues anywhere, and tests of how they are turned want to see it: nothing is held back (test_restraint.py).
SMALL = ModelConfig(size=32, width=4, discriminator_width=4, condition_bins=8, condition_width=8, knots=5, restraint=False)


VARIANTS = [
    dict(head=head, hue_input=hue_input, conditioning=conditioning)
    for head in HEADS
    for hue_input in ("value", "vector")
    for conditioning in ("image", "histogram")
    if (head, conditioning) != ("palette", "image")
]


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))
