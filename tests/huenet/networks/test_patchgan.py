"""The PatchGAN discriminator's patches."""

from __future__ import annotations

import pytest
import torch

from huenet.networks import PatchDiscriminator


@pytest.mark.parametrize(("depth", "field"), [(1, 16), (2, 34), (3, 70)])
def test_discriminator_judges_patches_of_pix2pix(depth: int, field: int) -> None:
    torch.manual_seed(0)
    network = PatchDiscriminator(1, width=2, depth=depth, norm="none").double()
    x = torch.rand(1, 1, 160, 160, dtype=torch.float64, requires_grad=True)
    logits = network(x)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    rows = (x.grad[0, 0] != 0).any(1).nonzero()
    assert rows.max() - rows.min() + 1 == field
