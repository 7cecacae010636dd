"""VoxelMorph's and neurite's mutual information for PyTorch, as classes of the same names that store nothing of voxels x bins.

    from huenet.compat.voxelmorph import NMI, MutualInformation

Both are of the packages' TensorFlow code; their PyTorch code has none. Images are channels first, (B, C, *volume), as PyTorch's
are. docs/compat.md says what differs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d, pad
from torch.utils.checkpoint import checkpoint

from ..kernels import Bins, joint_histogram, smoothed_information
from ..kernels.common.arguments import integer, number
from ..kernels.common.devices import budget, full_precision
from ..losses.arguments import at_least_float32, result_dtype
from .parzen import NARROWEST, ParzenSums, parzen_sums

#: added to quotients and within the logarithm
_EPS = 1e-7
#: voxels whose box of so many to a side sums to no more than the threshold are background
_BOX, _THRESHOLD = 20, 1e-4
#: cells of patches' joint histograms that are made at a time
_CPU_CELLS, _DEVICE_CELLS = 1 << 20, 1 << 26


class NMI:
    """Minus the mutual information of two volumes by Gaussian Parzen windows (Guo 2019); not a normalised one, despite its name.

        I = sum J log(J / (p q + 1e-7) + 1e-7)

    J is the joint histogram of an item's voxels, of all channels, to each of which it counts once.

    Args:
        bin_centers: centres of the bins, at least 2 numbers, increasing. Even ones that reach over [0, max_clip] are counted by
            huenet's operators, others by blocks of voxels in plain PyTorch.
        vol_size: lengths of the volume's axes, 1 to 3. Used for `local` and `crop_background`, which need a single channel;
            (B, 1, *vol_size) is PyTorch's layout, (B, *vol_size, 1) is taken too.
        sigma_ratio: the Gaussian's standard deviation in mean distances of the centres, positive.
        max_clip: volumes are clamped to [0, max_clip], without gradient beyond.
        local: whether the information is the mean of that of patches, side by side; volumes are padded with zeros to whole
            patches, at the front by half of what is missing, rounded down. `crop_background` is not looked at, as there.
        crop_background: whether voxels count only where the box of 20 voxels to a side about them, of y_true, sums to more than
            1e-4; those of all items are then taken together. Where there are none, the loss is 0.
        patch_size: side of a patch in voxels. Joint histograms are of K x K numbers for each, made some at a time.
        backend: as for `huenet.kernels.joint_histogram`.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.

    Source: VoxelMorph, `voxelmorph/tf/losses.py`.
    """

    def __init__(
        self,
        bin_centers: Sequence[float] | Tensor,
        vol_size: Sequence[int],
        sigma_ratio: float = 0.5,
        max_clip: float = 1,
        local: bool = False,
        crop_background: bool = False,
        patch_size: int = 1,
        *,
        backend: str | None = None,
    ) -> None:
        self.bin_centers = _centers(bin_centers)
        self.vol_size = tuple(integer("vol_size", length) for length in vol_size)
        if not 1 <= len(self.vol_size) <= 3 or min(self.vol_size) < 1:
            raise ValueError(f"vol_size must be 1 to 3 lengths of at least 1, got {vol_size!r}")
        self.sigma_ratio, self.max_clip = _positive("sigma_ratio", sigma_ratio), _positive("max_clip", max_clip)
        self.local, self.crop_background = bool(local), bool(crop_background)
        self.patch_size = integer("patch_size", patch_size)
        if self.patch_size < 1:
            raise ValueError(f"patch_size must be at least 1, got {patch_size}")
        self.backend = backend
        self._bins = _even_bins(self.bin_centers, self.sigma_ratio, self.max_clip)

    def loss(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Minus the information of two batches (B, C, *volume) of one shape, floating: a scalar, the batch's mean.

        In their common dtype, under autocast at least float32; half precision is computed in float32. Differentiable in both,
        once where `bin_centers` are even.
        """
        _check("y_true", y_true, "y_pred", y_pred)
        with full_precision(y_pred):
            volumes = [at_least_float32(volume).clamp(0, self.max_clip) for volume in (y_true, y_pred)]
            if self.local:
                information = self._of_patches(*(self._patches(name, z) for name, z in zip(("y_true", "y_pred"), volumes)))
            elif self.crop_background:
                foreground = self._foreground(self._single("y_true", volumes[0])).reshape(1, -1)
                information = self._information(*(volume.reshape(1, -1) for volume in volumes), foreground)
            else:
                information = self._information(*(volume.reshape(len(volume), -1) for volume in volumes))
        return -information.mean().to(result_dtype(y_true, y_pred))

    def _information(self, x: Tensor, y: Tensor, chosen: Tensor | None = None) -> Tensor:
        """(R, N) twice -> (R,), of the voxels that are chosen."""
        if self._bins is not None:
            return smoothed_information(joint_histogram(x, y, self._bins, weights=chosen, backend=self.backend), 0, _EPS)
        centers = self.bin_centers.to(x.device)
        alpha = 0.5 / (self.sigma_ratio * _spacing(self.bin_centers)) ** 2
        weights = None if chosen is None else chosen.to(x.dtype)
        count = x.shape[1] if chosen is None else chosen.sum(-1).clamp_min(1).view(-1, 1, 1)
        joint = parzen_sums(x, y, centers, centers, alpha, normalized=True, weights=weights).joint / count
        return smoothed_information(joint, 0, _EPS)

    def _of_patches(self, x: Tensor, y: Tensor) -> Tensor:
        """(R, N) twice -> (R,), some rows at a time, made anew for a gradient if there are more."""
        rows = max(1, budget(x, _CPU_CELLS, _DEVICE_CELLS) // len(self.bin_centers) ** 2)
        if len(x) <= rows:
            return self._information(x, y)
        parts = zip(x.split(rows), y.split(rows))
        return torch.cat([checkpoint(self._information, *part, use_reentrant=False, preserve_rng_state=False) for part in parts])

    def _patches(self, name: str, volume: Tensor) -> Tensor:
        """(B, 1, *vol_size), or with the channel last -> a row for each patch, (R, N)."""
        volume = self._single(name, volume)
        missing = [-length % self.patch_size for length in self.vol_size]
        ends = [end for length in reversed(missing) for end in (length // 2, length - length // 2)]
        volume = pad(volume, ends)
        grid = [part for length in volume.shape[1:] for part in (length // self.patch_size, self.patch_size)]
        axes = range(1, len(grid), 2)
        rows = volume.reshape(-1, *grid).permute(0, *axes, *(axis + 1 for axis in axes))
        return rows.reshape(-1, self.patch_size ** len(self.vol_size))

    def _foreground(self, volume: Tensor) -> Tensor:
        """Where the sum of a box about a voxel of (B, *vol_size), of zeros outside, is above the threshold; even boxes reach one
        voxel further to the end."""
        total = volume.detach()
        for axis in range(1, volume.dim()):
            line = pad(total.movedim(axis, -1), ((_BOX - 1) // 2, _BOX // 2))
            sums = avg_pool1d(line.reshape(-1, 1, line.shape[-1]), _BOX, 1) * _BOX
            total = sums.view(*line.shape[:-1], -1).movedim(-1, axis)
        return total > _THRESHOLD

    def _single(self, name: str, volume: Tensor) -> Tensor:
        """A single channel, first or last, taken away."""
        for layout in ((1, *self.vol_size), (*self.vol_size, 1)):
            if volume.shape[1:] == layout:
                return volume.reshape(-1, *self.vol_size)
        expected = f"(B, 1, {', '.join(map(str, self.vol_size))})"
        raise ValueError(f"{name} must have a single channel with local or crop_background, {expected}, got {tuple(volume.shape)}")


class MutualInformation:
    """neurite's mutual information by soft quantisation, of volumes and of maps of probabilities.

        I = sum J log(J / (p q + 1e-7) + 1e-7),   J = S / (sum S + 1e-7),   S_kl = sum_n u_nk v_nl

    with u_nk = exp(-soft_bin_alpha (x_n - c_k)^2), v of y, p and q likewise from sum_n u_nk and sum_n v_nl. Voxels are not
    normalised, so that p is not quite J's marginal, and where windows hardly overlap voxels near centres count more.

    Args:
        bin_centers: centres for both images, increasing. None is `nb_bins` centres from the least to the largest value of each
            tensor, all items and channels together.
        nb_bins: number of bins, at least 2, 16 if None; not together with `bin_centers`.
        soft_bin_alpha: 1 / (2 sigma^2), positive, in units of the images. None is sigma = 0.5 / (nb_bins - 1), which is half a bin
            for images over a range of 1, or half the mean distance of `bin_centers`.
        min_clip, max_clip: volumes are clamped to these after their range is found; None is no clamp.
        channels_last: whether tensors are (B, ..., C) as TensorFlow's, not (B, C, ...).
        strict: whether gradients go through the extremes, as there, so that the two voxels that are these have the gradient of the
            range. Else the range is constant.

    By blocks of voxels in plain PyTorch, as the width of a Gaussian is in units of the images and their range a tensor: nothing
    waits for it. Differentiable any number of times.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.

    Source: neurite, `neurite/tf/metrics.py`, `neurite/tf/utils/utils.py`.
    """

    def __init__(
        self,
        bin_centers: Sequence[float] | Tensor | None = None,
        nb_bins: int | None = None,
        soft_bin_alpha: float | None = None,
        min_clip: float | None = None,
        max_clip: float | None = None,
        *,
        channels_last: bool = False,
        strict: bool = False,
    ) -> None:
        if bin_centers is not None and nb_bins is not None:
            raise ValueError(f"nb_bins must be None where bin_centers are given, got {nb_bins!r}")
        self.bin_centers = None if bin_centers is None else _centers(bin_centers)
        self.nb_bins = integer("nb_bins", 16 if nb_bins is None else nb_bins) if bin_centers is None else len(self.bin_centers)
        if self.nb_bins < 2:
            raise ValueError(f"nb_bins must be at least 2, got {nb_bins}")
        spacing = 1 / (self.nb_bins - 1) if bin_centers is None else _spacing(self.bin_centers)
        alpha = 0.5 / (0.5 * spacing) ** 2 if soft_bin_alpha is None else soft_bin_alpha
        self.soft_bin_alpha = _positive("soft_bin_alpha", alpha)
        self.min_clip = -math.inf if min_clip is None else number("min_clip", min_clip)
        self.max_clip = math.inf if max_clip is None else number("max_clip", max_clip)
        self.channels_last, self.strict = channels_last, strict

    def volumes(self, x: Tensor, y: Tensor) -> Tensor:
        """Information of volumes of a single channel, (B, 1, ...) or (B, ..., 1) -> (B,), in nats."""
        _check("x", x, "y", y)
        for name, volume in (("x", x), ("y", y)):
            if volume.dim() < 2 or 1 not in (volume.shape[1], volume.shape[-1]):
                shape = tuple(volume.shape)
                raise ValueError(f"{name} must have a single channel, (B, 1, ...) or (B, ..., 1), got {shape}; see channelwise")
        return self._of_rows(x.reshape(len(x), 1, -1), y.reshape(len(y), 1, -1)).squeeze(1)

    def channelwise(self, x: Tensor, y: Tensor) -> Tensor:
        """Information of every channel with the same channel, (B, C, ...) or with `channels_last` (B, ..., C) -> (B, C)."""
        _check("x", x, "y", y)
        return self._of_rows(self._channels("x", x), self._channels("y", y))

    def maps(self, x: Tensor, y: Tensor) -> Tensor:
        """Information of maps of probabilities or similarities, one channel for each label, (B, K, ...) -> (B,)."""
        _check("x", x, "y", y)
        with full_precision(x):
            u, v = _together(self._channels("x", x), self._channels("y", y))
            sums = ParzenSums((u @ v.mT).double(), u.sum(-1).double(), v.sum(-1).double())
        return _information(sums).to(result_dtype(x, y))

    segs = maps

    def _channels(self, name: str, z: Tensor) -> Tensor:
        """(B, C, N)."""
        if z.dim() < 3:
            layout = "(B, ..., C)" if self.channels_last else "(B, C, ...)"
            raise ValueError(f"{name} must be {layout} with at least 3 dimensions, got {tuple(z.shape)}")
        return (z.movedim(-1, 1) if self.channels_last else z).flatten(2)

    def _of_rows(self, x: Tensor, y: Tensor) -> Tensor:
        """(B, C, N) twice -> (B, C)."""
        with full_precision(x):
            placed = [self._placed(z) for z in _together(x, y)]
            (u, centers_u), (v, centers_v) = placed
            sums = parzen_sums(u.flatten(0, 1), v.flatten(0, 1), centers_u, centers_v, self.soft_bin_alpha, normalized=False)
        return _information(sums).view(x.shape[:2]).to(result_dtype(x, y))

    def _placed(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Samples, clamped, and centres."""
        if self.bin_centers is not None:
            centers = self.bin_centers.to(z)
        else:
            low, high = (z if self.strict else z.detach()).aminmax()
            steps = torch.arange(self.nb_bins, dtype=z.dtype, device=z.device) / (self.nb_bins - 1)
            centers = low + (high - low) * steps
        return z.clamp(self.min_clip, self.max_clip), centers


def _together(x: Tensor, y: Tensor) -> list[Tensor]:
    """In their common dtype, half precision as float32."""
    dtype = torch.promote_types(x.dtype, y.dtype)
    return [at_least_float32(z.to(dtype)) for z in (x, y)]


def _information(sums: ParzenSums) -> Tensor:
    joint = sums.joint / (sums.joint.sum((-2, -1), keepdim=True) + _EPS)
    p, q = (each / (each.sum(-1, keepdim=True) + _EPS) for each in (sums.x, sums.y))
    independent = p.unsqueeze(-1) * q.unsqueeze(-2) + _EPS
    return (joint * (joint / independent + _EPS).log()).sum((-2, -1))


def _centers(bin_centers: Sequence[float] | Tensor) -> Tensor:
    """Float64, on the CPU."""
    centers = torch.as_tensor(bin_centers, dtype=torch.float64, device="cpu").detach()
    if centers.dim() != 1 or len(centers) < 2 or not bool((centers.diff() > 0).all()) or not bool(centers.isfinite().all()):
        raise ValueError(f"bin_centers must be at least 2 finite numbers that increase, got {bin_centers!r}")
    return centers


def _spacing(centers: Tensor) -> float:
    return ((centers[-1] - centers[0]) / (len(centers) - 1)).item()


def _even_bins(centers: Tensor, sigma_ratio: float, max_clip: float) -> Bins | None:
    """Bins about centres; None where these are uneven beyond float32's rounding, where some of [0, max_clip] is in none of them,
    and where the Gaussian is too narrow for the operators."""
    spacing, rounding = _spacing(centers), 2**-23 * centers.abs().max().item()
    even = centers[0] + spacing * torch.arange(len(centers), dtype=torch.float64, device="cpu")
    low, high = centers[0].item() - spacing / 2, centers[-1].item() + spacing / 2
    if sigma_ratio < NARROWEST or (centers - even).abs().max() > rounding or low > rounding or high < max_clip - rounding:
        return None
    return Bins(len(centers), low, high, sigma_ratio, "open", "rbf", normalized=True)


def _positive(name: str, value: float) -> float:
    value = number(name, value)
    if value <= 0:
        raise ValueError(f"{name} must be positive, got {value:g}")
    return value


def _check(first: str, x: Tensor, second: str, y: Tensor) -> None:
    for name, z in ((first, x), (second, y)):
        if not isinstance(z, Tensor) or not z.is_floating_point():
            raise TypeError(f"{name} must be a floating torch.Tensor, got {getattr(z, 'dtype', type(z).__name__)}")
    if x.shape != y.shape:
        raise ValueError(f"{second} must have the shape of {first}, expected {tuple(x.shape)}, got {tuple(y.shape)}")
    if x.dim() < 2 or not x.numel():
        raise ValueError(f"{first} must be (B, C, ...) of at least one voxel, got {tuple(x.shape)}")
    if x.device != y.device:
        raise ValueError(f"{second} must be on the device of {first}, expected {x.device}, got {y.device}")
