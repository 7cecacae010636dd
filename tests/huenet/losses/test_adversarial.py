"""The adversarial loss against its definition."""

from __future__ import annotations

import pytest
import torch

from huenet.losses import AdversarialLoss


def test_adversarial_by_hand() -> None:
    loss, logits = AdversarialLoss(), torch.tensor([[-2.0, 0.0], [1.0, 100.0]], dtype=torch.float64)
    probabilities = torch.sigmoid(logits)
    assert loss(logits).item() == pytest.approx(-probabilities.log().mean().item(), abs=1e-12)
    other = torch.tensor([0.5, -1.0], dtype=torch.float64)
    expected = -other.sigmoid().log().mean() - (1 - logits[:, 0].sigmoid()).log().mean()
    assert loss.discriminator(other, logits[:, 0]).item() == pytest.approx(expected.item(), abs=1e-12)
    # Where the sigmoid would round to 0 the gradient must not vanish: the generator would never learn.
    hopeless = torch.tensor([-200.0], requires_grad=True)
    loss(hopeless).backward()
    assert hopeless.grad.item() == -1
