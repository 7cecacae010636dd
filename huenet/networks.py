"""Networks that any system may be built of: pix2pix's U-Net for generators, its PatchGAN for discriminators (Isola et al. 2017).

No convolution that a normalisation follows has a bias: the normalisation removes it, and what rounding leaves of its gradient
would be blown up by Adam.
"""

import functools
import itertools
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Norm = Literal["batch", "instance", "none"]
Upsample = Literal["resize", "transposed"]
DROPOUT_BLOCKS = 3
WIDEST = 8
"""Deeper layers double the first one's channels up to so many times."""


def make_norm(kind: Norm, channels: int) -> nn.Module:
    """Normalisation layer for ``channels`` channels, with a learned scale and shift."""
    layers = {"batch": nn.BatchNorm2d, "instance": functools.partial(nn.InstanceNorm2d, affine=True), "none": nn.Identity}
    if kind not in layers:
        raise ValueError(f"norm must be 'batch', 'instance' or 'none', got {kind!r}")
    return layers[kind](channels)


def init_weights(module: nn.Module) -> None:
    """pix2pix's initialisation, for ``nn.Module.apply``: weights N(0, 0.02), norms' scales N(1, 0.02), biases 0."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, (nn.BatchNorm2d, nn.InstanceNorm2d)):
        nn.init.normal_(module.weight, 1.0, 0.02)
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)


class FiLM(nn.Module):
    """Feature-wise scale and shift from a vector (Perez et al. 2018): x (1 + scale(c)) + shift(c), near x at first."""

    def __init__(self, condition_size: int, channels: int) -> None:
        super().__init__()
        self.affine = nn.Linear(condition_size, 2 * channels)
        nn.init.normal_(self.affine.weight, 0.0, 0.02)
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """x (B, C, H, W) and condition (B, condition_size) -> (B, C, H, W)."""
        scale, shift = self.affine(condition)[:, :, None, None].chunk(2, dim=1)
        return x * (1 + scale) + shift


class PatchDiscriminator(nn.Module):
    """PatchGAN: one logit per overlapping patch (70 pixels wide for depth 3)."""

    def __init__(self, channels_in: int, *, width: int = 64, depth: int = 3, norm: Norm = "batch") -> None:
        super().__init__()
        if depth < 1:
            raise ValueError(f"depth must be at least 1, got {depth}")
        widths = [width * min(2**level, WIDEST) for level in range(depth + 1)]
        layers: list[nn.Module] = [nn.Conv2d(channels_in, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for level, (narrow, wide) in enumerate(itertools.pairwise(widths), 1):
            conv = nn.Conv2d(narrow, wide, 4, stride=2 if level < depth else 1, padding=1, bias=norm == "none")
            layers += [conv, make_norm(norm, wide), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, padding=1))
        self.apply(init_weights)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, channels_in, H, W) -> logits (B, 1, h, w), about H / 2**depth by W / 2**depth."""
        return self.layers(x)


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
    """Encoder and decoder with skip connections at every scale (the paper's generator, without its output function), on images of
    any size its halvings leave at least one pixel of, square or not.

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
