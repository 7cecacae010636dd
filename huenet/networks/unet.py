"""The U-Net of pix2pix (Isola et al. 2017), on images of any size its halvings leave at least one pixel of, square or not."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import WIDEST, FiLM, Norm, Upsample, init_weights, make_norm

DROPOUT_BLOCKS = 3


class DownBlock(nn.Module):
    """LeakyReLU (not before the first), 4x4 convolution of stride 2, normalisation (not after first and last)."""

    def __init__(self, channels_in: int, channels_out: int, norm: Norm, *, activate: bool) -> None:
        super().__init__()
        self.activation = nn.LeakyReLU(0.2) if activate else nn.Identity()
        self.conv = nn.Conv2d(channels_in, channels_out, 4, stride=2, padding=1, bias=norm == "none")
        self.norm = make_norm(norm, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(self.activation(x)))


class UpBlock(nn.Module):
    """ReLU, enlargement to a given size, normalisation, FiLM where there is a condition, dropout."""

    def __init__(
        self, channels_in: int, channels_out: int, norm: Norm, upsample: Upsample, dropout: float, condition_size: int
    ) -> None:
        super().__init__()
        bias = norm == "none"
        if upsample == "resize":
            self.conv = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=bias)
        elif upsample == "transposed":
            self.conv = nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=1, bias=bias)
        else:
            raise ValueError(f"upsample must be 'resize' or 'transposed', got {upsample!r}")
        self.norm = make_norm(norm, channels_out)
        self.film = FiLM(condition_size, channels_out) if condition_size else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, size: list[int], condition: Tensor | None) -> Tensor:
        """x (B, C, h, w) -> (B, channels_out, *size), where size is 2h or 2h + 1 by 2w or 2w + 1."""
        x = F.relu(x)
        if isinstance(self.conv, nn.ConvTranspose2d):
            x = self.conv(x, output_size=size)
        else:
            x = self.conv(F.interpolate(x, size=size, mode="nearest"))
        x = self.norm(x)
        if self.film is not None:
            x = self.film(x, condition)
        return self.dropout(x)


class UNet(nn.Module):
    """Encoder and decoder with skip connections at every scale (the paper's generator, without its output function).

    ``depth`` halvings; channels ``width`` times 1, 2, 4, 8, 8, ...; dropout in the three innermost up blocks.
    ``condition_size`` > 0 adds FiLM after every normalisation of the decoder. ``input_skip`` joins the input itself to the
    decoder's last features, for one more 3x3 convolution; without it the last up block gives the output, as in pix2pix.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        width: int = 64,
        depth: int = 8,
        norm: Norm = "batch",
        dropout: float = 0.0,
        upsample: Upsample = "resize",
        condition_size: int = 0,
        input_skip: bool = False,
    ) -> None:
        super().__init__()
        if depth < 1:
            raise ValueError(f"depth must be at least 1, got {depth}")
        self.depth, self.condition_size = depth, condition_size
        widths = [channels_in, *(width * min(2**level, WIDEST) for level in range(depth))]
        # The innermost map may be a single pixel, which normalisation per image would erase.
        self.down = nn.ModuleList(
            DownBlock(widths[level], widths[level + 1], norm if 0 < level < depth - 1 else "none", activate=level > 0)
            for level in range(depth)
        )
        self.up = nn.ModuleList()
        for level in reversed(range(depth)):
            inputs = widths[level + 1] * (1 if level == depth - 1 else 2)
            drop = dropout if depth - 1 - level < DROPOUT_BLOCKS else 0.0
            if level > 0 or input_skip:
                outputs = widths[level] if level > 0 else width
                self.up.append(UpBlock(inputs, outputs, norm, upsample, drop, condition_size))
            else:
                self.up.append(UpBlock(inputs, channels_out, "none", upsample, 0.0, 0))
        self.last = nn.Conv2d(width + channels_in, channels_out, 3, padding=1) if input_skip else None
        self.apply(init_weights)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """x (B, channels_in, H, W), condition (B, condition_size) -> (B, channels_out, H, W), without bounds.

        Raises ``ValueError`` if H or W is less than 2**depth or the condition is missing or superfluous.
        """
        if min(x.shape[-2:]) < 2**self.depth:
            least = f"at least {2**self.depth} pixels a side"
            raise ValueError(f"a U-Net of depth {self.depth} needs images of {least}, got {tuple(x.shape)}")
        if (condition is not None) != bool(self.condition_size):
            wanted = "given" if self.condition_size else "None"
            raise ValueError(f"condition must be {wanted} with condition_size {self.condition_size}")
        skips = []
        for down in self.down:
            skips.append(x)
            x = down(x)
        for up in self.up:
            skip = skips.pop()
            x = up(x, list(skip.shape[-2:]), condition)
            if skips:
                x = torch.cat([x, skip], dim=1)
        return x if self.last is None else self.last(torch.cat([F.relu(x), skip], dim=1))
