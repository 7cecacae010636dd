"""Local mutual information in Triton: the kernels of mutual information, with patches as rows, taken as `portable` takes them."""

from torch import Tensor

from ..common.bins import Bins
from ..mutual_information import fused as mutual_information
from . import portable
from .patches import Patches


def unserved(
    x: Tensor, y: Tensor, weights: Tensor | None, bins_x: Bins, bins_y: Bins, patches: Patches, marginals: str
) -> str | None:
    """Why the kernels cannot serve these bins, None if they can."""
    rows = x.new_empty(1, patches.pixels, device="meta")
    return mutual_information.unserved(rows, rows, None if weights is None else rows, bins_x, bins_y, marginals)


def forward(*arguments: Tensor | Bins | Patches | str | None) -> Tensor:
    """(B, *shape), (B, *shape) not empty -> (B, *grid, 4)."""
    return portable.forward(*arguments, information=mutual_information)


def backward(grad: Tensor, *arguments: Tensor | Bins | Patches | str | list[bool] | None) -> list[Tensor]:
    """Gradients with respect to x, y and weights, empty where not needed."""
    return portable.backward(grad, *arguments, information=mutual_information)
