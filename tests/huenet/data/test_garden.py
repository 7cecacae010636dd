"""The procedural garden: reproducible, varied in hue, and with the greens and whites that a garden has."""

from __future__ import annotations

import pytest
import torch

from huenet.color import rgb_to_hsv
from huenet.data.garden import garden


@pytest.fixture(scope="module")
def flowers():
    return garden(40, 32, seed=3)


def test_shape_and_names(flowers) -> None:
    assert flowers.images.shape == (40, 3, 32, 32) and flowers.images.dtype == torch.uint8
    assert flowers.size == 32 and len(set(flowers.names)) == 40


def test_a_picture_depends_on_seed_and_index_alone(flowers) -> None:
    assert torch.equal(garden(7, 32, seed=3).images, flowers.images[:7])
    other = garden(7, 32, seed=4).images
    assert all(not torch.equal(a, b) for a, b in zip(other, flowers.images))
    distinct = {image.numpy().tobytes() for image in flowers.images}
    assert len(distinct) == len(flowers)


@pytest.mark.parametrize("size", [16, 33, 96])
def test_any_size(size: int) -> None:
    images = garden(3, size, seed=0).images.float()
    assert images.shape == (3, 3, size, size)
    assert (images.std(dim=(1, 2, 3)) > 10).all()  # something is painted


def test_the_same_picture_at_every_size() -> None:
    """The drawing is in units of the picture's side, so shrinking a large one gives about the small one."""
    small, large = garden(6, 32, seed=1).images.float(), garden(6, 128, seed=1).images.float()
    shrunk = torch.nn.functional.avg_pool2d(large, 4)
    # The sensor's noise is .01 of full scale; edges of petals fall differently on the coarser grid.
    assert (small - shrunk).abs().mean() < 0.05 * 255


def test_colors(flowers) -> None:
    hue, saturation, value = rgb_to_hsv(flowers.images.double() / 255).unbind(1)
    vivid = (saturation > 0.4) & (value > 0.6)
    blossoms = (hue * 12).long()[vivid].bincount(minlength=12) > 0.01 * vivid.sum()
    assert blossoms.sum() >= 9  # of twelve parts of the circle of hues
    green = (saturation > 0.3) & (hue > 0.17) & (hue < 0.45)
    assert (green.double().mean(dim=(1, 2)) > 0.05).double().mean() > 0.8  # leaves nearly everywhere
    white = ((saturation < 0.15) & (value > 0.75)).double().mean(dim=(1, 2)) > 0.08
    assert 0.05 < white.double().mean() < 0.5  # some blossoms are white, most are not


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="size must be at least 16, got 8"):
        garden(1, 8, seed=0)
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        garden(0, 32, seed=0)
    with pytest.raises(ValueError, match="seed must be an integer >= 0, got -1"):
        garden(1, 32, seed=-1)
