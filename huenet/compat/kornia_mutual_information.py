"""kornia's mutual information losses; see kornia.py."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum

import torch
from torch import Tensor, nn

from ..kernels import Bins, joint_histogram
from ..kernels.common.arguments import integer, number
from ..kernels.common.devices import full_precision
from ..losses.arguments import at_least_float32
from . import intervals


class MIKernel(Enum):
    """How a sample at u = |distance| / window_radius from a bin's centre is shared; nothing beyond u = 1. Values are windows of
    `Bins`.

    xu: 1 - 0.1 u - 1.8 u^2 below 1/2, 1.9 - 3.7 u + 1.8 u^2 from there (Xu et al. 2008). rectangular: 1; a count, without a
    gradient. truncated_gaussian: the normal density of standard deviation window_radius, cut there.
    """

    xu = "xu"
    rectangular = "box"
    truncated_gaussian = "truncated_gaussian"


class EntropyBasedLossBase(nn.Module):
    """Entropies of the joint histogram of signals and a reference that is stored, brought to the bins' centres by its extremes.

    Args:
        reference_signal: (..., N), floating, at least one sample.
        mask: which samples of the reference count, (N,), bool or uint8, one for the batch.
        kernel_function: the window.
        num_bins: K, at least 2.
        window_radius: half the window's width in bins, positive.
        backend: as for `huenet.kernels.joint_histogram`; not used for `MIKernel.rectangular`.

    Signals are brought to [0, K - 1], their extremes to the first and the last centre, and differentiated through the extremes;
    those of which the range is below the dtype's eps, to 0. A NaN or an infinity makes a NaN. The reference is not detached: where
    it requires a gradient, the first backward pass gives it one, and a second pass through the same module is an error.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        RuntimeError: on second or forward-mode derivatives and `torch.func` transforms.

    Source: kornia 0.9.0, `kornia/losses/mutual_information.py`.
    """

    #: dimensions of a signal, which are flattened
    _dims = 1

    __call__: Callable[..., Tensor]

    def __init__(
        self,
        reference_signal: Tensor,
        mask: Tensor | None = None,
        kernel_function: MIKernel = MIKernel.xu,
        num_bins: int = 64,
        window_radius: float = 1.0,
        *,
        backend: str | None = None,
    ) -> None:
        super().__init__()
        self._check_signal("reference_signal", reference_signal)
        if not isinstance(kernel_function, MIKernel):
            raise ValueError(f"kernel_function must be one of {', '.join(map(str, MIKernel))}, got {kernel_function!r}")
        self.kernel_function, self.backend = kernel_function, backend
        self.num_bins, self.window_radius = integer("num_bins", num_bins), number("window_radius", window_radius)
        if self.num_bins < 2:
            raise ValueError(f"num_bins must be at least 2, got {num_bins}")
        if self.window_radius <= 0:
            raise ValueError(f"window_radius must be positive, got {window_radius:g}")
        self._shape = reference_signal.shape
        mask, signal = self._flat_mask("mask", mask, reference_signal), reference_signal.flatten(-self._dims)
        # follows `.to(dtype)` as the signal does, which is float32 where this is half
        self.register_buffer("_reference_dtype", reference_signal.new_empty(0), persistent=False)
        self.register_buffer("signal", self._coordinates("mask", signal[..., mask]))
        self.register_buffer("mask", mask.clone())

    def extra_repr(self) -> str:
        return f"kernel_function={self.kernel_function}, num_bins={self.num_bins}, window_radius={self.window_radius:g}"

    @property
    def eps(self) -> float:
        """Range below which a signal is a constant: eps of the reference's dtype."""
        return torch.finfo(self._reference_dtype.dtype).eps

    def entropies(self, other_signal: Tensor, other_mask: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Entropies of a signal, of the reference, and of both, each (...), float32 at least.

        Args:
            other_signal: of the reference's shape, floating.
            other_mask: which of its samples count, (N,). Each signal is brought to the bins by its own mask's samples; what counts
                in the histogram is in both.
        """
        self._check_signal("other_signal", other_signal)
        if other_signal.shape != self._shape:
            shapes = f"expected {tuple(self._shape)}, got {tuple(other_signal.shape)}"
            raise ValueError(f"other_signal must have the shape of reference_signal, {shapes}")
        mask = self._flat_mask("other_mask", other_mask, other_signal)
        signal = self._coordinates("other_mask", other_signal.flatten(-self._dims)[..., mask])
        reference, signal = self.signal[..., mask[self.mask]], signal[..., self.mask[mask]]
        if not reference.shape[-1]:
            raise ValueError("mask and other_mask must have at least one sample in common, got none")
        dtype = torch.promote_types(reference.dtype, signal.dtype)
        with full_precision(signal):
            joint = self._joint(reference.to(at_least_float32(reference).dtype), signal)
            return tuple(entropy.to(dtype) for entropy in _entropies(joint, torch.finfo(dtype).eps))

    def _coordinates(self, name: str, signal: Tensor) -> Tensor:
        """Samples (..., n) brought to [0, num_bins - 1] by their extremes, float32 at least, each step rounded as kornia's."""
        if not signal.shape[-1]:
            raise ValueError(f"{name} must have at least one sample, got none")
        signal = at_least_float32(signal)
        # extremes of a single sample each, as kornia's: where several are the same, the gradient is one's
        low, high = (extreme.values.unsqueeze(-1) for extreme in (signal.min(-1), signal.max(-1)))
        width = high - low
        constant = width <= self.eps
        scaled = (signal - low) / torch.where(constant, 1, width) * (self.num_bins - 1)
        return torch.where(constant, 0, scaled)

    def _joint(self, reference: Tensor, signal: Tensor) -> Tensor:
        """Sums over pairs of products of windows, (..., K, K), the reference's bins first; float64."""
        radius = self.window_radius
        dtype = torch.promote_types(reference.dtype, signal.dtype)
        if self.kernel_function is MIKernel.rectangular:
            centers = torch.arange(self.num_bins, dtype=dtype, device=signal.device)
            pair = (z.detach().to(dtype).reshape(-1, z.shape[-1]) for z in (reference, signal))
            found = intervals.joint_counts(*pair, centers, lambda x, center: (center - x).abs() <= radius)
            finite = (reference.detach() + signal.detach()).isfinite().all(-1)
            joint = found.view(*signal.shape[:-1], *found.shape[1:]).double()
            return torch.where(finite[..., None, None], joint, torch.nan)
        joint = self._sums(reference, signal, _first_outside(radius, dtype, self.kernel_function))
        if self.kernel_function is MIKernel.xu and joint.requires_grad:
            # at its end the window is 0, and has a slope: the value is that of a window that ends there, the gradient that of one
            # that ends a rounding beyond. Else cells that hold such pairs only, which must be empty, were just above eps
            with torch.no_grad():
                excess = joint - self._sums(reference, signal, radius)
            joint = joint - excess
        peak = 1 / (radius * math.sqrt(2 * math.pi)) if self.kernel_function is MIKernel.truncated_gaussian else 1.0
        return joint * peak**2

    def _sums(self, reference: Tensor, signal: Tensor, radius: float) -> Tensor:
        bins = Bins(self.num_bins, -0.5, self.num_bins - 0.5, radius, "open", self.kernel_function.value)
        return joint_histogram(reference, signal, bins, backend=self.backend).double() * signal.shape[-1]

    def _check_signal(self, name: str, signal: Tensor) -> None:
        if not isinstance(signal, Tensor):
            raise TypeError(f"{name} must be a torch.Tensor, got {type(signal).__name__}")
        if not signal.is_floating_point():
            raise TypeError(f"{name} must be a floating tensor, got {signal.dtype}; convert it first, e.g. {name}.float()")
        if signal.dim() < self._dims:
            axes = ", ".join(["...", *("DHW"[-self._dims :] if self._dims > 1 else "N")])
            raise ValueError(f"{name} must have the shape ({axes}), got {tuple(signal.shape)}")

    def _flat_mask(self, name: str, mask: Tensor | None, signal: Tensor) -> Tensor:
        shape = signal.shape[-self._dims :]
        if mask is None:
            return torch.ones(shape.numel(), dtype=torch.bool, device=signal.device)
        if not isinstance(mask, Tensor):
            raise TypeError(f"{name} must be a torch.Tensor or None, got {type(mask).__name__}")
        if mask.dtype not in (torch.bool, torch.uint8):
            raise TypeError(f"{name} must be of bool or uint8, got {mask.dtype}")
        if mask.shape != shape:
            raise ValueError(f"{name} must have the shape of one sample of the batch, {tuple(shape)}, got {tuple(mask.shape)}")
        return mask.flatten().to(signal.device, torch.bool)


class MILossFromRef(EntropyBasedLossBase):
    """Minus the mutual information of a signal and the reference, in nats; settings are those of `EntropyBasedLossBase`."""

    def forward(self, other_signal: Tensor, other_mask: Tensor | None = None) -> Tensor:
        """(...), in the reference's dtype; arguments as for `entropies`."""
        h_x, h_y, h_xy = self.entropies(other_signal, other_mask)
        return -(h_x + h_y - h_xy).to(self._reference_dtype.dtype)


class NMILossFromRef(EntropyBasedLossBase):
    """Minus (H(x) + H(y)) / H(x, y), of a signal and the reference; settings are those of `EntropyBasedLossBase`."""

    def forward(self, other_signal: Tensor, other_mask: Tensor | None = None) -> Tensor:
        """(...), in the reference's dtype; arguments as for `entropies`."""
        h_x, h_y, h_xy = self.entropies(other_signal, other_mask)
        return -((h_x + h_y) / h_xy).to(self._reference_dtype.dtype)


class MILossFromRef2D(MILossFromRef):
    """`MILossFromRef` of signals (..., H, W) and masks (H, W)."""

    _dims = 2


class MILossFromRef3D(MILossFromRef):
    """`MILossFromRef` of signals (..., D, H, W) and masks (D, H, W)."""

    _dims = 3


class NMILossFromRef2D(NMILossFromRef):
    """`NMILossFromRef` of signals (..., H, W) and masks (H, W)."""

    _dims = 2


class NMILossFromRef3D(NMILossFromRef):
    """`NMILossFromRef` of signals (..., D, H, W) and masks (D, H, W)."""

    _dims = 3


def _first_outside(radius: float, dtype: torch.dtype, kernel: MIKernel) -> float:
    """The smallest distance of a dtype that is outside, as kornia rounds: it divides by the radius for "xu", and compares with it
    for the others."""
    distance, up = (torch.tensor(value, dtype=dtype, device="cpu") for value in (radius, math.inf))

    def inside(distance: Tensor) -> bool:
        return bool(distance * (1 / radius) <= 1 if kernel is MIKernel.xu else distance <= radius)

    while not inside(distance):
        distance = distance.nextafter(-up)
    while inside(distance):
        distance = distance.nextafter(up)
    return distance.item()


def _entropies(joint: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Of sums over cells (..., K, K), at least eps each: of the columns, of the rows, of the cells."""
    p = joint.clamp_min(eps)
    p = p / p.sum((-1, -2), keepdim=True)
    columns, rows, cells = p.sum(-2), p.sum(-1), p.flatten(-2)
    return tuple(-(q * q.log()).sum(-1) for q in (columns, rows, cells))
