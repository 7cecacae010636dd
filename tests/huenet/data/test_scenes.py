"""Drawn scenes: reproducible, and with what flowers lack, greys above all."""

from __future__ import annotations

import pytest
import torch

from huenet.color import color_weights, rgb_to_hsv
from huenet.data.garden import garden
from huenet.data.scenes import scenes


@pytest.fixture(scope="module")
def pictures():
    return scenes(60, 32, seed=3)


def test_shape_and_names(pictures) -> None:
    assert pictures.images.shape == (60, 3, 32, 32) and pictures.images.dtype == torch.uint8
    assert pictures.size == 32 and len({*pictures.names}) == 60


def test_a_picture_depends_on_seed_and_index_alone(pictures) -> None:
    assert torch.equal(scenes(7, 32, seed=3).images, pictures.images[:7])
    assert len({image.numpy().tobytes() for image in pictures.images}) == len(pictures)
    assert not torch.equal(scenes(7, 32, seed=4).images, pictures.images[:7])


def test_room_for_crops() -> None:
    assert scenes(2, 64, seed=0, margin=True).images.shape[-1] == 72  # 286 / 256 of it, rounded up
    assert garden(2, 64, seed=0, margin=True).size == 64


def test_more_grey_than_a_garden(pictures) -> None:
    """Pictures of which at least half has next to no colour: a fifth of the scenes, and fewer flowers."""

    def grey(photos) -> float:
        chroma = color_weights(rgb_to_hsv(photos.images.double() / 255))
        return ((chroma < 0.1).double().mean((1, 2, 3)) > 0.5).double().mean().item()

    assert grey(pictures) > 0.2 > grey(garden(60, 32, seed=3))


def test_all_hues(pictures) -> None:
    hue, saturation, value = rgb_to_hsv(pictures.images.double() / 255).unbind(1)
    vivid = (saturation > 0.4) & (value > 0.5)
    assert ((hue * 12).long()[vivid].bincount(minlength=12) > 0.01 * vivid.sum()).sum() >= 11  # twelfths of the circle


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        scenes(0, 32, seed=0)
