"""Earth mover's distances in plain PyTorch, by all K shifts: the specification and the oracle of the tests. Memory of order K^2."""

import torch
from torch import Tensor

from ..common.nonfinite import spoil


def forward(p: Tensor, q: Tensor, circular: bool) -> Tensor:
    """Sum of squared differences of the cumulative histograms (Eq. 13); circular: least over cyclic shifts (Eq. 14)."""
    return spoil(_shifted_cdf_differences(p, q, circular).square().sum(-1).amin(-1), 0, p, q)


def absolute(p: Tensor, q: Tensor, circular: bool) -> Tensor:
    """Sum of absolute differences of the cumulative histograms; circular: least over cyclic shifts."""
    return spoil(_shifted_cdf_differences(p, q, circular).abs().sum(-1).amin(-1), 0, p, q)


def _shifted_cdf_differences(p: Tensor, q: Tensor, circular: bool) -> Tensor:
    """Cumulative sums of T(p, l) - T(q, l) for every shift l (Eq. 15), (..., shifts, K): the circulant matrix spelt out."""
    count, difference = p.shape[-1], p - q
    shifts = torch.arange(count if circular else 1, device=p.device)
    index = (shifts.unsqueeze(-1) + torch.arange(count, device=p.device)) % count
    # the total, which is 0 for histograms of equal mass, and NaN once one bin is infinite, is in every shift
    return difference[..., index].cumsum(-1) + (0 * difference.sum(-1)[..., None, None] if circular else 0)
