"""The paper's losses as modules on hue channels, for anyone's training loop.

    loss = HueNetLoss(bins=256, emd_weight=100.0, mi_weight=25.0)
    parts = loss(output_hue, target_hue, source_hue, output_weights=w_source, target_weights=w_target,
                 fake_logits=discriminator(fake))
    parts.total.backward()

Hues are (B, C, H, W) in [0, 1); weights, (B, C, H, W) or (B, 1, H, W), boolean or never negative, are the pixels' votes (see
`huenet.color.color_weights`): an image whose weights are all zero, having no colour, adds nothing to a loss. Several channels
are compared channel by channel and averaged. Every loss is the mean over the batch, a scalar. Half precision is computed in
float32, under autocast too; float64 stays.
"""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..color import FULL_HUE, NO_HUE, hue_presence
from ..kernels import Bins, MutualInformation, histogram_emd, mutual_information, soft_histogram
from ..kernels.common.devices import full_precision
from .arguments import at_least_float32, check_images, not_negative

EmdScale = Literal["rms", "raw"]
MiForm = Literal["relative", "conditional", "information", "normalized"]
_LOSS_OF_FORM: dict[str, Callable[[MutualInformation], Tensor]] = {
    "relative": lambda found: 1 - found.relative,
    "conditional": lambda found: found.conditional_y,
    "information": lambda found: -found.information,
    "normalized": lambda found: 1 - found.normalized,
}


def _pixels(name: str, image: Tensor, channels: int | None = None) -> Tensor:
    """(B, C, H, W) -> (B, C, H*W), at least float32; one channel is repeated to ``channels``."""
    check_images(**{name: image})
    if channels is not None and image.shape[1] not in (1, channels):
        raise ValueError(f"{name} must have 1 or {channels} channels, got {tuple(image.shape)}")
    pixels = at_least_float32(image).flatten(2)
    return pixels if channels is None else pixels.expand(-1, channels, -1)


def _optional_pixels(name: str, weights: Tensor | None, image: Tensor) -> Tensor | None:
    if weights is None:
        return None
    if isinstance(weights, Tensor) and weights.dtype == torch.bool:
        weights = weights.to(at_least_float32(image).dtype)
    check_images(**{name: weights})
    if (weights.shape[0], *weights.shape[2:]) != (image.shape[0], *image.shape[2:]):
        raise ValueError(f"{name} must match its image {tuple(image.shape)}, got {tuple(weights.shape)}")
    return _pixels(name, weights, image.shape[1]).to(_pixels("image", image).dtype)


def _check_paired(output_hue: Tensor, source_hue: Tensor) -> None:
    check_images(output_hue=output_hue, source_hue=source_hue)
    if output_hue.shape != source_hue.shape:
        shapes = f"{tuple(output_hue.shape)} and {tuple(source_hue.shape)}"
        raise ValueError(f"output_hue and source_hue must have one shape, got {shapes}")


def _where_there_is_color(loss: Tensor, faint: tuple[float, float] | None, *votes: Tensor | None) -> Tensor:
    """The loss (B, C), 0 where any of the votes (B, C, N) are none at all, and fading out where their mean is `faint`. A NaN is a
    vote: it must show in the loss."""
    for some in votes:
        if some is not None:
            loss = torch.where(some.detach().sum(-1) == 0, 0.0, loss)
            if faint is not None:
                loss = loss * hue_presence(some.mean(-1), faint)
    return loss


