"""Hue-Net's generator and discriminator on HSV images, and `HueNet`: photos in, painted photo out.

    model = HueNet(ModelConfig())
    painted = model(source, target)                  # RGB (B, 3, H, W), any sizes
    hue = model.generator(source_hsv, target_hsv)    # in training, at the model's size

The generator is a U-Net whose raw output a *head* turns into the output's hue, in two stages. `Head.fields` gives maps that
may be interpolated, `Head.forward` combines them with the source's hue. So a large photo is painted by predicting the
fields at the size the model was trained for, enlarging them, and applying them to every pixel of the large photo.

A new head is a subclass of `Head` in `HEADS` and a name in `ModelConfig.head`. A new conditioning is a module that returns a
`Condition` (or more), which `HueGenerator` builds as `self.condition` and hands to the U-Net's FiLM layers and to the head.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..color import color_weights, hsv_to_rgb, rgb_to_hsv, wrap_hue
from ..kernels import Bins, soft_histogram
from ..networks import PatchDiscriminator, UNet
from .config import ModelConfig

SHORTEST = 1e-3
"""Vectors shorter than this are taken for having no direction."""
LONGEST = 4
"""A photo's long side is at most this many times its short one where the generator looks at it."""


def encode_hue(hsv: Tensor, kind: Literal["value", "vector"]) -> Tensor:
    """The hue of an HSV image (B, 3, H, W) as a network's input in [-1, 1].

    "value": (B, 1, H, W); "vector": (cos, sin) times saturation, (B, 2, H, W), since the hue of a grey pixel means nothing.
    """
    hue, saturation, _ = hsv.split(1, dim=1)
    return 2 * hue - 1 if kind == "value" else saturation * unit_vector(hue)


def unit_vector(turns: Tensor) -> Tensor:
    """(cos, sin) of angles in turns, (B, 1, H, W) -> (B, 2, H, W)."""
    angle = 2 * math.pi * turns
    return torch.cat([angle.cos(), angle.sin()], dim=1)


def turns_of(vector: Tensor) -> Tensor:
    """Direction of vectors (B, 2, H, W) in turns, in [-1/2, 1/2], (B, 1, H, W); about 0 for vectors of no length."""
    x, y = vector.split(1, dim=1)
    # The gradient of atan2 grows as 1 / length and is NaN at zero.
    x = torch.where(x * x + y * y > SHORTEST**2, x, torch.ones_like(x))
    return torch.atan2(y, x) / (2 * math.pi)


class Condition(NamedTuple):
    """What there is to paint with: both hue histograms as the generator reads them."""

    embedding: Tensor
    """(B, condition_width), of the target's and the source's histogram."""
    histogram: Tensor
    """(B, condition_bins), the target's hue histogram, of sum 1; all zero if it has no colour."""


class Head(nn.Module, ABC):
    """From the U-Net's raw output to the output's hue."""

    channels: int
    """Channels wanted of the U-Net."""

    @abstractmethod
    def fields(self, raw: Tensor) -> Tensor:
        """raw (B, channels, H, W) -> maps (B, F, H, W) that may be interpolated."""

    @abstractmethod
    def forward(self, fields: Tensor, source_hue: Tensor, condition: Condition | None) -> Tensor:
        """fields (B, F, H, W), source hue (B, 1, H, W) -> hue in [0, 1), (B, 1, H, W)."""


