"""The residual generator of CycleGAN (Zhu et al. 2017, after Johnson et al. 2016), on images of any size from `ResNet.LEAST`."""

import itertools

from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import Norm, init_weights, make_norm

HALVINGS = 2


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions of a reflected image, each normalised, the first with ReLU and dropout, added to the input."""

    def __init__(self, channels: int, norm: Norm, dropout: float) -> None:
        super().__init__()
        bias = norm == "none"
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            make_norm(norm, channels),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            make_norm(norm, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class ResNet(nn.Module):
    """Two halvings, `blocks` residual blocks and two doublings, between 7x7 convolutions; without its output function.

    Channels are `width`, 2 `width`, 4 `width` and back. CycleGAN takes 9 blocks for images of 256 pixels and more, 6 below.
    """

    LEAST = 5
    """Pixels a side that reflection and normalisation need."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        width: int = 64,
        blocks: int = 9,
        norm: Norm = "instance",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if blocks < 0:
            raise ValueError(f"blocks must not be negative, got {blocks}")
        bias = norm == "none"
        widths = [width * 2**level for level in range(HALVINGS + 1)]
        self.first = nn.Sequential(
            nn.ReflectionPad2d(3), nn.Conv2d(channels_in, width, 7, bias=bias), make_norm(norm, width), nn.ReLU()
        )
        self.down = nn.ModuleList(
            nn.Sequential(nn.Conv2d(few, many, 3, stride=2, padding=1, bias=bias), make_norm(norm, many), nn.ReLU())
            for few, many in itertools.pairwise(widths)
        )
        self.blocks = nn.Sequential(*(ResidualBlock(widths[-1], norm, dropout) for _ in range(blocks)))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(many, few, 3, stride=2, padding=1, bias=bias) for few, many in zip(widths[-2::-1], widths[:0:-1])
        )
        self.norms = nn.ModuleList(make_norm(norm, few) for few in widths[-2::-1])
        self.last = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(width, channels_out, 7))
        self.apply(init_weights)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, channels_in, H, W) -> (B, channels_out, H, W), without bounds. ``ValueError`` below `LEAST` pixels a side."""
        if min(x.shape[-2:]) < self.LEAST:
            raise ValueError(f"a ResNet needs images of at least {self.LEAST} pixels a side, got {tuple(x.shape)}")
        x, sizes = self.first(x), []
        for down in self.down:
            sizes.append(list(x.shape[-2:]))
            x = down(x)
        x = self.blocks(x)
        for up, norm in zip(self.up, self.norms):
            x = F.relu(norm(up(x, output_size=sizes.pop())))
        return self.last(x)
