"""MONAI's global mutual information loss, which stores several tensors of samples x bins, as a module of the same name that
stores none.

    from huenet.compat.monai import GlobalMutualInformationLoss      # for `from monai.losses import ...`

What its b-spline kernel does other than ITK's, after which it is made, is put right; `strict=True` does as it does.
docs/compat.md lists it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..kernels import Bins, joint_histogram, smoothed_information
from ..kernels.common.arguments import integer, number
from ..kernels.common.bins import MeasuredBins
from ..kernels.common.devices import full_precision
from ..losses.arguments import at_least_float32, not_negative, result_dtype
from .parzen import NARROWEST, parzen_sums

KERNEL_TYPES = ("gaussian", "b-spline")
REDUCTIONS = ("mean", "sum", "none")
#: bins that stay empty of samples' own places at either end of the b-spline's axis, for the spline to reach into
_PADDING = 2


class GlobalMutualInformationLoss(nn.Module):
    """Minus the mutual information of two batches of images by Parzen windows, with smoothing constants (Guo 2019, Eq. 3.1-3.5).

        I = sum J log((J + smooth_nr) / (p q + smooth_dr) + smooth_dr)

    J is the joint histogram of an item's pixels, of all channels, to each of which it counts once.

    Args:
        kernel_type: "gaussian": both images are clamped to [0, 1], where centres lie from end to end, and a pixel is shared among
            bins by a Gaussian of its distance. "b-spline" (Mattes et al. 2003): bins span the range of each tensor, all items
            together, with two more at either end; pred is shared by the cubic spline, target goes into the nearest bin, and has
            no gradient.
        num_bins: bins of each image, at least 2; of "b-spline" at least 5.
        sigma_ratio: the Gaussian's standard deviation in bin widths, positive. MONAI computes it in float32, and so is it here.
            Below 0.06 plain PyTorch serves, by blocks of pixels.
        reduction: "mean" or "sum" over the batch, or "none"; MONAI's enum values too.
        smooth_nr, smooth_dr: constants of the formula, at least 0.
        strict: whether "b-spline" is as MONAI's code has it: pixels in the upper 1 / (num_bins - 4) of the range are clamped to a
            bin's centre, without gradient; the pixels of pred that are its extremes get the gradient of the range, a thousand
            times that of others; constant images give NaN. Else nothing is clamped, as in ITK, the range is constant, and a
            constant image has no information.
        backend: as for `huenet.kernels.joint_histogram`.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.

    Source: MONAI 1.6.1, `monai/losses/image_dissimilarity.py`.
    """

    __call__: Callable[..., Tensor]

    def __init__(
        self,
        kernel_type: str = "gaussian",
        num_bins: int = 23,
        sigma_ratio: float = 0.5,
        reduction: str | enum.Enum = "mean",
        smooth_nr: float = 1e-7,
        smooth_dr: float = 1e-7,
        *,
        strict: bool = False,
        backend: str | None = None,
    ) -> None:
        super().__init__()
        self.kernel_type = _one_of("kernel_type", kernel_type, KERNEL_TYPES)
        self.reduction = _one_of("reduction", reduction, REDUCTIONS)
        self.num_bins = _num_bins(num_bins, self.kernel_type)
        self.sigma_ratio = number("sigma_ratio", sigma_ratio)
        if self.sigma_ratio <= 0:
            raise ValueError(f"sigma_ratio must be positive, got {self.sigma_ratio:g}")
        self.smooth_nr, self.smooth_dr = not_negative("smooth_nr", smooth_nr), not_negative("smooth_dr", smooth_dr)
        self.strict, self.backend = strict, backend
        self._bins = gaussian_bins(self.num_bins, self.sigma_ratio) if self.kernel_type == "gaussian" else None

    def extra_repr(self) -> str:
        names = "kernel_type", "num_bins", "sigma_ratio", "reduction", "smooth_nr", "smooth_dr", "strict"
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in names)

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Minus the information of `pred` and `target`, (B, ...) of one shape, floating: a scalar, or (B,) without reduction.

        In pred's dtype, but float32 at least for "b-spline" and under autocast; half precision is computed in float32.
        Differentiable once, in pred and for "gaussian" in target.
        """
        _check(pred, target)
        with full_precision(pred):
            samples = [at_least_float32(image).reshape(len(image), -1) for image in (pred, target)]
            joint = self._gaussian(*samples) if self.kernel_type == "gaussian" else self._spline(*samples)
            loss = -smoothed_information(joint, self.smooth_nr, self.smooth_dr)
            if self.reduction != "none":
                loss = loss.mean() if self.reduction == "mean" else loss.sum()
        dtype = result_dtype(pred)
        return loss.to(dtype if self.kernel_type == "gaussian" else torch.promote_types(dtype, torch.float32))

    def _gaussian(self, *images: Tensor) -> Tensor:
        x, y = (image.clamp(0, 1) for image in images)
        if self._bins.bandwidth >= NARROWEST:
            return joint_histogram(x, y, self._bins, backend=self.backend)
        centers = self._bins.centers.to(x.device)
        alpha = 0.5 * (self._bins.scale / self._bins.bandwidth) ** 2
        return parzen_sums(x, y, centers, centers, alpha, normalized=True).joint / x.shape[1]

    def _spline(self, pred: Tensor, target: Tensor) -> Tensor:
        placed = self._placed_as_monai if self.strict else self._placed
        (x, bins_x), (y, bins_y) = placed(pred, "bspline"), placed(target.detach(), "box")
        return joint_histogram(x, y, bins_x, bins_y, backend=self.backend)

    def _placed(self, x: Tensor, window: str) -> tuple[Tensor, MeasuredBins]:
        """Bins about samples (B, N), their least on the third's centre, their largest on the last but one's."""
        low, high = (end.double() for end in x.detach().aminmax())
        width = (high - low) / (self.num_bins - 2 * _PADDING)
        low = low - (_PADDING + 0.5) * width
        return x, Bins.between(low, low + self.num_bins * width, self.num_bins, window=window)

    def _placed_as_monai(self, x: Tensor, window: str) -> tuple[Tensor, Bins]:
        """Samples as MONAI places them, in units of bins, with its roundings and its clamp."""
        high, low = x.max(), x.min()
        width = (high - low) / (self.num_bins - 2 * _PADDING)
        t = x / width - (low / width - _PADDING)
        t = t.clamp(_PADDING, self.num_bins - _PADDING - 1)
        return t, Bins(self.num_bins, -0.5, self.num_bins - 0.5, window=window)


