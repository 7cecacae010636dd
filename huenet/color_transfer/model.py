"""Hue-Net as one callable, photos in, painted photo out; and its file.

    model = HueNet(ModelConfig())
    painted = model(source, target)                  # RGB (B, 3, H, W), any sizes
    hue = model.generator(source_hsv, target_hsv)    # in training, at the model's size

A large photo is painted by predicting at the size the model was trained for (see `heads`), and then in bands
(see `huenet.data.bands`):

    change = model.predict(source_seen, target_seen, mean_chroma)     # each reduced to `model.working_size`
    painted[..., rows, :] = model.paint(source[..., rows, :], change, rows, height)
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..color import hue_chroma_value, hue_presence, rgb_of, rgb_to_hsv, wrap_hue
from ..data.bands import bands, enlarged, mean_chroma, reduced
from ..networks import usual_defaults, within_size
from ..training import checkpoint
from ..training.checkpoint import CheckpointError
from .config import ModelConfig
from .generator import HueGenerator

SLACK = 2**20
"""Numbers that a network may have beside what its file holds of it: tables that are computed."""
LONGEST = 4
"""A photo's long side is at most this many times its short one where the generator looks at it."""


class Change(NamedTuple):
    """What is to be done to a source's hues, wherever in the picture."""

    fields: Tensor
    """(B, F, h, w), to be enlarged to the source's size."""
    curves: Tensor | None
    """As by `Head.curves`."""
    share: Tensor | None
    """(B, 1, 1, 1): how much of the way hues turn, where that is not all of it."""


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
        size, target_size = self.working_size(source.shape), self.target_size(target.shape)
        change = self.predict(reduced(source, size), reduced(target, target_size or size), mean_chroma(target))
        height = source.shape[-2]
        return torch.cat([self.paint(source[..., rows, :], change, rows, height) for rows in bands(source.shape)], dim=-2)

    def predict(self, source: Tensor, target: Tensor, chroma: Tensor) -> Change:
        """How to paint, from source and target at `working_size`, RGB (B, 3, h, w), and the target's mean chroma (B,)."""
        if len(source) != len(target):
            raise ValueError(f"source and target must be batches of one length, got {len(source)} and {len(target)}")
        fields, curves = self.generator.predict(rgb_to_hsv(source), rgb_to_hsv(target))
        share = hue_presence(chroma).view(-1, 1, 1, 1)
        return Change(fields, curves, None if (share == 1).all() else share)

    def paint(self, band: Tensor, change: Change, rows: slice, height: int) -> Tensor:
        """The rows of a source of that height, RGB (B, 3, rows, W) -> painted."""
        hue, chroma, value = hue_chroma_value(band)
        source, fields = hue.unsqueeze(1), enlarged(change.fields, rows, (height, band.shape[-1]))
        painted = self.generator.paint(source, fields, change.curves)
        if change.share is not None:
            # the shorter way around the circle
            way = wrap_hue(painted - source + 0.5) - 0.5
            painted = torch.where(change.share == 1, painted, wrap_hue(source + change.share * way))
        return rgb_of(painted.squeeze(1), chroma, value)

    def working_size(self, shape: Sequence[int]) -> tuple[int, int]:
        """A shape (..., H, W) with the model's size as its short side, where the generator looks at it."""
        height, width = shape[-2:]
        scale = self.config.size / min(height, width)
        longest = LONGEST * self.config.size
        return min(round(height * scale), longest), min(round(width * scale), longest)

    def target_size(self, shape: Sequence[int]) -> tuple[int, int] | None:
        """`working_size` of a target of this shape; None where it must be looked at in the source's."""
        return None if self.generator.condition is None else self.working_size(shape)


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