class CircularEMDLoss(nn.Module):
    """Earth mover's distance between hue histograms around the hue circle (Eq. 12-14, 26).

    ``bins``: a `Bins` or a number of circular bins. ``scale``: "rms", the distance of Eq. 12, sqrt(cost / K), or "raw",
    the paper's sum of squares (Eq. 13). ``circular`` False is for intensities on a line. ``backend`` of the histograms, as in
    `soft_histogram`; None chooses by device. ``faint``: mean votes of an image between which what it adds rises from 0 to its full
    distance, for weights that are chromas: `huenet.color.NO_HUE` and `FULL_HUE`. None: only images without any vote add nothing.

    Example:
        >>> import torch
        >>> from huenet.losses import CircularEMDLoss
        >>> hue = torch.rand(2, 1, 16, 16, generator=torch.manual_seed(0))
        >>> loss = CircularEMDLoss(bins=64)
        >>> loss(hue, hue).item(), loss(hue * 0.1, hue).item() > 0.1
        (0.0, True)
    """

    __call__: Callable[..., Tensor]

    def __init__(
        self,
        bins: int | Bins = 256,
        scale: EmdScale = "rms",
        circular: bool = True,
        backend: str | None = None,
        *,
        faint: tuple[float, float] | None = None,
    ) -> None:
        super().__init__()
        if scale not in ("rms", "raw"):
            raise ValueError(f"scale must be 'rms' or 'raw', got {scale!r}")
        self.bins = bins if isinstance(bins, Bins) else Bins(bins, boundary="circular" if circular else "open")
        self.scale, self.circular, self.backend, self.faint = scale, circular, backend, faint

    def forward(
        self,
        output_hue: Tensor,
        target_hue: Tensor | None = None,
        output_weights: Tensor | None = None,
        target_weights: Tensor | None = None,
        *,
        target_histogram: Tensor | None = None,
    ) -> Tensor:
        """Hues (B, C, H, W) and (B, C, H', W') -> mean distance, a scalar.

        Instead of ``target_hue`` a histogram computed before by `histogram`, (B, C, K), may be given. Raises ``ValueError``
        if both or neither are, or shapes do not match.
        """
        if (target_hue is None) == (target_histogram is None):
            raise ValueError("give either target_hue or target_histogram")
        check_images(output_hue=output_hue)
        q = target_histogram if target_hue is None else self.histogram(target_hue, target_weights)
        assert q is not None  # for type checkers: one of the two was given
        with full_precision(output_hue):
            pixels, votes = _pixels("output_hue", output_hue), _optional_pixels("output_weights", output_weights, output_hue)
            if (p_shape := (*pixels.shape[:2], self.bins.count)) != q.shape:
                shapes = f"{p_shape} and {tuple(q.shape)}"
                raise ValueError(f"output and target must agree in batch, channels and bins, got histograms {shapes}")
            squared = self.scale == "raw"
            distance = histogram_emd(
                pixels, q, self.bins, weights=votes, circular=self.circular, squared=squared, backend=self.backend
            )
            distance = torch.where(q.detach().sum(-1) == 0, 0.0, distance)
            of_target = None if target_hue is None else _optional_pixels("target_weights", target_weights, target_hue)
            return _where_there_is_color(distance, self.faint, votes, of_target).mean()

    def histogram(self, hue: Tensor, weights: Tensor | None = None) -> Tensor:
        """Soft histogram (Eq. 5) of each channel, (B, C, H, W) -> (B, C, K)."""
        check_images(hue=hue)
        with full_precision(hue):
            votes = _optional_pixels("weights", weights, hue)
            return soft_histogram(_pixels("hue", hue), self.bins, weights=votes, backend=self.backend)


class MutualInformationLoss(nn.Module):
    """How little the output tells about the source (Eq. 16-18, 27), whatever the colours.

    ``form``: "relative" 1 - I/H (paper), "conditional" H(source | output) (the authors' later code), "information" -I, "normalized"
    1 - NMI. With soft bins, 1 - I/H of an image and itself is about 0.5, not 0. ``bins``, ``backend`` and ``faint`` as for
    `CircularEMDLoss`.

    Example:
        >>> import torch
        >>> from huenet.losses import MutualInformationLoss
        >>> hue = torch.rand(2, 1, 64, 64, generator=torch.manual_seed(0))
        >>> loss = MutualInformationLoss(bins=16)
        >>> bool(loss((hue + 0.5) % 1, hue) < loss(hue.flip(-1), hue))  # turned hues tell, mirrored places do not
        True
    """

    __call__: Callable[..., Tensor]

    def __init__(
        self,
        bins: int | Bins = 256,
        form: MiForm = "relative",
        backend: str | None = None,
        *,
        faint: tuple[float, float] | None = None,
    ) -> None:
        super().__init__()
        if form not in _LOSS_OF_FORM:
            raise ValueError(f"form must be 'relative', 'conditional', 'information' or 'normalized', got {form!r}")
        self.bins = bins if isinstance(bins, Bins) else Bins(bins, boundary="circular")
        self.form, self.backend, self.faint = form, backend, faint

    def forward(self, output_hue: Tensor, source_hue: Tensor, weights: Tensor | None = None) -> Tensor:
        """Hues (B, C, H, W), pixel by pixel of the same place, and the votes of those pixels -> scalar."""
        _check_paired(output_hue, source_hue)
        with full_precision(output_hue):
            output, source = _pixels("output_hue", output_hue), _pixels("source_hue", source_hue)
            votes = _optional_pixels("weights", weights, output_hue)
            loss = _LOSS_OF_FORM[self.form](mutual_information(output, source, self.bins, weights=votes, backend=self.backend))
            return _where_there_is_color(loss, self.faint, votes).mean()


