"""The residual generator."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from huenet.networks import ResNet


def test_it_has_cyclegans_parameters() -> None:
    """11,378,179 with instance normalisation without scale and shift, of which ours has both, and biases in their place."""
    network = ResNet(3, 3)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    norms = [module.num_features for module in network.modules() if isinstance(module, nn.InstanceNorm2d)]
    assert parameters - 2 * sum(norms) + sum(norms) == 11_378_179


@pytest.mark.parametrize(("height", "width"), [(5, 5), (6, 7), (8, 9), (16, 31)])
def test_any_size_comes_out_as_it_went_in(height: int, width: int) -> None:
    assert ResNet(1, 3, width=2, blocks=1)(torch.rand(2, 1, height, width)).shape == (2, 3, height, width)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="at least 5 pixels a side"):
        ResNet(3, 3, width=2, blocks=1)(torch.rand(1, 3, 4, 9))
    with pytest.raises(ValueError, match="blocks must not be negative, got -1"):
        ResNet(3, 3, blocks=-1)
