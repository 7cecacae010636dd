"""GcGAN's small networks for digits."""

from __future__ import annotations

import pytest
import torch

from huenet.networks import DigitDiscriminator, DigitGenerator


def test_they_have_the_published_shapes() -> None:
    """Convolutions of 4x4 (1-64-128), twice 3x3 (128), 4x4 (64-3); 4x4 (3-64-128-256-1). No biases; two numbers of each normalised
    channel."""
    parameters = lambda network: sum(parameter.numel() for parameter in network.parameters())  # noqa: E731
    generator = 16 * (64 + 64 * 128 + 128 * 64 + 64 * 3) + 2 * 9 * 128**2 + 2 * (64 + 128 + 128 + 128 + 64)
    assert parameters(DigitGenerator(1, 3)) == generator
    assert parameters(DigitDiscriminator(3)) == 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256) + 2 * (128 + 256)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 11), (28, 28), (32, 33)])
def test_any_size_comes_out_as_it_went_in(height: int, width: int) -> None:
    assert DigitGenerator(3, 1, width=2)(torch.rand(2, 3, height, width)).shape == (2, 1, height, width)


@pytest.mark.parametrize("size", [16, 28, 32])
def test_a_digit_is_judged_once(size: int) -> None:
    assert DigitDiscriminator(1, width=2, size=size)(torch.rand(2, 1, size, size)).shape == (2, 1, 1, 1)


def test_images_that_are_too_small_are_named() -> None:
    with pytest.raises(ValueError, match="at least 8 pixels a side"):
        DigitGenerator(1, 1)(torch.rand(1, 1, 7, 8))
