"""Hue-Net as a system that `huenet.training` trains: photos in, generator.safetensors out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..data import PairStream, Photos, hold_out
from ..data.images import sample_grid
from ..losses import LossParts
from ..training.distributed import ALONE, World
from ..training.parts import of_part
from .config import Config
from .gan import HueGAN
from .model import save_generator

GENERATOR = "generator.safetensors"
SAMPLES = 6


class ColorTransfer:
    """Hue-Net and the photos it learns from: a `huenet.training.protocol.System`.

    Raises ``ValueError`` for settings that cannot work with these photos or processes.
    """

    losses = (*LossParts._fields, "discriminator")
    result = GENERATOR

    def __init__(self, config: Config, photos: Photos, world: World = ALONE) -> None:
        if photos.size != config.model.size:
            raise ValueError(f"photos must have the model's size {config.model.size}, got {photos.size}")
        if photos.channels != 3:
            raise ValueError(f"photos must have 3 channels, got {photos.channels}")
        self.config, self.world, train = config, world, config.train
        trained_on, held_out = hold_out(photos, train.hold_out, train.seed)
        here = trained_on.to(world.device)
        self.stream = PairStream(here, train.batch_size, train.seed, train.flips, train.crop, world.rank, world.size, world.device)
        shown = held_out if len(held_out) > 1 else trained_on
        first = range(min(SAMPLES, len(shown)))  # as sources; the target of each is its successor
        self.samples = shown.pictures(first), shown.pictures([(index + 1) % len(shown) for index in first])
        self.data = {"trained_on": trained_on.names, "held_out": held_out.names, "pixels": photos.digest()}
        self._batch = of_part("data", self.stream.batch)
        self.gan = HueGAN(config, world)

    def step(self, step: int) -> dict[str, Tensor]:
        """Train on this process's share of the step's batch; returns its losses, scalars."""
        return self.gan.step(step, *self._batch(step))

    def sample(self) -> Image.Image:
        """The same few pairs, held out if possible, painted."""
        source, target = (images.to(self.world.device) for images in self.samples)
        with torch.no_grad():
            return sample_grid(source, target, self.gan.model()(source, target))

    def state(self) -> dict[str, Tensor]:
        """Everything a step changes, as named tensors."""
        return self.gan.networks.state()

    def load_state(self, path: Path, tensors: dict[str, Tensor]) -> None:
        """The inverse of `state`. Raises `CheckpointError` naming ``path`` if the tensors do not fit."""
        self.gan.networks.load_state(path, tensors)

    def export(self, path: Path, metadata: Mapping[str, Any]) -> None:
        """Write what `huenet transfer` and `huenet evaluate` take."""
        save_generator(path, self.gan.model(), metadata)
