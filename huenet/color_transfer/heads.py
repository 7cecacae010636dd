"""Heads: they turn the U-Net's raw output into the output's hue, in two stages.

`Head.fields` gives maps that may be interpolated, `Head.forward` combines them with the source's hue. So a large photo is painted
by predicting the fields at the size the model was trained for, enlarging them, and applying them to every pixel of the large photo.
What depends on neither, `Head.curves` makes once.

A new head is a subclass of `Head` in `HEADS` and a name in `ModelConfig.head`.
"""

import math
from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..color import SHORTEST, turns_of, unit_vector, wrap_hue
from .config import ModelConfig


class Condition(NamedTuple):
    """What there is to paint with: both hue histograms as the generator reads them."""

    embedding: Tensor
    """(B, condition_width), of the target's and the source's histogram."""
    histogram: Tensor
    """(B, condition_bins), the target's hue histogram, of sum 1; all zero if it has no colour."""


class Head(nn.Module, ABC):
    """From the U-Net's raw output to the output's hue; built from a `ModelConfig`."""

    channels: int
    """Channels wanted of the U-Net."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()

    @abstractmethod
    def fields(self, raw: Tensor) -> Tensor:
        """raw (B, channels, H, W) -> maps (B, F, H, W) that may be interpolated."""

    def curves(self, condition: Condition | None) -> Tensor | None:
        """What `forward` needs of the condition, the same for all pixels."""
        return None

    @abstractmethod
    def forward(self, fields: Tensor, source_hue: Tensor, curves: Tensor | None) -> Tensor:
        """fields (B, F, H, W), source hue (B, 1, H, W), curves -> hue in [0, 1), (B, 1, H, W)."""


class AbsoluteHead(Head):
    """The hue itself, as in the paper; the sigmoid that keeps it in its range is our choice."""

    channels = 1

    def fields(self, raw: Tensor) -> Tensor:
        return unit_vector(torch.sigmoid(raw))

    def forward(self, fields: Tensor, source_hue: Tensor, curves: Tensor | None) -> Tensor:
        return wrap_hue(turns_of(fields))


class RotationHead(Head):
    """The source's hue turned by a predicted angle, the direction of a two-channel vector: smooth all around the circle."""

    channels = 2

    def fields(self, raw: Tensor) -> Tensor:
        return raw * raw.square().sum(1, keepdim=True).clamp_min(SHORTEST**2).rsqrt()

    def forward(self, fields: Tensor, source_hue: Tensor, curves: Tensor | None) -> Tensor:
        return wrap_hue(source_hue + turns_of(fields))


class PaletteHead(Head):
    """The source's hue turned by an angle that depends on the hue: a few curves, predicted from both histograms, which the
    U-Net's masks mix in each pixel.

    A curve has a rotation for each of ``knots`` hues around the circle. Each attends over the bins of the target's histogram,
    with the logarithm of the histogram and the nearness of the hues added to the scores, so it turns its hue to hues which the
    target has. A pixel without a better idea goes to a near and frequent one.
    """

    KEY_WIDTH = 16
    HIDDEN = 256
    FLOOR = 0.02  # of a flat histogram's height, for bins the target lacks: they stay possible, and the logarithm finite

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.channels, bins = config.curves, config.condition_bins
        self.query = self._network(config.condition_width, (config.curves, config.knots, self.KEY_WIDTH))
        self.key = self._network(config.condition_width, (bins, self.KEY_WIDTH))
        self.query_bias = nn.Parameter(0.3 * torch.randn(config.curves, config.knots, self.KEY_WIDTH))
        self.key_bias = nn.Parameter(0.3 * torch.randn(bins, self.KEY_WIDTH))
        self.nearness = nn.Parameter(torch.tensor(2.0))
        turns = (torch.arange(bins) + 0.5) / bins - torch.arange(config.knots)[:, None] / config.knots
        self.register_buffer("rotations", unit_vector(turns[None, None])[0], persistent=False)  # (2, knots, bins)

    def _network(self, inputs: int, outputs: tuple[int, ...]) -> nn.Sequential:
        return nn.Sequential(
            nn.Linear(inputs, self.HIDDEN), nn.ReLU(), nn.Linear(self.HIDDEN, math.prod(outputs)), nn.Unflatten(1, outputs)
        )

    def fields(self, raw: Tensor) -> Tensor:
        return raw

    def forward(self, fields: Tensor, source_hue: Tensor, curves: Tensor) -> Tensor:
        masks = fields.softmax(dim=1)
        place = torch.cat([2 * source_hue - 1, torch.zeros_like(source_hue)], dim=1).permute(0, 2, 3, 1)
        # Linear interpolation between knots 0 ... K, of which the last is the first again.
        tables = torch.cat([curves, curves[..., :1]], dim=-1).flatten(1, 2).unsqueeze(2)
        rotations = F.grid_sample(tables, place, align_corners=True).split(2, dim=1)
        rotation = sum(mask * rotation for mask, rotation in zip(masks.split(1, dim=1), rotations))
        return wrap_hue(source_hue + turns_of(rotation))

    def curves(self, condition: Condition) -> Tensor:
        """The curves' rotations at their knots, means of unit vectors, (B, curves, 2, knots)."""
        queries, keys = self.query(condition.embedding) + self.query_bias, self.key(condition.embedding) + self.key_bias
        frequency = (condition.histogram * condition.histogram.shape[-1] + self.FLOOR).log()
        scores = torch.einsum("bmik,bjk->bmij", queries, keys) / math.sqrt(self.KEY_WIDTH)
        scores = scores + frequency[:, None, None] + self.nearness * self.rotations[0]
        return torch.einsum("bmij,cij->bmci", scores.softmax(-1), self.rotations)


HEADS: dict[str, type[Head]] = {"absolute": AbsoluteHead, "rotation": RotationHead, "palette": PaletteHead}
