"""Soft histogram as the sum of all samples' responses in all bins: few operations, for few samples and bins. Responses are held
from the forward to the backward pass."""

import math

import torch
from torch import Tensor

from ..common.bins import Bins
from ..common.bins_axis import bins_axis, held_shapes

#: responses up to which making them takes no longer than the calls of moments and tables
MOST = 1 << 17


def held(x: Tensor, bins: Bins) -> list[Tensor]:
    """Room for what describes samples x (B, N), and for their responses; empty where this is not the way. By shapes alone."""
    shapes = held_shapes(bins, x)
    if shapes is None or math.prod(shapes[1]) > MOST:
        shapes = (0,), (0,)
    return [x.new_empty(shape) for shape in shapes]


def forward(x: Tensor, shares: Tensor | None, bins: Bins, described: Tensor, values: Tensor) -> Tensor:
    """(B, N) -> (B, K), writing what is held."""
    axis = bins_axis(bins, x, True)
    axis.values(axis.describe_all(x.unsqueeze(0), described), values)
    values = values[0]
    # torch sums in a cascade, so that of many equal samples not every addition is rounded the same way
    sums = values.sum(1) if shares is None else (values * shares.unsqueeze(-1)).sum(1)
    return axis.fold(sums.mul_(axis.factor / x.shape[1] if shares is None else axis.factor)).contiguous()


def backward(
    grad: Tensor, x: Tensor, shares: Tensor | None, bins: Bins, described: Tensor, values: Tensor, needs: list[bool]
) -> tuple[Tensor, Tensor]:
    """Gradients with respect to x and shares, empty where not needed."""
    axis, grad_x, grad_shares = bins_axis(bins, x, True), x.new_empty(0), x.new_empty(0)
    upstream = axis.expand(grad, True).to(x.dtype).unsqueeze(-1)
    if needs[0]:
        slopes = torch.matmul(axis.slopes_at(described.movedim(0, -1)[0], values[0]), upstream).squeeze(-1)
        slopes *= axis.slope_factor / x.shape[1] if shares is None else axis.slope_factor
        grad_x = slopes if shares is None else slopes.mul_(shares)
    if needs[1]:
        grad_shares = torch.matmul(values[0], upstream).squeeze(-1).mul_(axis.factor)
    return grad_x, grad_shares
