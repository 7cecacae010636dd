"""The discriminator judges batches one by one."""

from __future__ import annotations

import dataclasses

import torch

from huenet.color import rgb_to_hsv
from huenet.color_transfer.generator import HueDiscriminator
from tests.huenet.color_transfer.small import SMALL, images


def test_discriminator_takes_each_image_as_a_batch_of_its_own() -> None:
    torch.manual_seed(0)
    judge = HueDiscriminator(dataclasses.replace(SMALL, norm="batch"))
    one, other = rgb_to_hsv(images(2, 3, 32, 32)), rgb_to_hsv(images(2, 3, 32, 32, seed=1))
    together = judge(one, other)
    assert len(together) == 2 and torch.equal(together[0], judge(one)[0]) and torch.equal(together[1], judge(other)[0])
