"""The generator of every head, input and conditioning: hues in range, gradients everywhere, precision."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from huenet.color import rgb_to_hsv
from huenet.color_transfer.config import ModelConfig
from huenet.color_transfer.generator import HueDiscriminator
from huenet.color_transfer.model import HueNet
from tests.huenet.color_transfer.small import SMALL, VARIANTS, images


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: "-".join(variant.values()))
def test_generator_predicts_hues_and_learns(variant: dict[str, str]) -> None:
    torch.manual_seed(0)
    model = HueNet(dataclasses.replace(SMALL, **variant))
    source, target = rgb_to_hsv(images(2, 3, 32, 32)), rgb_to_hsv(images(2, 3, 32, 32, seed=1))
    hue = model.generator(source, target)
    assert hue.shape == (2, 1, 32, 32) and hue.dtype == torch.float32
    assert (hue >= 0).all() and (hue < 1).all()
    (hue * images(2, 1, 32, 32, seed=2)).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all() and (parameter.grad != 0).any(), name


def test_half_precision_ends_before_the_angles() -> None:
    torch.manual_seed(0)
    model = HueNet(SMALL).eval()
    source, target = rgb_to_hsv(images(1, 3, 32, 32)), rgb_to_hsv(images(1, 3, 32, 32, seed=1))
    exact = model.generator(source, target)
    with torch.autocast("cpu", torch.bfloat16):
        half = model.generator(source, target)
    assert half.dtype == torch.float32 and not torch.equal(half, exact)
    # Masks and scores come from bfloat16 networks, 2**-8 off; had the angles passed through it, hues would have 256 values.
    assert len(half.unique()) > 512
    away = half - exact
    assert (away - away.round()).abs().median() < 2**-8


@pytest.mark.parametrize("size", [32, 33, 50, 100])
def test_sizes_from_32_up_work_in_both_networks(size: int) -> None:
    config = ModelConfig(size=size, width=2, discriminator_width=2)
    image = rgb_to_hsv(images(1, 3, size, size))
    assert HueNet(config).generator(image, image).shape == (1, 1, size, size)
    assert HueDiscriminator(config)(image)[0].shape[1] == 1


def test_conditioning_on_histograms_reacts_to_the_targets_colours_alone() -> None:
    torch.manual_seed(0)
    model = HueNet(SMALL).generator
    source, target = rgb_to_hsv(images(1, 3, 32, 32)), rgb_to_hsv(images(1, 3, 32, 32, seed=1))
    shuffled = target.flatten(2)[:, :, torch.randperm(32 * 32, generator=torch.Generator().manual_seed(3))].view_as(target)
    condition, same, other = (model.condition(source, image).embedding for image in (target, shuffled, source))
    # Sums of 1,024 float32 shares in another order: each of relative error 1,024 * 2**-24 at worst.
    assert torch.allclose(condition, same, atol=1e-4)
    assert not torch.allclose(condition, other, atol=1e-3)