class AdversarialLoss(nn.Module):
    """Non-saturating cross entropy on a discriminator's logits of any shape, averaged over patches.

    Example:
        >>> import torch
        >>> from huenet.losses import AdversarialLoss
        >>> AdversarialLoss()(torch.zeros(2, 1, 4, 4))  # log 2: the discriminator cannot tell
        tensor(0.6931)
    """

    __call__: Callable[..., Tensor]

    def forward(self, fake_logits: Tensor) -> Tensor:
        """The generator's part, -log D(fake) (Eq. 28) -> scalar."""
        return F.softplus(-at_least_float32(fake_logits)).mean()

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """The discriminator's part, -log D(real) - log(1 - D(fake)) (Eq. 29) -> scalar."""
        return F.softplus(-at_least_float32(real_logits)).mean() + F.softplus(at_least_float32(fake_logits)).mean()


class SmoothnessLoss(nn.Module):
    """How much neighbouring pixels' hues turn by different angles: mean squared difference of the rotations as unit vectors.

    Not in the paper: histograms do not see where a pixel is, so neighbours may else be sent to different hues. ``weights``
    are the pixels' votes; a pair counts as its smaller one.

    Example:
        >>> import torch
        >>> from huenet.losses import SmoothnessLoss
        >>> hue = torch.rand(1, 1, 8, 8)
        >>> SmoothnessLoss()((hue + 0.25) % 1, hue) < 1e-9  # all turned alike
        tensor(True)
    """

    __call__: Callable[..., Tensor]

    def forward(self, output_hue: Tensor, source_hue: Tensor, weights: Tensor | None = None) -> Tensor:
        """Hues (B, C, H, W), weights (B, C, H, W) or (B, 1, H, W) -> scalar, 0 for a rotation that is the same everywhere."""
        _check_paired(output_hue, source_hue)
        angle = 2 * math.pi * (at_least_float32(output_hue) - at_least_float32(source_hue))
        x, y = angle.cos(), angle.sin()
        votes = torch.ones_like(x) if weights is None else weights.expand_as(x)
        loss = x.new_zeros(())
        for dim in (-2, -1):
            pairs = x.shape[dim] - 1
            if pairs == 0:
                continue
            (x0, y0, votes0), (x1, y1, votes1) = ([part.narrow(dim, start, pairs) for part in (x, y, votes)] for start in (0, 1))
            loss = loss + (torch.minimum(votes0, votes1) * ((x1 - x0).square() + (y1 - y0).square())).mean()
        return loss


class LossParts(NamedTuple):
    """The weighted total and its unweighted parts, scalars; a part whose weight is 0 is not computed and 0.

    Example:
        >>> import torch
        >>> from huenet.losses import LossParts
        >>> from huenet.losses import HueNetLoss
        >>> hue = torch.rand(1, 1, 8, 8)
        >>> HueNetLoss(16, adversarial_weight=0)(hue, hue, hue)._fields
        ('total', 'emd', 'mi', 'adversarial', 'smoothness')
    """

    total: Tensor
    emd: Tensor
    mi: Tensor
    adversarial: Tensor
    smoothness: Tensor


