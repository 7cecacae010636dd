"""The soft histogram in plain dense PyTorch: the specification, the oracle of the tests and a baseline. Memory of order N x K."""

from torch import Tensor

from ..common.bins import Bins
from ..common.nonfinite import spoil
from ..common.responses import responses


def forward(x: Tensor, shares: Tensor | None, bins: Bins) -> Tensor:
    """(..., N) -> (..., K), Eq. 5; shares sum to one."""
    response = responses(x, bins)
    histogram = response.sum(-2) / max(x.shape[-1], 1) if shares is None else (response * shares.unsqueeze(-1)).sum(-2)
    return spoil(histogram, 1, x, shares)
