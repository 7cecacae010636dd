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
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..color import color_weights, hue_chroma_value, hue_presence, rgb_of, rgb_to_hsv, wrap_hue
from ..data.bands import bands, enlarged, mean_chroma, reduced
from ..networks import usual_defaults, within_size
from ..training import checkpoint
from ..training.checkpoint import CheckpointError
from .config import ModelConfig
from .generator import HueGenerator
from .heads import Condition
from .restraint import restrained
from .tones import ToneCurves, check_also, count_tones, tone_curves

SLACK = 2**20
"""Numbers that a network may have beside what its file holds of it: tables that are computed."""
LONGEST = 4
"""A photo's long side is at most this many times its short one where the generator looks at it."""
CUTS = tuple(place / 32 for place in sorted(range(8, 25), key=lambda place: abs(place - 16)))
"""Where `Change.cut` may be, in turns, the usual one first: ways around the circle are at most three quarters of it long."""
TORN = 1 / 16
"""How near a cut, in turns, a turn is in danger of being torn from its neighbours'."""
DETOUR = 1 / 4
"""What it costs to move the cut by a turn, as a share of the picture's chroma that is torn."""


class Change(NamedTuple):
    """What is to be done to a source, wherever in the picture. All but the fields comes of whole pictures' statistics, and is one
    for all frames that must not flicker."""

    fields: Tensor
    """(B, F, h, w), to be enlarged to the source's size."""
    curves: Tensor | None
    """As by `Head.curves`."""
    condition: Condition | None
    """What fields and curves were predicted with."""
    share: Tensor | None
    """(B, 1, 1, 1): how much of their way hues turn, where that is not all of it: the strength, and less for a target with little
    hue, or where all of it would end farther from the target than it began (see `restraint`)."""
    cut: Tensor | None
    """(B, 1, 1, 1), where hues turn a share of their way only: by which turns, from `cut` - 1 to `cut`, they come to where they
    would go. At half a turn each goes the shorter way."""
    tones: ToneCurves | None
    """Of saturation and value, where these change too."""


class HueNet(nn.Module):
    """Paints photos: generator and colour space in one callable. `origin`: where its weights come from, for messages."""

    origin = "the model"

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__()
        self.config = ModelConfig() if config is None else config
        self.generator = HueGenerator(self.config)

    def forward(self, source: Tensor, target: Tensor, strength: float = 1.0, also: Collection[str] = ()) -> Tensor:
        """The source with its hues repainted like the target; saturation and value stay, but for those in `also`, which come near
        the target's (see `tones`).

        ``strength``, from 0 to 1: the share of its way that each hue turns, each saturation and value moves; with 0 the source is
        returned. A target without hue (`huenet.color.hue_presence`) has nothing to paint with: the source's hues stay, and turn a
        part of their way where it has little. RGB floats in [0, 1], (B, 3, H, W) and (B, 3, H', W') of any sizes -> (B, 3, H, W).
        Raises ``ValueError`` or ``TypeError`` for anything else.
        """
        check_strength(strength)
        check_also(also)
        if source.ndim != 4 or target.ndim != 4 or len(source) != len(target):
            shapes = f"{tuple(source.shape)} and {tuple(target.shape)}"
            raise ValueError(f"source and target must be (B, 3, H, W) with one B, got {shapes}")
        size, target_size = self.working_size(source.shape), self.target_size(target.shape)
        tones = tone_curves(count_tones(source), count_tones(target), also, strength) if also else None
        seen = reduced(source, size), reduced(target, target_size or size)
        change = self.predict(*seen, mean_chroma(target), strength, tones)
        height = source.shape[-2]
        return torch.cat([self.paint(source[..., rows, :], change, rows, height) for rows in bands(source.shape)], dim=-2)

    def predict(
        self,
        source: Tensor,
        target: Tensor,
        chroma: Tensor,
        strength: float = 1.0,
        tones: ToneCurves | None = None,
        like: Change | None = None,
    ) -> Change:
        """How to paint, from source and target at `working_size`, RGB (B, 3, h, w), and the target's mean chroma (B,).

        `like`: what another frame, painted with the same target and strength, was changed by. Then only the fields are this
        source's own.
        """
        if len(source) != len(target):
            raise ValueError(f"source and target must be batches of one length, got {len(source)} and {len(target)}")
        source = rgb_to_hsv(source)
        if like is not None:
            fields, _, _ = self.generator.predict(source, rgb_to_hsv(target), like.condition)
            return like._replace(fields=fields)
        target = rgb_to_hsv(target)
        fields, curves, condition = self.generator.predict(source, target)
        share = strength * hue_presence(chroma).view(-1, 1, 1, 1)
        hue = source[:, :1]
        turns = self.generator.paint(hue, fields, curves) - hue
        cut = _cut(turns, color_weights(source))
        if self.config.restraint:
            share = share * restrained(source, target, _ways(turns, cut))
        partly = bool((share != 1).any())
        return Change(fields, curves, condition, share if partly else None, cut if partly else None, tones)

    def paint(self, band: Tensor, change: Change, rows: slice, height: int) -> Tensor:
        """The rows of a source of that height, RGB (B, 3, rows, W) -> painted."""
        hue, chroma, value = hue_chroma_value(band)
        source, fields = hue.unsqueeze(1), enlarged(change.fields, rows, (height, band.shape[-1]))
        painted = self.generator.paint(source, fields, change.curves)
        if change.share is not None:
            way = _ways(painted - source, change.cut)
            painted = torch.where(change.share == 1, painted, wrap_hue(source + change.share * way))
        if change.tones is not None:
            return rgb_of(painted.squeeze(1), *change.tones(chroma, value))
        painted = rgb_of(painted.squeeze(1), chroma, value)
        # which is rounded on its way to a hue and back
        return painted if change.share is None else torch.where(change.share == 0, band.to(painted), painted)

    def working_size(self, shape: Sequence[int]) -> tuple[int, int]:
        """A shape (..., H, W) with the model's size as its short side, where the generator looks at it."""
        height, width = shape[-2:]
        scale = self.config.size / min(height, width)
        longest = LONGEST * self.config.size
        return min(round(height * scale), longest), min(round(width * scale), longest)

    def target_size(self, shape: Sequence[int]) -> tuple[int, int] | None:
        """`working_size` of a target of this shape; None where it must be looked at in the source's."""
        return None if self.generator.condition is None else self.working_size(shape)


