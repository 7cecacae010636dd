"""Heads, conditioning, and painting photos of any size."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from huenet.color import hsv_to_rgb, rgb_to_hsv
from huenet.color_transfer.conditioning import Condition
from huenet.color_transfer.config import ModelConfig
from huenet.color_transfer.discriminator import HueDiscriminator
from huenet.color_transfer.heads import HEADS, PaletteHead
from huenet.color_transfer.hue_encoding import encode_hue, turns_of, unit_vector
from huenet.color_transfer.model import HueNet
from huenet.color_transfer.presets import PRESETS

SMALL = ModelConfig(size=32, width=4, discriminator_width=4, condition_bins=8, condition_width=8, knots=5)
VARIANTS = [
    dict(head=head, hue_input=hue_input, conditioning=conditioning)
    for head in HEADS
    for hue_input in ("value", "vector")
    for conditioning in ("image", "histogram")
    if (head, conditioning) != ("palette", "image")
]


def _images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: "-".join(variant.values()))
def test_generator_predicts_hues_and_learns(variant: dict[str, str]) -> None:
    torch.manual_seed(0)
    model = HueNet(dataclasses.replace(SMALL, **variant))
    source, target = rgb_to_hsv(_images(2, 3, 32, 32)), rgb_to_hsv(_images(2, 3, 32, 32, seed=1))
    hue = model.generator(source, target)
    assert hue.shape == (2, 1, 32, 32) and hue.dtype == torch.float32
    assert (hue >= 0).all() and (hue < 1).all()
    (hue * _images(2, 1, 32, 32, seed=2)).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all() and (parameter.grad != 0).any(), name


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: "-".join(variant.values()))
def test_painting_at_the_models_size_is_what_training_sees(variant: dict[str, str]) -> None:
    model = HueNet(dataclasses.replace(SMALL, **variant)).eval()
    source, target = _images(2, 3, 32, 32), _images(2, 3, 32, 32, seed=1)
    source_hsv = rgb_to_hsv(source)
    hue = model.generator(source_hsv, rgb_to_hsv(target))
    expected = hsv_to_rgb(torch.cat([hue, source_hsv[:, 1:]], dim=1))
    assert torch.equal(model(source, target), expected)


@pytest.mark.parametrize("size", [(32, 32), (20, 300), (47, 35), (90, 64)])
def test_any_sizes_keep_the_sources_saturation_and_value(size: tuple[int, int]) -> None:
    model = HueNet(SMALL).eval()
    source = _images(1, 3, *size)
    painted = model(source, _images(1, 3, 51, 17, seed=1))
    assert painted.shape == source.shape
    # RGB to HSV and back are a dozen roundings of numbers up to 1, and saturation divides by a value above 1/16 here.
    before, after = rgb_to_hsv(source.clamp_min(1 / 16)), rgb_to_hsv(painted)
    assert torch.allclose(before[:, 2], after[:, 2].clamp_min(1 / 16), atol=1e-6)


def test_rotations_are_enlarged_as_unit_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """The left half turns by 3/8 and the right by 5/8: between them lies half a turn, not none, within one small pixel."""
    model = HueNet(dataclasses.replace(SMALL, head="rotation")).eval()
    turns = torch.tensor([3 / 8, 5 / 8]).repeat_interleave(16).expand(1, 1, 32, 32)
    monkeypatch.setattr(model.generator.unet, "forward", lambda *_: unit_vector(turns))
    source = hsv_to_rgb(torch.stack([_images(1, 256, 256), *torch.full((2, 1, 256, 256), 0.9)], dim=1))
    turned = rgb_to_hsv(model(source, source))[:, 0] - rgb_to_hsv(source)[:, 0]
    # Sixths of a turn over the chroma 0.81: two conversions are some ten roundings of 2**-24.
    assert torch.allclose(turned[..., :124].remainder(1), torch.tensor(3 / 8), atol=1e-5)
    assert torch.allclose(turned[..., 132:].remainder(1), torch.tensor(5 / 8), atol=1e-5)
    between = turned[0, 0, 123:133].remainder(1)
    assert (between.diff() > -1e-5).all() and between.diff().max() > 0.01


def test_conditioning_on_histograms_reacts_to_the_targets_colours_alone() -> None:
    torch.manual_seed(0)
    model = HueNet(SMALL).generator
    source, target = rgb_to_hsv(_images(1, 3, 32, 32)), rgb_to_hsv(_images(1, 3, 32, 32, seed=1))
    shuffled = target.flatten(2)[:, :, torch.randperm(32 * 32, generator=torch.Generator().manual_seed(3))].view_as(target)
    condition, same, other = (model.condition(source, image).embedding for image in (target, shuffled, source))
    # Sums of 1,024 float32 shares in another order: each of relative error 1,024 * 2**-24 at worst.
    assert torch.allclose(condition, same, atol=1e-4)
    assert not torch.allclose(condition, other, atol=1e-3)


def test_grey_photos_have_no_histogram_and_stay_grey() -> None:
    model = HueNet(SMALL).eval()
    grey = _images(1, 1, 32, 32).expand(1, 3, 32, 32)
    painted = model(grey, _images(1, 3, 32, 32, seed=1))
    assert torch.allclose(painted, grey, atol=1e-6)
    assert model(_images(1, 3, 32, 32), grey).isfinite().all()


def test_palette_interpolates_its_curves_around_the_circle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two curves of four knots: a constant turn of 1/8; and none at hues 0, 1/4, 1/2, but a quarter at hue 3/4."""
    head = PaletteHead(dataclasses.replace(SMALL, curves=2, knots=4))
    turns = torch.tensor([[1 / 8, 1 / 8, 1 / 8, 1 / 8], [0, 0, 0, 1 / 4]]).view(1, 1, 2, 4)
    monkeypatch.setattr(head, "curves", lambda _: unit_vector(turns).transpose(1, 2))
    hue = torch.tensor([0.0, 0.3, 0.6, 0.75, 0.875, 0.999]).view(1, 1, 1, 6)
    first, second = torch.tensor([50.0, -50.0]).view(1, 2, 1, 1), torch.tensor([-50.0, 50.0]).view(1, 2, 1, 1)
    assert torch.allclose(head(first.expand(1, 2, 1, 6), hue, None), (hue + 1 / 8) % 1, atol=1e-6)
    # Between knots the unit vectors are interpolated: half way between no turn and a quarter lies an eighth.
    turned = (head(second.expand(1, 2, 1, 6), hue, None) - hue).flatten()
    expected = [0, 0, math.atan2(0.4, 0.6) / math.tau, 1 / 4, 1 / 8, math.atan2(0.004, 0.996) / math.tau]
    assert turned.remainder(1).tolist() == pytest.approx(expected, abs=1e-6)
    even = head(torch.zeros(1, 2, 1, 6), hue, None) - hue  # masks of one half each
    assert even.flatten()[0].item() == pytest.approx(1 / 16, abs=1e-6)


