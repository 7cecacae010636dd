"""The sum of responses in plain dense PyTorch: the specification. Memory of order N x K."""

import torch
from torch import Tensor

from ..common.bins import Bins
from ..common.nonfinite import placeless, spoil
from ..common.responses import responses


def forward(x: Tensor, bins: Bins) -> Tensor:
    """(..., N) -> (..., N)."""
    sums = responses(x, bins).sum(-1)
    return spoil(sums.masked_fill(placeless(x, bins).any(-1, keepdim=True), torch.nan), 1, x)
