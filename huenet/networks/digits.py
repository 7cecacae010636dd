"""The small networks of digit translation: those of DistanceGAN (Benaim and Wolf 2017) and GcGAN (Fu et al. 2019), for 32 pixels.

Their convolutions have no bias, their weights torch's usual beginning, and their activation is a leaky ReLU of 0.05.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import Norm, make_norm

SLOPE = 0.05


class DigitGenerator(nn.Module):
    """Two halvings, two 3x3 convolutions, two doublings, all normalised but the last; without its output function."""

    LEAST = 8
    """Pixels a side that normalisation needs."""

    def __init__(self, channels_in: int, channels_out: int, *, width: int = 64, norm: Norm = "batch") -> None:
        super().__init__()
        self.down = nn.ModuleList([_halving(channels_in, width, norm), _halving(width, 2 * width, norm)])
        self.middle = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(2 * width, 2 * width, 3, padding=1, bias=False), make_norm(norm, 2 * width), _activation())
                for _ in range(2)
            )
        )
        self.up = nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1, bias=False)
        self.norm = make_norm(norm, width)
        self.last = nn.ConvTranspose2d(width, channels_out, 4, stride=2, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, channels_in, H, W) -> (B, channels_out, H, W), without bounds. ``ValueError`` below `LEAST` pixels a side."""
        if min(x.shape[-2:]) < self.LEAST:
            raise ValueError(f"a digit generator needs images of at least {self.LEAST} pixels a side, got {tuple(x.shape)}")
        sizes = []
        for down in self.down:
            sizes.append(list(x.shape[-2:]))
            x = down(x)
        x = F.leaky_relu(self.norm(self.up(self.middle(x), output_size=sizes.pop())), SLOPE)
        return self.last(x, output_size=sizes.pop())


class DigitDiscriminator(nn.Module):
    """Three halvings, all normalised but the first, and a convolution as large as what is left: 4 of 32 pixels, 3 of 28."""

    def __init__(self, channels_in: int, *, width: int = 64, norm: Norm = "batch", size: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _halving(channels_in, width, "none"),
            _halving(width, 2 * width, norm),
            _halving(2 * width, 4 * width, norm),
            nn.Conv2d(4 * width, 1, min(4, size // 8), bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """x (B, channels_in, H, W) -> logits (B, 1, h, w), one for a digit of `size` up to 32 pixels."""
        return self.layers(x)


def _halving(channels_in: int, channels_out: int, norm: Norm) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 4, stride=2, padding=1, bias=False), make_norm(norm, channels_out), _activation()
    )


def _activation() -> nn.Module:
    return nn.LeakyReLU(SLOPE)


class DigitClassifier(nn.Module):
    """The LeNet by which GcGAN's and DistanceGAN's digits are judged: two convolutions of 5 pixels, each pooled, with dropout."""

    SIZE = 32

    def __init__(self, channels: int, classes: int = 10) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 10, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(10, 20, 5),
            nn.Dropout2d(),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(20 * 5 * 5, 50),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(50, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """x (B, channels, 32, 32) -> logits (B, classes)."""
        return self.layers(x)
