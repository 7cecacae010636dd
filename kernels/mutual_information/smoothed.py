"""Mutual information with smoothing constants within its logarithm, as registration packages have it, of joint histograms."""

import torch
from torch import Tensor

from ..common import arguments


def smoothed_information(joint: Tensor, smooth_nr: float = 1e-7, smooth_dr: float = 1e-7) -> Tensor:
    """Mutual information of joint histograms in nats, with constants that keep its logarithm from what is nearly zero:

        I = sum J log((J + smooth_nr) / (p q + smooth_dr) + smooth_dr),     p and q the row and column sums of J

    This is MONAI's (both 1e-7) and VoxelMorph's (`smooth_nr` 0, `smooth_dr` 1e-7). It is below the information, the more so the
    more bins share the samples: by some 1e-3 at 32 x 32 bins. With both 0 it is `MutualInformation.of_joint(joint).information`.
    A cell where the logarithm would be of 0, or the quotient by 0, contributes nothing, neither value nor gradient.

    Args:
        joint: joint histograms (..., Kx, Ky), non-negative, as by `joint_histogram`; floating, half precision is computed and
            returned in float32. A NaN shows.
        smooth_nr, smooth_dr: the constants, at least 0.

    Returns:
        (...), in nats. Plain PyTorch on Kx x Ky numbers, differentiable any number of times; the host waits for nothing.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.

    Source: MONAI, `monai/losses/image_dissimilarity.py`, `GlobalMutualInformationLoss`; VoxelMorph, `voxelmorph/tf/losses.py`,
        `NMI`; after Guo, *Multi-modal image registration with unsupervised deep learning*, 2019, Eq. 3.1.

    Example:
        >>> import torch
        >>> from huenet.kernels import smoothed_information
        >>> joint = torch.tensor([[0.5, 0.0], [0.0, 0.5]])
        >>> smoothed_information(joint, 1e-7, 1e-7)
        tensor(0.6931)
    """
    joint = arguments.samples("joint", joint)
    if joint.dim() < 2:
        raise ValueError(f"joint must have bins on its last two dimensions, got {tuple(joint.shape)}")
    for name, value in (("smooth_nr", smooth_nr), ("smooth_dr", smooth_dr)):
        if arguments.number(name, value) < 0:
            raise ValueError(f"{name} must not be negative, got {value:g}")
    independent = joint.sum(-1, keepdim=True) * joint.sum(-2, keepdim=True) + smooth_dr
    some = independent > 0
    ratio = (joint + smooth_nr) / torch.where(some, independent, 1) + smooth_dr
    empty = ~(some | independent.isnan()) | (ratio <= 0)
    return (joint * torch.where(empty, 1, ratio).log()).sum((-2, -1))
