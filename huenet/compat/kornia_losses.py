"""kornia's mutual information losses as functions; see kornia.py."""

from __future__ import annotations

from torch import Tensor

from .kornia_mutual_information import (
    MIKernel,
    MILossFromRef,
    MILossFromRef2D,
    MILossFromRef3D,
    NMILossFromRef,
    NMILossFromRef2D,
    NMILossFromRef3D,
)


def mutual_information_loss(
    input: Tensor,
    target: Tensor,
    input_mask: Tensor | None = None,
    target_mask: Tensor | None = None,
    kernel_function: MIKernel = MIKernel.xu,
    num_bins: int = 64,
    window_radius: float = 1.0,
    *,
    backend: str | None = None,
) -> Tensor:
    """Minus the mutual information of signals, H(x) + H(y) - H(x, y) of their joint histogram, in nats.

    Memory is that of `huenet.kernels.joint_histogram`; nothing of N K numbers is stored.

    Args:
        input, target: (..., N), floating, of the same shape.
        input_mask, target_mask: which samples count, (N,), bool or uint8, one for the batch. Each signal is brought to the bins by
            its own mask's samples; what counts in the histogram is in both.
        kernel_function, num_bins, window_radius, backend: as for `EntropyBasedLossBase`.

    Returns:
        (...), in the target's dtype; half precision is computed in float32. Differentiable in input and target, but for
        `MIKernel.rectangular`.

    Raises:
        as `EntropyBasedLossBase`; its names `reference_signal` and `other_signal` are target and input here.
    """
    return MILossFromRef(target, target_mask, kernel_function, num_bins, window_radius, backend=backend)(input, input_mask)


def mutual_information_loss_2d(
    input: Tensor,
    target: Tensor,
    input_mask: Tensor | None = None,
    target_mask: Tensor | None = None,
    kernel_function: MIKernel = MIKernel.xu,
    num_bins: int = 64,
    window_radius: float = 1.0,
    *,
    backend: str | None = None,
) -> Tensor:
    """`mutual_information_loss` of signals (..., H, W) and masks (H, W)."""
    return MILossFromRef2D(target, target_mask, kernel_function, num_bins, window_radius, backend=backend)(input, input_mask)


def mutual_information_loss_3d(
    input: Tensor,
    target: Tensor,
    input_mask: Tensor | None = None,
    target_mask: Tensor | None = None,
    kernel_function: MIKernel = MIKernel.xu,
    num_bins: int = 64,
    window_radius: float = 1.0,
    *,
    backend: str | None = None,
) -> Tensor:
    """`mutual_information_loss` of signals (..., D, H, W) and masks (D, H, W)."""
    return MILossFromRef3D(target, target_mask, kernel_function, num_bins, window_radius, backend=backend)(input, input_mask)


def normalized_mutual_information_loss(
    input: Tensor,
    target: Tensor,
    input_mask: Tensor | None = None,
    target_mask: Tensor | None = None,
    kernel_function: MIKernel = MIKernel.xu,
    num_bins: int = 64,
    window_radius: float = 1.0,
    *,
    backend: str | None = None,
) -> Tensor:
    """Minus the normalised mutual information, (H(x) + H(y)) / H(x, y); all else as `mutual_information_loss`."""
    return NMILossFromRef(target, target_mask, kernel_function, num_bins, window_radius, backend=backend)(input, input_mask)


def normalized_mutual_information_loss_2d(
    input: Tensor,
    target: Tensor,
    input_mask: Tensor | None = None,
    target_mask: Tensor | None = None,
    kernel_function: MIKernel = MIKernel.xu,
    num_bins: int = 64,
    window_radius: float = 1.0,
    *,
    backend: str | None = None,
) -> Tensor:
    """`normalized_mutual_information_loss` of signals (..., H, W) and masks (H, W)."""
    return NMILossFromRef2D(target, target_mask, kernel_function, num_bins, window_radius, backend=backend)(input, input_mask)


def normalized_mutual_information_loss_3d(
    input: Tensor,
    target: Tensor,
    input_mask: Tensor | None = None,
    target_mask: Tensor | None = None,
    kernel_function: MIKernel = MIKernel.xu,
    num_bins: int = 64,
    window_radius: float = 1.0,
    *,
    backend: str | None = None,
) -> Tensor:
    """`normalized_mutual_information_loss` of signals (..., D, H, W) and masks (D, H, W)."""
    return NMILossFromRef3D(target, target_mask, kernel_function, num_bins, window_radius, backend=backend)(input, input_mask)
