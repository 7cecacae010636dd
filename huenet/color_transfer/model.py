"""Hue-Net as one callable, photos in, painted photo out; and its file.

    model = HueNet(ModelConfig())
    painted = model(source, target)                  # RGB (B, 3, H, W), any sizes
    hue = model.generator(source_hsv, target_hsv)    # in training, at the model's size

A large photo is painted by predicting at the size the model was trained for (see `heads`).
"""

import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..color import hsv_to_rgb, hue_presence, mean_chroma, rgb_to_hsv, wrap_hue
from ..networks import usual_defaults, within_size
from ..training import checkpoint
from ..training.checkpoint import CheckpointError
from .config import ModelConfig
from .generator import HueGenerator

SLACK = 2**20
"""Numbers that a network may have beside what its file holds of it: tables that are computed."""
LONGEST = 4
"""A photo's long side is at most this many times its short one where the generator looks at it."""


class HueNet(nn.Module):
    """Paints photos: generator and colour space in one callable. `origin`: where its weights come from, for messages."""

    origin = "the model"

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__()
        self.config = ModelConfig() if config is None else config
        self.generator = HueGenerator(self.config)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """The source with its hues repainted like the target; saturation and value stay.

        A target without hue (`huenet.color.hue_presence`) has nothing to paint with: the source's hues stay, and turn a part of
        their way where it has little. RGB floats in [0, 1], (B, 3, H, W) and (B, 3, H', W') of any sizes -> (B, 3, H, W). Raises
        ``ValueError`` or ``TypeError`` for anything else.
        """
        if source.ndim != 4 or target.ndim != 4 or len(source) != len(target):
            shapes = f"{tuple(source.shape)} and {tuple(target.shape)}"
            raise ValueError(f"source and target must be (B, 3, H, W) with one B, got {shapes}")
        source_hsv = rgb_to_hsv(source)
        size = self._working_size(source)
        target_size = size if self.generator.condition is None else self._working_size(target)
        fields, condition = self.generator.predict(rgb_to_hsv(_resize(source, size)), rgb_to_hsv(_resize(target, target_size)))
        fields = F.interpolate(fields, tuple(source.shape[-2:]), mode="bilinear")
        hue = self.generator.paint(source_hsv[:, :1], fields, condition)
        hue = _as_far_as_there_is_hue(source_hsv[:, :1], hue, hue_presence(mean_chroma(target)))
        return hsv_to_rgb(torch.cat([hue, source_hsv[:, 1:]], dim=1))

    def _working_size(self, image: Tensor) -> tuple[int, int]:
        """The image's shape with the model's size as its short side."""
        height, width = image.shape[-2:]
        scale = self.config.size / min(height, width)
        longest = LONGEST * self.config.size
        return min(round(height * scale), longest), min(round(width * scale), longest)


def save_generator(path: str | os.PathLike[str], model: HueNet, metadata: Mapping[str, Any] | None = None) -> None:
    """Write what `load_generator` takes: the model's weights, its configuration, and any JSON-able ``metadata``."""
    checkpoint.write(path, "generator", model.generator.state_dict(), {"model": vars(model.config), **(metadata or {})})


def load_generator(path: str | os.PathLike[str]) -> tuple[HueNet, dict[str, Any]]:
    """A model ready to paint, on the CPU and in eval mode, and the file's metadata.

    Raises ``CheckpointError`` if the file is no generator checkpoint, is damaged, or its weights are not finite or do not fit
    the network its configuration describes; ``OSError`` if it cannot be opened.
    """
    tensors, metadata = checkpoint.read(path, "generator")
    try:
        config = ModelConfig(**metadata["model"])
        stored = sum(tensor.numel() for tensor in tensors.values())
        with usual_defaults(), within_size(2 * stored + SLACK):
            model = HueNet(config)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} describes no model this version knows: {_first_line(error)}") from error
    for name in ("trained_on", "held_out"):
        if not _are_names(metadata.get(name, [])):
            raise CheckpointError(f"{path} has damaged metadata: {name} is no list of different names")
    checkpoint.load_module(path, model.generator, tensors)
    model.origin = str(path)
    return model.eval(), metadata


def _first_line(error: Exception) -> str:
    return f"{error!r}" if isinstance(error, KeyError) else str(error).split("\n")[0]


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value) and len({*value}) == len(value)


def _as_far_as_there_is_hue(source: Tensor, painted: Tensor, presence: Tensor) -> Tensor:
    """Hues (B, 1, H, W) on the way, the shorter one around the circle, from the source's to the painted, by the share (B,)."""
    share = presence.view(-1, 1, 1, 1)
    way = wrap_hue(painted - source + 0.5) - 0.5
    return torch.where(share == 1, painted, wrap_hue(source + share * way))


def _resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    if size == tuple(image.shape[-2:]):
        return image
    return F.interpolate(image, size, mode="bilinear", antialias=True).clamp(0, 1)
