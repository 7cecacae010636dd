"""Unpaired translation as a system that `huenet.training` trains: photos of A and of B in, translator.safetensors out.

from huenet.training.run import train
from huenet.translation.methods import configuration
from huenet.translation.system import Translation

# uint8 (N, S, S) or (N, C, S, S), or Photos
train(Translation(configuration("gan", "digits"), digits, colored_digits), "run")
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..data import Photos, PhotoStream, hold_out
from ..data.images import sample_grid
from ..losses.contextual import FeatureMaps
from ..training.distributed import ALONE, World
from ..training.parts import of_part
from .config import Config
from .gan import TranslationGAN
from .model import save_translator
from .networks import Generators, grey_as, reverse_of, source_of, to_networks, to_picture

TRANSLATOR = "translator.safetensors"
SAMPLES = 6
SIDES = ("a", "b")


class Translation:
    """Generators, discriminators and the two sets of photos they learn from: a `huenet.training.protocol.System`.

    ``photos_a``, ``photos_b``: `Photos` of the model's size, or uint8 arrays or tensors (N, S, S), (N, 1, S, S) or (N, 3, S, S) of
    at least that size. ``contextual_features``, ``harmonic_features``: as for `huenet.translation.terms.Terms`.

    Raises ``ValueError`` for settings that cannot work with these photos or processes, ``TypeError`` for photos that are neither.
    """

    result = TRANSLATOR

    def __init__(
        self,
        config: Config,
        photos_a: Photos | Tensor | np.ndarray,
        photos_b: Photos | Tensor | np.ndarray,
        world: World = ALONE,
        *,
        contextual_features: Callable[[Tensor], FeatureMaps] | None = None,
        harmonic_features: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.config, self.world, train = config, world, config.train
        given = {"a": config.model.channels_a, "b": config.model.channels_b}
        photos = {
            side: _as_photos(f"photos_{side}", some, config.model.size).with_channels(given[side])
            for side, some in zip(SIDES, (photos_a, photos_b))
        }
        channels = {side: some.channels for side, some in photos.items()}
        if config.loss.identity_weight and channels["a"] != channels["b"]:
            sides = f"A has {channels['a']} channel{'s' * (channels['a'] > 1)} and B {channels['b']}"
            raise ValueError(f"identity_weight must be 0 where {sides}, got {config.loss.identity_weight:g}")
        self.streams, self.samples, self.data = {}, {}, {}
        for number, (side, some) in enumerate(photos.items()):
            trained_on, held_out = hold_out(some, train.hold_out, train.seed)
            self.streams[side] = PhotoStream(
                trained_on.to(world.device),
                train.batch_size,
                (train.seed, number),
                train.flips,
                train.crop,
                world.rank,
                world.size,
                world.device,
            )
            shown = held_out if len(held_out) else trained_on
            self.samples[side] = shown.pictures(range(min(SAMPLES, len(shown))))
            self.data |= {
                f"trained_on_{side}": [f"{side}/{name}" for name in trained_on.names],
                f"held_out_{side}": [f"{side}/{name}" for name in held_out.names],
                f"pixels_{side}": some.digest(),
            }
        self._batches = of_part("data", lambda step: [stream.batch(step) for stream in self.streams.values()])
        model = dataclasses.replace(config.model, channels_a=channels["a"], channels_b=channels["b"])
        self.gan = TranslationGAN(config, model, world, contextual_features, harmonic_features)
        terms = [name.removesuffix("_weight") for name in config.loss.weights]
        self.losses = ("total", *terms, "discriminator")

    def step(self, step: int) -> dict[str, Tensor]:
        """Train on this process's share of the step's batches; returns its losses, scalars, 0 for terms that are not computed."""
        found = self.gan.step(step, *self._batches(step))
        zero = torch.zeros_like(found["total"])
        return {name: found.get(name, zero) for name in self.losses}

    def sample(self) -> Image.Image:
        """The same few images of each side that is translated, held out if possible: as they are, translated, and back."""
        model, rows = self.gan.model(), []
        with torch.no_grad():
            for direction in model.config.trained:
                images = to_networks(self.samples[source_of(direction)].to(self.world.device))
                rows += [images, output := model[direction](images)]
                if len(model.config.trained) == 2:
                    rows.append(model[reverse_of(direction)](output))
        columns = max(len(row) for row in rows)
        return sample_grid(*(_filled(to_picture(grey_as(row, 3)), columns) for row in rows))

    def state(self) -> dict[str, Tensor]:
        """Everything a step changes, as named tensors."""
        return self.gan.state()

    def load_state(self, path: Path, tensors: dict[str, Tensor]) -> None:
        """The inverse of `state`. Raises `CheckpointError` naming ``path`` if the tensors do not fit."""
        self.gan.load_state(path, tensors)

    def model(self) -> Generators:
        """The generators as they would translate now."""
        return self.gan.model()

    def export(self, path: Path, metadata: Mapping[str, Any]) -> None:
        """Write what `huenet translate apply` takes."""
        save_translator(path, self.gan.model(), metadata)


def _as_photos(name: str, photos: Photos | Tensor | np.ndarray, size: int) -> Photos:
    if not isinstance(photos, Photos):
        if not isinstance(photos, (Tensor, np.ndarray)):
            raise TypeError(f"{name} must be Photos, or a uint8 array or tensor, got {type(photos).__name__}")
        images = torch.as_tensor(photos)
        images = images.unsqueeze(1) if images.ndim == 3 else images
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3) or images.shape[2] != images.shape[3]:
            wanted = "uint8 of shape (N, S, S), (N, 1, S, S) or (N, 3, S, S)"
            raise ValueError(f"{name} must be {wanted}, got {images.dtype} {tuple(images.shape)}")
        if images.shape[-1] < size:
            raise ValueError(f"{name} must be at least {size} pixels a side, the model's size, got {images.shape[-1]}")
        photos = Photos(images, tuple(f"{number:06d}" for number in range(len(images))), size)
    if photos.size != size:
        raise ValueError(f"{name} must have the model's size {size}, got {photos.size}")
    return photos


def _filled(images: Tensor, count: int) -> Tensor:
    """With white ones, so that there are so many."""
    return torch.cat([images, images.new_ones(count - len(images), *images.shape[1:])])
