"""Histograms of samples that are spread over processes: one histogram of all of them, on every process, differentiable.

    histogram = soft_histogram(x, bins, weights=weights)                          # of this process's samples
    histogram = all_reduce_histogram(histogram, weights.sum(-1))                  # of everybody's
    loss = emd(histogram, target, circular=True)                                  # the same number on every process

Losses of histograms are no means over samples, so the mean of the processes' losses is not the loss of the joint batch; that of
the joint histogram is. docs/distributed.md has examples, and what to do with DistributedDataParallel.
"""

from __future__ import annotations

import numbers
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor


def all_reduce_histogram(
    histogram: Tensor,
    votes: Tensor | float,
    group: dist.ProcessGroup | None = None,
    *,
    gradients: Literal["sum", "mean"] = "sum",
) -> Tensor:
    """The histogram of the samples of all processes, from each process's own: sum_r (W_r / W) H_r with W = sum_r W_r.

    One all-reduce, in float64; all processes of the group must call it, with histograms of one shape, and get the same numbers.

    Args:
        histogram: H_r, floating, as by `soft_histogram` (..., K) or `joint_histogram` (..., Kx, Ky): means over this process's
            samples. Leading dimensions are histograms apart, each joined with the other processes' at the same place.
        votes: W_r, what these means are over: the number of samples, or with weights their sum, `weights.sum(-1)`, whose shape is
            that of the leading dimensions or the first of them. Differentiable, which weights need: a weight also moves its
            process's share of the whole. A process without samples or votes gives 0; its histogram's zeros do not count, and its
            gradients are zero.
        group: the processes, torch's default group unless given. Without one, or alone in it, a histogram is already whole: it is
            returned as it is.
        gradients: how the processes' gradients are put together afterwards. "sum": each gets (W_r / W) of the upstream gradient,
            and all processes' gradients of parameters add up to those of one process with all samples. "mean" gives each as many
            times more as there are processes, for what averages gradients, as DistributedDataParallel and FSDP do.

    Returns:
        as `histogram`. Backward there is no communication: the loss must be computed from it alike on every process, as then each
        knows the upstream gradient. A loss that differs from process to process is not summed over them. Where nobody has a vote,
        zeros with zero gradients. NaN on one process shows on all.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """
    if gradients not in ("sum", "mean"):
        raise ValueError(f"gradients must be 'sum' or 'mean', got {gradients!r}")
    if not isinstance(histogram, Tensor) or not histogram.dtype.is_floating_point:
        raise TypeError(f"histogram must be a floating torch.Tensor, got {getattr(histogram, 'dtype', type(histogram).__name__)}")
    votes = _one_for_each(votes, histogram)
    size = group_size(group)
    if size == 1:
        return histogram
    # without votes a histogram is no mean, and what a first vote would do to it is not known here
    votes = torch.where(votes == 0, 0.0, votes)
    own = torch.cat([(votes * histogram).flatten(), votes.flatten()])
    # the sum of all, of which each process differentiates its own part
    whole = all_reduce_sum(own, group) + (size if gradients == "mean" else 1) * (own - own.detach())
    mass, total = whole[: histogram.numel()].view(histogram.shape), whole[histogram.numel() :].view(votes.shape)
    return torch.where(total == 0, 0.0, mass / torch.where(total == 0, 1.0, total)).to(histogram.dtype)


def all_reduce_sum(values: Tensor, group: dist.ProcessGroup | None = None) -> Tensor:
    """The sum over the processes of a group, on each of them; constant for autograd. Alone, a copy."""
    values = values.detach().clone()
    if group_size(group) > 1:
        dist.all_reduce(values, group=group)
    return values


def group_size(group: dist.ProcessGroup | None = None) -> int:
    """How many processes there are in a group, torch's default one unless given; 1 where torch.distributed is not in use.

    Raises ValueError where this process does not belong to it.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return 1
    size = dist.get_world_size(group)
    if size < 1:
        raise ValueError("group must be one that this process belongs to, got another")
    return size


def _one_for_each(votes: Tensor | float, histogram: Tensor) -> Tensor:
    """Votes in float64, shaped so that they broadcast against their histograms."""
    if not isinstance(votes, Tensor | numbers.Real) or (isinstance(votes, Tensor) and votes.is_complex()):
        raise TypeError(f"votes must be a real number or a tensor of them, got {getattr(votes, 'dtype', type(votes).__name__)}")
    votes = torch.as_tensor(votes, dtype=torch.float64, device=None if isinstance(votes, Tensor) else histogram.device)
    if votes.device != histogram.device:
        raise ValueError(f"votes must be on the device of histogram, expected {histogram.device}, got {votes.device}")
    bins = histogram.dim() - votes.dim()
    if bins < 1 or votes.shape != histogram.shape[: votes.dim()]:
        expected = f"one number for each histogram, of a shape that {tuple(histogram.shape)} begins with, without its bins"
        raise ValueError(f"votes must be {expected}, got {tuple(votes.shape)}")
    return votes.view(votes.shape + (1,) * bins)
