"""LSGAN's loss."""

from __future__ import annotations

import torch

from huenet.losses import LeastSquaresLoss


def test_it_is_its_formula_in_both_parts() -> None:
    loss, real, fake = LeastSquaresLoss(), torch.tensor([[0.5, 1.0]]), torch.tensor([[2.0, -1.0]])
    assert loss(fake) == (1 + 4) / 2
    assert loss.discriminator(real, fake) == 0.25 / 2 + (4 + 1) / 2
    assert loss(fake.half()).dtype == torch.float32
