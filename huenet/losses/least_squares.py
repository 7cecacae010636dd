"""The adversarial loss of LSGAN (Mao et al. 2017), which CycleGAN and GcGAN are trained with."""

from torch import Tensor, nn

from .arguments import at_least_float32


class LeastSquaresLoss(nn.Module):
    """Squares in place of the cross entropy of `AdversarialLoss`, on a discriminator's outputs of any shape, averaged over patches.

    CycleGAN halves the discriminator's part. Adam, which divides by the gradient's size, does not see that.

    Example:
        >>> import torch
        >>> from huenet.losses import LeastSquaresLoss
        >>> LeastSquaresLoss()(torch.zeros(2, 1, 4, 4))  # the square of what is missing to 1, which is "real"
        tensor(1.)
    """

    def forward(self, fake_logits: Tensor) -> Tensor:
        """The generator's part, (D(fake) - 1)^2 -> scalar."""
        return (at_least_float32(fake_logits) - 1).square().mean()

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """The discriminator's part, (D(real) - 1)^2 + D(fake)^2 -> scalar."""
        return (at_least_float32(real_logits) - 1).square().mean() + at_least_float32(fake_logits).square().mean()
