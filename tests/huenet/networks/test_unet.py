"""The U-Net's shapes, its dropout and what it refuses."""

from __future__ import annotations

import pytest
import torch

from huenet.networks import PatchDiscriminator, UNet

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


def test_innermost_map_is_not_erased_by_instance_normalisation() -> None:
    torch.manual_seed(0)
    network = UNet(1, 1, width=4, depth=5, norm="instance")
    seen = []
    network.down[-1].register_forward_hook(lambda *args: seen.append(args[2]))
    network(torch.rand(1, 1, 32, 32))
    assert seen[0].shape[-2:] == (1, 1) and (seen[0] != 0).any()


def test_dropout_sits_in_the_innermost_up_blocks_and_only_trains() -> None:
    network = UNet(3, 1, width=4, depth=6, norm="none", dropout=0.5)
    assert [block.dropout.p for block in network.up] == [0.5, 0.5, 0.5, 0.0, 0.0, 0.0]
    x = torch.rand(1, 3, 64, 64)
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))


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
