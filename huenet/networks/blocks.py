"""What networks are built of: normalisation, initialisation, and modulation by a condition.

No convolution that a normalisation follows has a bias: the normalisation removes it, and what rounding leaves of its gradient
would be blown up by Adam.
"""

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Norm = Literal["batch", "instance", "none"]
Upsample = Literal["resize", "transposed"]
WIDEST = 8
"""Deeper layers double the first one's channels up to so many times."""


@contextlib.contextmanager
def usual_defaults() -> Iterator[None]:
    """Within, new tensors are float32 and on the CPU, whatever the program around has set for its own."""
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.device("cpu"):
            yield
    finally:
        torch.set_default_dtype(dtype)


class within_size(TorchFunctionMode):
    """Within, modules may be made of so many numbers in all; ValueError before more memory is taken than that.

    For settings that come from a file, which tells how large a network can be. (The "meta" device, which takes no memory, takes
    two seconds to import what its arithmetic needs.)
    """

    FACTORIES = frozenset({torch.empty, torch.zeros, torch.ones, torch.randn, torch.arange})

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most, self.made = most, 0

    def __torch_function__(self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if function in self.FACTORIES:  # of sizes, apart or as a tuple
            self.made += math.prod(args[0] if isinstance(args[0], (tuple, list)) else args)
        if self.made > self.most or _broadcast(args) > self.most:
            raise ValueError(f"these settings make a network of more than {self.most} numbers")
        return function(*args, **(kwargs or {}))


def _broadcast(args: tuple) -> int:
    """Numbers that the tensors become together. (torch.broadcast_shapes takes a second to import what it needs.)"""
    shapes = (reversed(one.shape) for one in args if isinstance(one, Tensor))
    return math.prod(map(max, itertools.zip_longest(*shapes, fillvalue=1)))


def make_norm(kind: Norm, channels: int) -> nn.Module:
    """Normalisation layer for ``channels`` channels, with a learned scale and shift."""
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "instance":
        return nn.InstanceNorm2d(channels, affine=True)
    if kind == "none":
        return nn.Identity()
    raise ValueError(f"norm must be 'batch', 'instance' or 'none', got {kind!r}")


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
