"""The classical baselines: what they promise about the statistics of their output, and their corner cases."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab

from huenet.color import color_weights, hsv_to_rgb, rgb_to_hsv
from huenet.color_transfer.baselines import match_hue, reinhard
from huenet.data.garden import garden

BOTH = pytest.mark.parametrize("transfer", [reinhard, match_hue])


def _random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _of_hue(hue: torch.Tensor, saturation: float = 0.8, value: float = 0.9) -> torch.Tensor:
    return hsv_to_rgb(torch.stack([hue, torch.full_like(hue, saturation), torch.full_like(hue, value)]))


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shapes_and_types(transfer, dtype: torch.dtype) -> None:
    source, target = _random(2, 3, 12, 9).to(dtype), _random(2, 3, 7, 20, seed=1).to(dtype)
    output = transfer(source, target)
    assert output.shape == source.shape and output.dtype == dtype
    assert output.min() >= 0 and output.max() <= 1
    for i in range(2):
        torch.testing.assert_close(transfer(source[i], target[i]), output[i])


@BOTH
def test_a_picture_painted_with_its_own_colors_is_itself(transfer) -> None:
    pictures = garden(4, 32, seed=0).pictures(range(4)).double()
    # Lab and back, and the sRGB matrices printed to 4 to 6 digits, cost some 1e-5.
    torch.testing.assert_close(transfer(pictures, pictures), pictures, rtol=0, atol=1e-4)


def test_reinhard_gives_the_targets_mean_and_deviation() -> None:
    source = 0.45 + 0.1 * _random(3, 30, 30)  # low contrast around grey: the result stays within the gamut
    target = 0.4 + 0.15 * _random(3, 25, 35, seed=1)
    lab, wanted = (rgb2lab(image.numpy(), channel_axis=0) for image in (reinhard(source, target), target))
    np.testing.assert_allclose(lab.mean(axis=(1, 2)), wanted.mean(axis=(1, 2)), atol=1e-3)
    np.testing.assert_allclose(lab.std(axis=(1, 2)), wanted.std(axis=(1, 2)), atol=1e-3)


def test_reinhard_of_constant_pictures() -> None:
    grey, color = torch.full((3, 8, 8), 0.3), torch.tensor([0.7, 0.4, 0.3])[:, None, None].expand(3, 8, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        output = reinhard(grey, color)
        varied = reinhard(grey, _random(3, 8, 8).float())
        vivid = reinhard(_random(3, 8, 8).float(), _of_hue(_random(8, 8), 1.0, 1.0).float())  # leaves the gamut
    torch.testing.assert_close(output, color.contiguous(), rtol=0, atol=1e-3)
    assert torch.isfinite(varied).all() and torch.isfinite(vivid).all()


def test_match_hue_keeps_saturation_and_value() -> None:
    source, target = garden(2, 32, seed=0).pictures(range(2)).double().unbind(0)
    before, after = rgb_to_hsv(source), rgb_to_hsv(match_hue(source, target))
    torch.testing.assert_close(after[1:], before[1:], rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_match_hue_gives_the_targets_distribution(seed: int) -> None:
    source, target = _random(3, 40, 40, seed=seed), garden(5, 48, seed=0).pictures([seed])[0].double()

    def cumulative(image: torch.Tensor) -> torch.Tensor:
        hsv = rgb_to_hsv(image)
        histogram = torch.zeros(64, dtype=torch.float64)
        histogram.index_add_(0, (hsv[0] * 64).long().flatten(), color_weights(hsv).flatten())
        return torch.cumsum(histogram / histogram.sum(), 0)

    # 1600 hues, each moved whole, so at both ends of an arc the distributions differ by one pixel at most;
    # saturation and value stay, so the largest share is 1 / (sum of weights).
    share = 1.0 / color_weights(rgb_to_hsv(source)).sum()
    assert (cumulative(match_hue(source, target)) - cumulative(target)).abs().max() <= 2 * share


def test_match_hue_cuts_the_circle_at_the_best_place() -> None:
    """Reds on both sides of hue 0, the target turned so that half the circle stays empty: all must turn by
    just that."""
    hue = 0.08 * (_random(20, 20) - 0.5)
    for turn in (0.1, -0.1, 0.3, -0.3):
        output = rgb_to_hsv(match_hue(_of_hue(hue), _of_hue(hue + turn)))[0]
        distance = ((output - hue - turn + 0.5) % 1.0 - 0.5).abs()
        assert distance.max() < 1e-9


def test_grey_pixels_do_not_vote() -> None:
    hue = 0.3 + 0.2 * _random(16, 16)
    source, target = _of_hue(0.2 * _random(16, 16, seed=1)), _of_hue(hue)
    with_grey = torch.cat([target, torch.full((3, 16, 16), 0.6)], dim=-1).double()
    torch.testing.assert_close(match_hue(source, with_grey), match_hue(source, target))


@BOTH
def test_grey_pictures(transfer) -> None:
    grey, color = torch.full((3, 6, 6), 0.5), _random(3, 6, 6).float()
    assert torch.isfinite(transfer(grey, color)).all()
    assert torch.isfinite(transfer(color, grey)).all()
    if transfer is match_hue:
        torch.testing.assert_close(transfer(grey, color), grey)
        torch.testing.assert_close(transfer(color, grey), color)


@BOTH
def test_wrong_input(transfer) -> None:
    with pytest.raises(ValueError, match="target must be floating-point RGB"):
        transfer(torch.rand(3, 4, 4), torch.rand(4, 4, 4))
    with pytest.raises(ValueError, match=r"source must be .*torch.uint8"):
        transfer(torch.zeros(3, 4, 4, dtype=torch.uint8), torch.rand(3, 4, 4))
    with pytest.raises(ValueError, match="must be as many"):
        transfer(torch.rand(2, 3, 4, 4), torch.rand(3, 3, 4, 4))