def check_strength(strength: float) -> None:
    """Raises ``ValueError`` for anything but a number from 0 to 1."""
    if isinstance(strength, bool) or not isinstance(strength, (int, float)) or not 0 <= strength <= 1:
        raise ValueError(f"strength must be a number from 0 to 1, got {strength}")


def _ways(turns: Tensor, cut: Tensor) -> Tensor:
    """Turns as they go where the circle is cut, from `cut` - 1 to `cut`: the heads predict directions, and how many times around
    the circle one goes is known only here."""
    return cut - wrap_hue(cut - turns)


def _cut(turns: Tensor, weights: Tensor) -> Tensor:
    """The one of `CUTS` near which the fewest hues turn, (B, 1, 1, 1), of turns and weights (B, 1, H, W).

    Where a flower turns by half the circle, one pixel would go one way and its neighbour the other, and half way they would be
    opposite. They go the same way if all ways part elsewhere. Wherever a picture's turns leave no room, some are torn: half way
    around the circle there is no continuous way for all turns.
    """
    cuts = torch.tensor(CUTS, dtype=turns.dtype, device=turns.device).view(-1, 1, 1, 1, 1)
    torn = (1 - (wrap_hue(turns - cuts + 0.5) - 0.5).abs() / TORN).clamp_min(0)
    share = (torn * weights).sum((2, 3, 4)) / weights.sum((1, 2, 3)).clamp_min(torch.finfo(weights.dtype).tiny)
    # `min` takes the first of equal ones
    best = (share + DETOUR * (cuts.view(-1, 1) - 0.5).abs()).min(0).indices
    return cuts.flatten()[best].view(-1, 1, 1, 1)


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
        raise checkpoint.unknown_model(path, error) from error
    for name in ("trained_on", "held_out"):
        if not _are_names(metadata.get(name, [])):
            raise CheckpointError(f"{path} has damaged metadata: {name} is no list of different names")
    checkpoint.load_module(path, model.generator, tensors)
    model.origin = str(path)
    return model.eval(), metadata


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value) and len({*value}) == len(value)
