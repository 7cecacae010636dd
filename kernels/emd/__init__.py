"""Earth mover's distance between histograms on a line or a circle (Hue-Net, Eq. 12-15). Derivation: README.md beside this file."""

import torch
from torch import Tensor

from ..common import arguments
from ..common.operator import Operator
from . import portable, reference

OPERATOR = Operator(
    "squared_emd",
    "p q",
    {"circular": bool},
    result=lambda p, q, circular: (p.shape[0],),
    reference=reference,
    portable=portable,
    fused=False,
)


def squared_emd(p: Tensor, q: Tensor, *, circular: bool = False) -> Tensor:
    """Sum over bins of the squared difference of the cumulative histograms (Hue-Net, Eq. 13); circular: Eq. 14.

    Args:
        p, q: histograms, (..., K), leading dimensions broadcast. Masses may differ; the formulas are applied as they stand.
        circular: the least value over the K cyclic shifts of both histograms (bins on a circle, as hues).

    Returns:
        (...), non-negative; of order K. 0 for equal histograms, with zero gradient.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        RuntimeError: on second or forward-mode derivatives and `torch.func` transforms.

    Example:
        >>> import torch
        >>> from huenet.kernels import squared_emd
        >>> p, q = torch.tensor([1.0, 0, 0, 0]), torch.tensor([0, 0, 0, 1.0])
        >>> squared_emd(p, q), squared_emd(p, q, circular=True)
        (tensor(3.), tensor(1.))
    """
    p, q = arguments.histograms(p, q, circular)
    return arguments.of_rows(OPERATOR(arguments.rows(p), arguments.rows(q), circular), p)


def emd(p: Tensor, q: Tensor, *, circular: bool = False, order: int = 2) -> Tensor:
    """Earth mover's distance of order 1 or 2 between histograms, per bin: (1/K sum |CDF difference|^order)^(1/order), Eq. 12.

    Args:
        p, q: histograms, (..., K), leading dimensions broadcast.
        circular: bins on a circle (Eq. 14). Order 1 subtracts the median of the CDF difference, which is the least cyclic shift
            when the masses are equal (Werman et al. 1985).
        order: 2 (the paper's) or 1 (earth mover's distance in its usual sense, in units of the range).

    Returns:
        (...), non-negative. At 0 the gradient is 0.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        RuntimeError: on second or forward-mode derivatives and `torch.func` transforms of order 2.

    Example:
        >>> import torch
        >>> from huenet.kernels import emd
        >>> p, q = torch.tensor([1.0, 0, 0, 0]), torch.tensor([0, 0, 0, 1.0])
        >>> emd(p, q, order=1), emd(p, q, order=1, circular=True)  # three bins apart on a line, one on a circle
        (tensor(0.7500), tensor(0.2500))
    """
    if order not in (1, 2):
        raise ValueError(f"order must be 1 or 2, got {order!r}")
    p, q = arguments.histograms(p, q, circular)
    if order == 2:
        return root_mean(squared_emd(p, q, circular=circular), p.shape[-1])
    cumulative = (p.double() - q.double()).cumsum(-1)
    if circular:
        cumulative = cumulative - cumulative.median(-1, keepdim=True).values
    return cumulative.abs().mean(-1).to(p.dtype)


def root_mean(cost: Tensor, count: int) -> Tensor:
    """sqrt(cost / count). Its slope at 0 is infinite, the distance's one-sided: 0 is the subgradient that keeps training finite."""
    mean = cost / count
    return torch.where(mean == 0, 0, torch.where(mean == 0, 1, mean).sqrt())
