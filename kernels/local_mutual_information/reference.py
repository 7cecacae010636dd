"""Local mutual information in plain dense PyTorch: the specification, the oracle of the tests and a baseline. Memory of order
patches x pixels of a patch x K."""

from torch import Tensor

from ..common.bins import Bins
from ..common.shares import normalised
from ..mutual_information import reference as mutual_information
from .patches import Patches


def forward(x: Tensor, y: Tensor, weights: Tensor | None, bins_x: Bins, bins_y: Bins, patches: Patches, marginals: str) -> Tensor:
    """(B, *shape), (B, *shape) -> (B, *grid, 4): the four terms of the samples of every patch."""
    x, y = patches.unfolded(x), patches.unfolded(y)
    shares = None if weights is None else normalised(patches.unfolded(weights), x.dtype)
    return mutual_information.forward(x, y, shares, bins_x, bins_y, marginals)
