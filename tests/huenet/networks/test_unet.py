"""The networks' shapes, their initialisation, and what of pix2pix they promise."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from huenet.networks.unet import FiLM, PatchDiscriminator, UNet

NORMS = ("batch", "instance", "none")


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("upsample", ["resize", "transposed"])
@pytest.mark.parametrize("shape", [(32, 32), (33, 47), (64, 36)])
def test_unet_keeps_any_size(norm: str, upsample: str, shape: tuple[int, int]) -> None:
    network = UNet(4, 2, width=4, depth=5, norm=norm, upsample=upsample)
    assert network(torch.rand(2, 4, *shape)).shape == (2, 2, *shape)


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_every_input_pixel_and_parameter_matters(depth: int) -> None:
    torch.manual_seed(0)
    network = UNet(3, 1, width=4, depth=depth, norm="instance", condition_size=5)
    x, condition = torch.rand(2, 3, 32, 32, requires_grad=True), torch.rand(2, 5, requires_grad=True)
    network(x, condition).square().sum().backward()
    assert (x.grad != 0).all()
    assert depth == 1 or (condition.grad != 0).all()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and (parameter.grad != 0).any(), name


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


def test_innermost_map_is_not_erased_by_instance_normalisation() -> None:
    torch.manual_seed(0)
    network = UNet(1, 1, width=4, depth=5, norm="instance")
    seen = []
    network.down[-1].register_forward_hook(lambda *args: seen.append(args[2]))
    network(torch.rand(1, 1, 32, 32))
    assert seen[0].shape[-2:] == (1, 1) and (seen[0] != 0).any()


def test_initialisation_is_pix2pix() -> None:
    torch.manual_seed(0)
    network = UNet(3, 1, width=32, depth=5, norm="batch")
    convolution = network.down[3].conv.weight
    # The standard deviation of n samples is known to about 1 / sqrt(2 n), n = 1,048,576: five of those.
    assert convolution.std().item() == pytest.approx(0.02, rel=5 / (2 * convolution.numel()) ** 0.5)
    scales = torch.cat([module.weight for module in network.modules() if isinstance(module, nn.BatchNorm2d)])
    assert abs(scales.mean().item() - 1) < 5 * 0.02 / scales.numel() ** 0.5
    assert all((module.bias == 0).all() for module in network.modules() if getattr(module, "bias", None) is not None)


def test_dropout_sits_in_the_innermost_up_blocks_and_only_trains() -> None:
    network = UNet(3, 1, width=4, depth=6, norm="none", dropout=0.5)
    assert [block.dropout.p for block in network.up] == [0.5, 0.5, 0.5, 0.0, 0.0, 0.0]
    x = torch.rand(1, 3, 64, 64)
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))


def test_film_starts_near_the_identity_and_reads_its_condition() -> None:
    torch.manual_seed(0)
    film = FiLM(6, 3)
    x, condition = torch.ones(2, 3, 4, 4), torch.eye(2, 6)
    modulated = film(x, condition)
    assert (modulated - x).abs().max() < 0.2  # ten standard deviations of its weights
    assert not torch.equal(modulated[0], modulated[1])
    assert torch.equal(film(x, torch.zeros(2, 6)), x)


@pytest.mark.parametrize(("depth", "field"), [(1, 16), (2, 34), (3, 70)])
def test_discriminator_judges_patches_of_pix2pix(depth: int, field: int) -> None:
    torch.manual_seed(0)
    network = PatchDiscriminator(1, width=2, depth=depth, norm="none").double()
    x = torch.rand(1, 1, 160, 160, dtype=torch.float64, requires_grad=True)
    logits = network(x)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    rows = (x.grad[0, 0] != 0).any(1).nonzero()
    assert rows.max() - rows.min() + 1 == field


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="at least 32 pixels"):
        UNet(1, 1, width=2, depth=5)(torch.rand(1, 1, 16, 40))
    with pytest.raises(ValueError, match="condition"):
        UNet(1, 1, width=2, depth=2, condition_size=3)(torch.rand(1, 1, 16, 16))
    with pytest.raises(ValueError, match="condition"):
        UNet(1, 1, width=2, depth=2)(torch.rand(1, 1, 16, 16), torch.rand(1, 3))
    for make in (lambda: UNet(1, 1, depth=0), lambda: PatchDiscriminator(1, depth=0)):
        with pytest.raises(ValueError, match="depth"):
            make()
    with pytest.raises(ValueError, match="norm"):
        UNet(1, 1, norm="layer")
    with pytest.raises(ValueError, match="upsample"):
        UNet(1, 1, upsample="bicubic")