def gaussian_bins(num_bins: int, sigma_ratio: float) -> Bins:
    """Bins with centres from 0 to 1 and MONAI's Gaussian, to whose roundings sigma and 1 / (2 sigma^2) are done in float32."""
    centers = torch.linspace(0, 1, num_bins, dtype=torch.float32, device="cpu")
    sigma = (centers[1:] - centers[:-1]).mean() * sigma_ratio
    bandwidth = (num_bins - 1) / (2 * (1 / (2 * sigma**2)).double()).sqrt().item()
    half = 0.5 / (num_bins - 1)
    return Bins(num_bins, -half, 1 + half, bandwidth, "open", "rbf", normalized=True)


def _one_of(name: str, value: str | enum.Enum, allowed: tuple[str, ...]) -> str:
    value = value.value if isinstance(value, enum.Enum) else value
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return value


def _num_bins(num_bins: int, kernel_type: str) -> int:
    num_bins, least = integer("num_bins", num_bins), 2 if kernel_type == "gaussian" else 2 * _PADDING + 1
    if num_bins < least:
        raise ValueError(f"num_bins must be at least {least} with kernel_type={kernel_type!r}, got {num_bins}")
    return num_bins


def _check(pred: Tensor, target: Tensor) -> None:
    for name, image in (("pred", pred), ("target", target)):
        if not isinstance(image, Tensor) or not image.is_floating_point():
            raise TypeError(f"{name} must be a floating torch.Tensor, got {getattr(image, 'dtype', type(image).__name__)}")
    if target.shape != pred.shape:
        raise ValueError(f"target must have the shape of pred, expected {tuple(pred.shape)}, got {tuple(target.shape)}")
    if not pred.dim() or not pred.numel():
        raise ValueError(f"pred must be images (B, ...) of at least one pixel, got {tuple(pred.shape)}")
    if target.device != pred.device:
        raise ValueError(f"target must be on the device of pred, expected {pred.device}, got {target.device}")