def test_palette_sends_hues_to_those_of_the_target() -> None:
    """At first already, because of the histogram in the scores: to the only one there is, and to the nearer of two."""
    torch.manual_seed(0)
    bins = 64
    head = PaletteHead(dataclasses.replace(SMALL, condition_bins=bins, knots=32))
    hue = (torch.arange(64).view(1, 1, 8, 8) + 0.5) / 64
    condition = Condition(_images(1, SMALL.condition_width), torch.zeros(1, bins))
    condition.histogram[0, 20] = 1
    away = head(_images(1, 4, 8, 8), hue, condition) - 20.5 / bins
    assert (away - away.round()).abs().median() < 0.02
    condition.histogram[0, [20, 52]] = 0.5
    nearer = torch.where((hue - 20.5 / bins).abs() < 0.25, 20.5 / bins, 52.5 / bins)
    away = head(_images(1, 4, 8, 8), hue, condition) - nearer
    assert (away - away.round()).abs().median() < 0.1


def test_half_precision_ends_before_the_angles() -> None:
    torch.manual_seed(0)
    model = HueNet(SMALL).eval()
    source, target = rgb_to_hsv(_images(1, 3, 32, 32)), rgb_to_hsv(_images(1, 3, 32, 32, seed=1))
    exact = model.generator(source, target)
    with torch.autocast("cpu", torch.bfloat16):
        half = model.generator(source, target)
    assert half.dtype == torch.float32 and not torch.equal(half, exact)
    # Masks and scores come from bfloat16 networks, 2**-8 off; had the angles passed through it, hues would have 256 values.
    assert len(half.unique()) > 512
    away = half - exact
    assert (away - away.round()).abs().median() < 2**-8