class HueNetLoss(nn.Module):
    """The generator's complete loss, lambda EMD + gamma MI + adversarial (Eq. 25), with the paper's weights by default,
    and on request smoothness, which the paper does not have.

    ``bins`` for EMD, ``mi_bins`` (None: the same), ``backend`` and ``faint`` as for `CircularEMDLoss`.

    Example:
        >>> import torch
        >>> from huenet.losses import HueNetLoss
        >>> output, target, source = torch.rand(3, 2, 1, 16, 16)
        >>> parts = HueNetLoss(bins=64)(output, target, source, fake_logits=torch.zeros(2, 1, 4, 4))
        >>> torch.allclose(parts.total, 100 * parts.emd + 25 * parts.mi + parts.adversarial)
        True
    """

    __call__: Callable[..., LossParts]

    def __init__(
        self,
        bins: int | Bins = 256,
        *,
        mi_bins: int | Bins | None = None,
        emd_weight: float = 100.0,
        mi_weight: float = 25.0,
        adversarial_weight: float = 1.0,
        smoothness_weight: float = 0.0,
        emd_scale: EmdScale = "rms",
        mi_form: MiForm = "relative",
        backend: str | None = None,
        faint: tuple[float, float] | None = None,
    ) -> None:
        super().__init__()
        self.emd_weight = not_negative("emd_weight", emd_weight)
        self.mi_weight = not_negative("mi_weight", mi_weight)
        self.adversarial_weight = not_negative("adversarial_weight", adversarial_weight)
        self.smoothness_weight = not_negative("smoothness_weight", smoothness_weight)
        self.emd = CircularEMDLoss(bins, emd_scale, backend=backend, faint=faint)
        self.mi = MutualInformationLoss(bins if mi_bins is None else mi_bins, mi_form, backend, faint=faint)
        self.adversarial = AdversarialLoss()
        self.smoothness = SmoothnessLoss()

    @classmethod
    def from_config(cls, config: Any, backend: str | None = None) -> Self:
        """The loss that ``config`` describes by the attributes ``emd_weight``, ``mi_weight``, ``adversarial_weight``,
        ``smoothness_weight``, ``emd_scale``, ``mi_form``, numbers ``bins`` and ``mi_bins`` (or None), and ``bandwidth``, ``window``
        and ``boundary`` as in `Bins`. Its weights are chromas, and images fade out as `huenet.color.hue_presence` says."""
        bins, mi_bins = (
            Bins(count, bandwidth=config.bandwidth, boundary=config.boundary, window=config.window)
            for count in (config.bins, config.mi_bins or config.bins)
        )
        weights = {f"{part}_weight": getattr(config, f"{part}_weight") for part in LossParts._fields[1:]}
        options = {"emd_scale": config.emd_scale, "mi_form": config.mi_form, "faint": (NO_HUE, FULL_HUE)}
        return cls(bins, mi_bins=mi_bins, **weights, **options, backend=backend)

    def forward(
        self,
        output_hue: Tensor,
        target_hue: Tensor,
        source_hue: Tensor,
        *,
        output_weights: Tensor | None = None,
        target_weights: Tensor | None = None,
        fake_logits: Tensor | None = None,
    ) -> LossParts:
        """Hues (B, C, H, W), target (B, C, H', W'); ``output_weights`` also weigh the source's pixels, which lie in the same
        places. Raises ``ValueError`` as the parts do, and where ``fake_logits`` is missing but weighted.
        """
        if self.adversarial_weight and fake_logits is None:
            raise ValueError("fake_logits must be given unless adversarial_weight is 0")
        zero = output_hue.new_zeros((), dtype=_pixels("output_hue", output_hue).dtype)
        emd = self.emd(output_hue, target_hue, output_weights, target_weights) if self.emd_weight else zero
        mi = self.mi(output_hue, source_hue, output_weights) if self.mi_weight else zero
        adversarial = self.adversarial(fake_logits) if self.adversarial_weight else zero
        smoothness = self.smoothness(output_hue, source_hue, output_weights) if self.smoothness_weight else zero
        total = self.emd_weight * emd + self.mi_weight * mi + self.adversarial_weight * adversarial
        return LossParts(total + self.smoothness_weight * smoothness, emd, mi, adversarial, smoothness)
