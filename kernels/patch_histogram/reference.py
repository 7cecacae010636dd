"""Patch histograms in plain dense PyTorch: the specification, the oracle of the tests and a baseline. Memory of order pixels x
K."""

from torch import Tensor

from ..common.bins import Bins
from ..common.nonfinite import spoil
from ..common.responses import responses


def forward(x: Tensor, bins: Bins, patch: int, stride: int) -> Tensor:
    """(B, C, H, W) -> (B, patches, C*K): phi_h of every patch, in the order of `torch.nn.functional.unfold`."""
    patches = x.unfold(2, patch, stride).unfold(3, patch, stride).flatten(4)  # (B, C, rows, columns, patch^2)
    counts = spoil(responses(patches, bins).sum(-2), 1, patches)
    return counts.permute(0, 2, 3, 1, 4).flatten(3).flatten(1, 2)
