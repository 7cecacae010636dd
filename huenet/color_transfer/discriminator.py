"""Hue-Net's discriminator."""

import torch
from torch import Tensor, nn

from ..color import encode_hue
from ..networks import PatchDiscriminator
from .config import ModelConfig


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
