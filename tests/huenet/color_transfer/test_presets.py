"""Every preset describes networks that can be built."""

from __future__ import annotations

import torch

from huenet.color_transfer.model import HueNet
from huenet.color_transfer.presets import PRESETS


def test_presets_build() -> None:
    for name, preset in PRESETS.items():
        with torch.device("meta"):
            model = HueNet(preset.model)
        channels = next(model.generator.unet.parameters()).shape[1]
        assert name != "paper" or channels == 4  # HSV of the source and the target's hue, as in the paper
