"""The PatchGAN discriminator of pix2pix (Isola et al. 2017)."""

from torch import Tensor, nn

from .blocks import WIDEST, Norm, init_weights, make_norm


class PatchDiscriminator(nn.Module):
    """PatchGAN: one logit per overlapping patch (70 pixels wide for depth 3)."""

    def __init__(self, channels_in: int, *, width: int = 64, depth: int = 3, norm: Norm = "batch") -> None:
        super().__init__()
        if depth < 1:
            raise ValueError(f"depth must be at least 1, got {depth}")
        layers: list[nn.Module] = [nn.Conv2d(channels_in, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        channels = width
        for level in range(1, depth + 1):
            wider = width * min(2**level, WIDEST)
            stride = 2 if level < depth else 1
            layers += [
                nn.Conv2d(channels, wider, 4, stride=stride, padding=1, bias=norm == "none"),
                make_norm(norm, wider),
                nn.LeakyReLU(0.2),
            ]
            channels = wider
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels, 1, 4, padding=1))
        self.apply(init_weights)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, channels_in, H, W) -> logits (B, 1, h, w), about H / 2**depth by W / 2**depth."""
        return self.layers(x)