def test_turns_of_inverts_unit_vector_and_is_safe_at_zero() -> None:
    turns = torch.linspace(-0.49, 0.49, 99, dtype=torch.float64).view(1, 1, 9, 11)
    assert torch.allclose(turns_of(unit_vector(turns)), turns, atol=1e-15)
    for length in (0.0, 1e-30, 1e-9):
        vector = torch.full((1, 2, 1, 1), length, requires_grad=True)
        turned = turns_of(vector)
        turned.sum().backward()
        assert abs(turned.item()) <= length and vector.grad.abs().max() < 1


def test_encoded_hues_are_in_range_and_vectors_meet_at_red() -> None:
    hue = torch.tensor([0.0, 0.25, 0.5, 1.0, 0.7]).view(1, 1, 1, 5)
    hsv = torch.cat([hue, torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0]).view(1, 1, 1, 5), torch.ones_like(hue)], dim=1)
    assert encode_hue(hsv, "value").flatten()[:4].tolist() == [-1, -0.5, 0, 1]
    vectors = encode_hue(hsv, "vector")
    assert torch.allclose(vectors[..., 0], vectors[..., 3], atol=1e-6)
    assert (vectors[..., 4] == 0).all()  # grey


def test_discriminator_takes_each_image_as_a_batch_of_its_own() -> None:
    torch.manual_seed(0)
    judge = HueDiscriminator(dataclasses.replace(SMALL, norm="batch"))
    one, other = rgb_to_hsv(_images(2, 3, 32, 32)), rgb_to_hsv(_images(2, 3, 32, 32, seed=1))
    together = judge(one, other)
    assert len(together) == 2 and torch.equal(together[0], judge(one)[0]) and torch.equal(together[1], judge(other)[0])


@pytest.mark.parametrize("size", [32, 33, 50, 100])
def test_sizes_from_32_up_work_in_both_networks(size: int) -> None:
    config = ModelConfig(size=size, width=2, discriminator_width=2)
    image = rgb_to_hsv(_images(1, 3, size, size))
    assert HueNet(config).generator(image, image).shape == (1, 1, size, size)
    assert HueDiscriminator(config)(image)[0].shape[1] == 1


def test_presets_build() -> None:
    for name, preset in PRESETS.items():
        with torch.device("meta"):
            model = HueNet(preset.model)
        channels = next(model.generator.unet.parameters()).shape[1]
        assert name != "paper" or channels == 4  # HSV of the source and the target's hue, as in the paper


def test_bad_input_is_named() -> None:
    model = HueNet(SMALL)
    for source, target in (((3, 32, 32), (1, 3, 32, 32)), ((2, 3, 32, 32), (1, 3, 32, 32))):
        with pytest.raises(ValueError, match="source and target"):
            model(torch.rand(source), torch.rand(target))
    by_image = HueNet(dataclasses.replace(SMALL, head="rotation", conditioning="image"))
    with pytest.raises(ValueError, match="one shape"):
        by_image.generator(torch.rand(1, 3, 32, 32), torch.rand(1, 3, 33, 32))
    for setting in (
        dict(size=31),
        dict(depth=6, size=32),
        dict(width=0),
        dict(dropout=1.0),
        dict(head="palette", conditioning="image"),
        dict(discriminator_depth=4, size=32),
    ):
        with pytest.raises(ValueError, match=next(iter(setting))):
            ModelConfig(**setting)
