"""Mutual information in plain dense PyTorch: the specification, the oracle of the tests and a baseline. Memory of order N x K."""

import torch
from torch import Tensor

from ..common.bins import Bins
from ..common.nonfinite import spoil
from ..joint_histogram import reference as joint_histogram
from ..soft_histogram import reference as soft_histogram


def forward(x: Tensor, y: Tensor, shares: Tensor | None, bins_x: Bins, bins_y: Bins, marginals: str) -> Tensor:
    """(..., N), (..., N) -> (..., 4); shares sum to one."""
    joint = joint_histogram.forward(x, y, shares, bins_x, bins_y)
    if marginals == "joint":
        p, q = joint.sum(-1), joint.sum(-2)
    else:
        p, q = soft_histogram.forward(x, shares, bins_x), soft_histogram.forward(y, shares, bins_y)
    return spoil(information_terms(joint, p, q), 1, x, y, shares)


def information_terms(joint: Tensor, p: Tensor, q: Tensor) -> Tensor:
    """Mutual information (Eq. 16), joint entropy (Eq. 18), entropies of p and q, in nats: (..., 4)."""
    rows, columns = joint.sum(-1), joint.sum(-2)
    joint_entropy = -(joint * _log(joint)).sum((-2, -1))
    cross_x = -(rows * _log(p)).sum(-1)
    cross_y = -(columns * _log(q)).sum(-1)
    entropy_x, entropy_y = -(p * _log(p)).sum(-1), -(q * _log(q)).sum(-1)
    return torch.stack([cross_x + cross_y - joint_entropy, joint_entropy, entropy_x, entropy_y], -1)


def _log(p: Tensor) -> Tensor:
    """log p, but 0 with zero gradient where p is 0: 0 log 0 := 0 and its derivative := 0."""
    return torch.where(p <= 0, 1, p).log()  # a NaN is not, and stays
