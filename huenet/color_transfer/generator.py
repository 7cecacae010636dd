"""Hue-Net's networks: the generator, a U-Net whose raw output a head turns into the output's hue, and the discriminator.

A new conditioning is a module that returns a `Condition` (or more), which `HueGenerator` builds as `self.condition` and hands to
the U-Net's FiLM layers and to the head.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from ..color import color_weights, encode_hue
from ..kernels import Bins, soft_histogram
from ..kernels.common.devices import full_precision
from ..networks import PatchDiscriminator, UNet
from .config import ModelConfig
from .heads import HEADS, Condition


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
        channels = 2 + _hue_channels(config) * (1 if histogram else 2)
        condition_size = config.condition_width if histogram else 0
        self.unet = UNet(
            channels,
            self.head.channels,
            width=config.width,
            depth=config.halvings,
            norm=config.norm,
            dropout=config.dropout,
            upsample=config.upsample,
            input_skip=config.input_skip,
            condition_size=condition_size,
        )

    def forward(self, source_hsv: Tensor, target_hsv: Tensor) -> Tensor:
        """HSV images (B, 3, H, W) -> hue of the output in [0, 1), (B, 1, H, W), at least float32.

        The target may have another size if the conditioning is by histogram; ``ValueError`` otherwise.
        """
        fields, curves, _ = self.predict(source_hsv, target_hsv)
        return self.paint(source_hsv[:, :1], fields, curves)

    def paint(self, source_hue: Tensor, fields: Tensor, curves: Tensor | None) -> Tensor:
        """What `predict` gave, enlarged perhaps, applied to the source's hue (B, 1, H, W) -> the output's hue."""
        with full_precision(source_hue):  # eight bits of mantissa cannot hold an angle
            return self.head(fields, source_hue, curves)

    def predict(
        self, source_hsv: Tensor, target_hsv: Tensor, condition: Condition | None = None
    ) -> tuple[Tensor, Tensor | None, Condition | None]:
        """The head's fields (B, F, H, W), its curves, if it has any, and the condition that both were predicted with: of these
        pictures' histograms, or the one that is given, of another frame's."""
        inputs = [_seen(source_hsv, self.hue_input)]
        if self.condition is not None:
            condition = self.condition(source_hsv, target_hsv) if condition is None else condition
        elif source_hsv.shape == target_hsv.shape:
            inputs.append(encode_hue(target_hsv, self.hue_input))
        else:
            raise ValueError(f"source and target must have one shape, got {tuple(source_hsv.shape)} and {tuple(target_hsv.shape)}")
        raw = self.unet(torch.cat(inputs, dim=1), None if condition is None else condition.embedding)
        fields = self.head.fields(raw.to(source_hsv.dtype))
        with full_precision(source_hsv):  # as in `paint`
            return fields, self.head.curves(condition), condition


class HueDiscriminator(nn.Module):
    """Judges hue channels given saturation and value (Eq. 28-29), patch by patch."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.hue_input = config.hue_input
        channels, width, depth = 2 + _hue_channels(config), config.discriminator_width, config.discriminator_depth
        self.patches = PatchDiscriminator(channels, width=width, depth=depth, norm=config.norm)

    def forward(self, *hsv: Tensor) -> tuple[Tensor, ...]:
        """Any number of HSV images (B, 3, H, W) -> logits (B, 1, h, w) of each, each in a batch of its own."""
        return tuple(self.patches(_seen(image, self.hue_input)) for image in hsv)


def _hue_channels(config: ModelConfig) -> int:
    return 1 if config.hue_input == "value" else 2


def _seen(hsv: Tensor, hue_input: Literal["value", "vector"]) -> Tensor:
    """An HSV image (B, 3, H, W) as a network's input in [-1, 1]: its hue as `encode_hue` gives it, saturation and value."""
    return torch.cat([encode_hue(hsv, hue_input), 2 * hsv[:, 1:] - 1], dim=1)
