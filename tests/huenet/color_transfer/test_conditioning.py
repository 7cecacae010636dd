"""What the generator is told of the target."""

from __future__ import annotations

import torch

from huenet.color import rgb_to_hsv
from huenet.color_transfer.model import HueNet
from tests.huenet.color_transfer.small import SMALL, images


def test_conditioning_on_histograms_reacts_to_the_targets_colours_alone() -> None:
    torch.manual_seed(0)
    model = HueNet(SMALL).generator
    source, target = rgb_to_hsv(images(1, 3, 32, 32)), rgb_to_hsv(images(1, 3, 32, 32, seed=1))
    shuffled = target.flatten(2)[:, :, torch.randperm(32 * 32, generator=torch.Generator().manual_seed(3))].view_as(target)
    condition, same, other = (model.condition(source, image).embedding for image in (target, shuffled, source))
    # Sums of 1,024 float32 shares in another order: each of relative error 1,024 * 2**-24 at worst.
    assert torch.allclose(condition, same, atol=1e-4)
    assert not torch.allclose(condition, other, atol=1e-3)
