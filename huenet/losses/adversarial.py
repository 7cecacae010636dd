"""The adversarial loss, for any generator and discriminator."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from .precision import at_least_float32


class AdversarialLoss(nn.Module):
    """Non-saturating cross entropy on a discriminator's logits of any shape, averaged over patches."""

    def forward(self, fake_logits: Tensor) -> Tensor:
        """The generator's part, -log D(fake) (Eq. 28) -> scalar."""
        return F.softplus(-at_least_float32(fake_logits)).mean()

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """The discriminator's part, -log D(real) - log(1 - D(fake)) (Eq. 29) -> scalar."""
        return F.softplus(-at_least_float32(real_logits)).mean() + F.softplus(at_least_float32(fake_logits)).mean()
