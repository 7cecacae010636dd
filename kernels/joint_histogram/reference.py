"""The joint histogram in plain dense PyTorch: the specification, the oracle of the tests and a baseline. Memory of order N x K."""

from torch import Tensor

from ..common.bins import Bins
from ..common.nonfinite import spoil
from ..common.responses import responses


def forward(x: Tensor, y: Tensor, shares: Tensor | None, bins_x: Bins, bins_y: Bins) -> Tensor:
    """(..., N), (..., N) -> (..., Kx, Ky), Eq. 23-24; shares sum to one."""
    response_x, response_y = responses(x, bins_x), responses(y, bins_y)
    if shares is None:
        joint = response_x.mT @ response_y / max(x.shape[-1], 1)
    else:
        joint = (response_x * shares.unsqueeze(-1)).mT @ response_y
    return spoil(joint, 2, x, y, shares)
