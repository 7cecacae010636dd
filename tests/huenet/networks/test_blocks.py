"""What of pix2pix both networks promise: initialisation and biases; and FiLM."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from huenet.networks import PatchDiscriminator, UNet
from huenet.networks.blocks import FiLM


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize(
    "make", [lambda norm: UNet(3, 1, width=4, depth=5, norm=norm), lambda norm: PatchDiscriminator(3, width=4, norm=norm)]
)
def test_no_bias_before_a_normalisation(norm: str, make) -> None:
    modules = [
        module
        for module in make(norm).modules()
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.InstanceNorm2d))
    ]
    followed = [
        conv
        for conv, after in itertools.pairwise(modules)
        if isinstance(conv, (nn.Conv2d, nn.ConvTranspose2d)) and isinstance(after, (nn.BatchNorm2d, nn.InstanceNorm2d))
    ]
    assert followed and all(conv.bias is None for conv in followed)


def test_initialisation_is_pix2pix() -> None:
    torch.manual_seed(0)
    network = UNet(3, 1, width=32, depth=5, norm="batch")
    convolution = network.down[3].conv.weight
    # The standard deviation of n samples is known to about 1 / sqrt(2 n), n = 1,048,576: five of those.
    assert convolution.std().item() == pytest.approx(0.02, rel=5 / (2 * convolution.numel()) ** 0.5)
    scales = torch.cat([module.weight for module in network.modules() if isinstance(module, nn.BatchNorm2d)])
    assert abs(scales.mean().item() - 1) < 5 * 0.02 / scales.numel() ** 0.5
    assert all((module.bias == 0).all() for module in network.modules() if getattr(module, "bias", None) is not None)


def test_film_starts_near_the_identity_and_reads_its_condition() -> None:
    torch.manual_seed(0)
    film = FiLM(6, 3)
    x, condition = torch.ones(2, 3, 4, 4), torch.eye(2, 6)
    modulated = film(x, condition)
    assert (modulated - x).abs().max() < 0.2  # ten standard deviations of its weights
    assert not torch.equal(modulated[0], modulated[1])
    assert torch.equal(film(x, torch.zeros(2, 6)), x)