class AbsoluteHead(Head):
    """The hue itself, as in the paper; the sigmoid that keeps it in its range is our choice."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.channels = 1

    def fields(self, raw: Tensor) -> Tensor:
        return unit_vector(torch.sigmoid(raw))

    def forward(self, fields: Tensor, source_hue: Tensor, condition: Condition | None) -> Tensor:
        return wrap_hue(turns_of(fields))


class RotationHead(Head):
    """The source's hue turned by a predicted angle, the direction of a two-channel vector: smooth all around the circle."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.channels = 2

    def fields(self, raw: Tensor) -> Tensor:
        return raw * raw.square().sum(1, keepdim=True).clamp_min(SHORTEST**2).rsqrt()

    def forward(self, fields: Tensor, source_hue: Tensor, condition: Condition | None) -> Tensor:
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
        super().__init__()
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

    def forward(self, fields: Tensor, source_hue: Tensor, condition: Condition | None) -> Tensor:
        masks = fields.softmax(dim=1)
        place = torch.cat([2 * source_hue - 1, torch.zeros_like(source_hue)], dim=1).permute(0, 2, 3, 1)
        curves = self.curves(condition)
        # Linear interpolation between knots 0 ... K, of which the last is the first again.
        tables = torch.cat([curves, curves[..., :1]], dim=-1).unsqueeze(3)
        rotation = sum(
            mask * F.grid_sample(table, place, align_corners=True) for mask, table in zip(masks.split(1, dim=1), tables.unbind(1))
        )
        return wrap_hue(source_hue + turns_of(rotation))

    def curves(self, condition: Condition) -> Tensor:
        """The curves' rotations at their knots, means of unit vectors, (B, curves, 2, knots)."""
        queries, keys = self.query(condition.embedding) + self.query_bias, self.key(condition.embedding) + self.key_bias
        frequency = (condition.histogram * condition.histogram.shape[-1] + self.FLOOR).log()
        scores = torch.einsum("bmik,bjk->bmij", queries, keys) / math.sqrt(self.KEY_WIDTH)
        scores = scores + frequency[:, None, None] + self.nearness * self.rotations[0]
        return torch.einsum("bmij,cij->bmci", scores.softmax(-1), self.rotations)


HEADS: dict[str, type[Head]] = {"absolute": AbsoluteHead, "rotation": RotationHead, "palette": PaletteHead}


class HueHistograms(nn.Module):
    """The target's and the source's hue histograms, and a small network that reads them."""

    HIDDEN = 256
    BANDWIDTH = 0.8  # wider than the losses': what a network reads should change smoothly with the hues

    def __init__(self, bins: int, width: int) -> None:
        super().__init__()
        self.bins = Bins(bins, bandwidth=self.BANDWIDTH, boundary="circular")
        self.layers = nn.Sequential(nn.Linear(2 * bins, self.HIDDEN), nn.ReLU(), nn.Linear(self.HIDDEN, width), nn.ReLU())

    def forward(self, source_hsv: Tensor, target_hsv: Tensor) -> Condition:
        """HSV images (B, 3, H, W) and (B, 3, H', W')."""
        source, target = (
            soft_histogram(hsv[:, 0].flatten(1), self.bins, weights=color_weights(hsv).flatten(1))
            for hsv in (source_hsv, target_hsv)
        )
        # A flat histogram becomes all ones; the root lets rare hues be seen beside the frequent ones.
        seen = (torch.cat([source, target], dim=-1) * self.bins.count).sqrt()
        return Condition(self.layers(seen).to(target.dtype), target)


class HueGenerator(nn.Module):
    """Predicts the output's hue from the source's HSV and the target's (Fig. 4 of the paper, d to f)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.hue_input = config.hue_input
        self.head = HEADS[config.head](config)
        histogram = config.conditioning == "histogram"
        self.condition = HueHistograms(config.condition_bins, config.condition_width) if histogram else None
        hue_channels = 1 if config.hue_input == "value" else 2
        self.unet = UNet(
            2 + hue_channels * (1 if histogram else 2),
            self.head.channels,
            width=config.width,
            depth=config.halvings,
            norm=config.norm,
            dropout=config.dropout,
            upsample=config.upsample,
            input_skip=config.input_skip,
            condition_size=config.condition_width if histogram else 0,
        )

    def forward(self, source_hsv: Tensor, target_hsv: Tensor) -> Tensor:
        """HSV images (B, 3, H, W) -> hue of the output in [0, 1), (B, 1, H, W), at least float32.

        The target may have another size if the conditioning is by histogram; ``ValueError`` otherwise.
        """
        return self.paint(source_hsv[:, :1], *self.predict(source_hsv, target_hsv))

    def paint(self, source_hue: Tensor, fields: Tensor, condition: Condition | None) -> Tensor:
        """What `predict` gave, enlarged perhaps, applied to the source's hue (B, 1, H, W) -> the output's hue."""
        with torch.autocast(source_hue.device.type, enabled=False):  # eight bits of mantissa cannot hold an angle
            return self.head(fields, source_hue, condition)

    def predict(self, source_hsv: Tensor, target_hsv: Tensor) -> tuple[Tensor, Condition | None]:
        """The head's fields (B, F, H, W) and the condition, if any."""
        inputs = [encode_hue(source_hsv, self.hue_input), 2 * source_hsv[:, 1:] - 1]
        condition = None
        if self.condition is not None:
            condition = self.condition(source_hsv, target_hsv)
        elif source_hsv.shape == target_hsv.shape:
            inputs.append(encode_hue(target_hsv, self.hue_input))
        else:
            raise ValueError(f"source and target must have one shape, got {tuple(source_hsv.shape)} and {tuple(target_hsv.shape)}")
        raw = self.unet(torch.cat(inputs, dim=1), None if condition is None else condition.embedding)
        return self.head.fields(raw.to(source_hsv.dtype)), condition


class HueDiscriminator(nn.Module):
    """Judges hue channels given saturation and value (Eq. 28-29), patch by patch."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.hue_input = config.hue_input
        channels = 2 + (1 if config.hue_input == "value" else 2)
        self.patches = PatchDiscriminator(
            channels, width=config.discriminator_width, depth=config.discriminator_depth, norm=config.norm
        )

    def forward(self, *hsv: Tensor) -> tuple[Tensor, ...]:
        """Any number of HSV images (B, 3, H, W) -> logits (B, 1, h, w) of each, each in a batch of its own."""
        return tuple(self.patches(torch.cat([encode_hue(image, self.hue_input), 2 * image[:, 1:] - 1], dim=1)) for image in hsv)


class HueNet(nn.Module):
    """Paints photos: generator and colour space in one callable."""

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__()
        self.config = ModelConfig() if config is None else config
        self.generator = HueGenerator(self.config)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """The source with its hues repainted like the target; saturation and value stay.

        RGB floats in [0, 1], (B, 3, H, W) and (B, 3, H', W') of any sizes -> (B, 3, H, W). Raises ``ValueError`` or
        ``TypeError`` for anything else.
        """
        if source.ndim != 4 or target.ndim != 4 or len(source) != len(target):
            raise ValueError(
                f"source and target must be (B, 3, H, W) with one B, got {tuple(source.shape)} and {tuple(target.shape)}"
            )
        source_hsv = rgb_to_hsv(source)
        size = self._working_size(source)
        target_size = size if self.generator.condition is None else self._working_size(target)
        fields, condition = self.generator.predict(rgb_to_hsv(_resize(source, size)), rgb_to_hsv(_resize(target, target_size)))
        fields = F.interpolate(fields, tuple(source.shape[-2:]), mode="bilinear")
        hue = self.generator.paint(source_hsv[:, :1], fields, condition)
        return hsv_to_rgb(torch.cat([hue, source_hsv[:, 1:]], dim=1))

    def _working_size(self, image: Tensor) -> tuple[int, int]:
        """The image's shape with the model's size as its short side."""
        height, width = image.shape[-2:]
        scale = self.config.size / min(height, width)
        longest = LONGEST * self.config.size
        return min(round(height * scale), longest), min(round(width * scale), longest)


def _resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    if size == tuple(image.shape[-2:]):
        return image
    return F.interpolate(image, size, mode="bilinear", antialias=True).clamp(0, 1)
