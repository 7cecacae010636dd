"""Saturation and value of a target, beyond the paper: nothing here is trained.

A curve brings the source's distribution near the target's, one for the whole picture:

    curves = tone_curves(count_tones(source), count_tones(target), ("saturation", "value"), strength=1.0)
    chroma, value = curves(chroma, value)

Of all curves whose slopes stay within `SLOPES`, it is the one nearest to the curve of quantiles, which would give the target's
distribution exactly, and may have any slope: in mean square over the source's pixels. Slopes that are not 1, and bends, cost a
little, which decides where there are no pixels to tell.

* A curve starts at 0 and rises by at most `SLOPES[1]` for 1. So grey stays grey and black black, and what rounding and noise leave
  in dark pixels grows by that factor at most. At 2 the picture has steps of 7 bits where the source had 8.
* It rises by at least `SLOPES[0]`, so that what differed still differs.
"""

from collections.abc import Callable, Collection
from typing import NamedTuple

import torch
from torch import Tensor

from ..data.bands import Rows, bands
from ..kernels import emd
from ..metrics.counting import count_cells

TONES = ("saturation", "value")
LEVELS = 256
SLOPES = (0.25, 2.0)
UNTOLD = (1 / 32) ** 2
"""What it costs to have the slope off by 1 everywhere: as much as to lie 8 of 255 levels beside the quantiles everywhere."""
BEND = 1e-4
"""What it costs that the slope changes by 1 from one level to the next."""
ROUNDS = 1000
"""Of the minimisation, whose error falls by a factor of e in about the root of its condition number, some 40."""


class Tones(NamedTuple):
    """Histograms (B, 256) at the levels k / 255, as sums of votes."""

    saturation: Tensor
    """A pixel's vote is its value: a dark one's saturation is noise, a black one's means nothing. White and grey ones vote."""
    value: Tensor


class ToneCurves(NamedTuple):
    """New saturations and values at the levels k / 255, (B, 256); None: as they are."""

    saturation: Tensor | None
    value: Tensor | None

    def __call__(self, chroma: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Chroma and value (B, H, W), as by `huenet.color.hue_chroma_value`, to new ones."""
        saturation = _saturation(chroma, value)
        if self.saturation is not None:
            saturation = _looked_up(self.saturation, saturation)
        if self.value is not None:
            value = _looked_up(self.value, value)
        return saturation * value, value


def check_also(also: Collection[str]) -> None:
    """Raises ``ValueError`` for what is not among `TONES`, ``TypeError`` for a text, which would be letters."""
    if isinstance(also, str):
        raise TypeError(f"also must be a collection of {' and '.join(TONES)}, such as ({also!r},), got {also!r}")
    for name in also:
        if name not in TONES:
            raise ValueError(f"also must be among {', '.join(TONES)}, got {name!r}")


def count_tones(picture: Rows, opacity: Callable[[slice], Tensor | float] | None = None) -> Tones:
    """Of a whole picture, band by band, (B, 3, H, W). `opacity`: of these rows, from 0 to 1, (rows, W): what is transparent has no
    vote."""
    saturations, values = 0.0, 0.0
    for rows in bands(picture.shape):
        band = picture[..., rows, :]
        value = band.amax(-3)
        saturation, vote = _saturation(value - band.amin(-3), value), torch.ones_like(value)
        if opacity is not None:
            share = opacity(rows)
            vote = vote * (share.to(vote) if isinstance(share, Tensor) else share)
        saturations = saturations + _count(saturation, value * vote)
        values = values + _count(value, vote)
    return Tones(saturations, values)


def tone_emd(first: Tensor, second: Tensor) -> dict[str, Tensor]:
    """Earth mover's distance (B,) between the histograms of two batches (B, 3, H, W), of saturation and of value: on a line, RMS
    (Eq. 12). Where nothing votes, as for the saturation of a black picture, the histogram is flat."""
    shares = ([_share(histogram, 1 / LEVELS) for histogram in count_tones(picture)] for picture in (first, second))
    return {name: emd(*pair) for name, *pair in zip(TONES, *shares)}


def tone_curves(source: Tones, target: Tones, also: Collection[str], strength: float) -> ToneCurves | None:
    """Those asked for; with less strength than 1, each level goes that share of its way. None where there is nothing to do."""
    check_also(also)
    if not also or strength == 0:
        return None
    levels = torch.arange(LEVELS, dtype=torch.float64) / (LEVELS - 1)
    curve = lambda name: torch.lerp(levels, fitted(getattr(source, name), getattr(target, name)), strength).float()  # noqa: E731
    return ToneCurves(*(curve(name) if name in also else None for name in TONES))


def fitted(source: Tensor, target: Tensor) -> Tensor:
    """The curve (B, 256), in float64 on the CPU, from one histogram (B, 256) to another. Without a vote in one, the identity."""
    source, target = (histogram.detach().cpu().double() for histogram in (source, target))
    levels = torch.arange(LEVELS, dtype=torch.float64) / (LEVELS - 1)
    empty = (source.sum(1) == 0) | (target.sum(1) == 0)
    share = _share(source, 0.0)
    # A curve is the sum of its slopes up to each level: the squared distance is a quadratic form of them.
    step = 1 / (LEVELS - 1)
    sums = step * torch.ones(LEVELS, LEVELS - 1, dtype=torch.float64).tril(-1)
    identity = torch.eye(LEVELS - 1, dtype=torch.float64)
    bends = identity.diff(dim=0)
    regular = BEND * bends.T @ bends + UNTOLD * step * identity
    form = sums.T @ (share.unsqueeze(-1) * sums) + regular
    wanted = (share * _mean_quantiles(share, target)) @ sums + UNTOLD * step
    slopes = _minimum(form, wanted)
    curve = torch.cat([torch.zeros_like(slopes[:, :1]), step * slopes.cumsum(1)], dim=1)
    # A curve that would end above 1 follows the line of the least slope that ends there; so all slopes stay within theirs.
    curve = torch.minimum(curve, 1 - SLOPES[0] * (1 - levels))
    return torch.where(empty.unsqueeze(1), levels, curve)


def _minimum(form: Tensor, wanted: Tensor) -> Tensor:
    """Slopes d (B, K) within `SLOPES` of the least d·form·d / 2 - wanted·d: projected gradient steps with Nesterov's momentum."""
    rate = 1 / torch.linalg.eigvalsh(form)[:, -1:]
    slopes = ahead = torch.ones_like(wanted)
    momentum = 1.0
    for _ in range(ROUNDS):
        before = slopes
        slopes = (ahead - rate * ((form @ ahead.unsqueeze(-1)).squeeze(-1) - wanted)).clamp(*SLOPES)
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead = slopes + (momentum - 1) / following * (slopes - before)
        momentum = following
    return slopes


def _mean_quantiles(share: Tensor, target: Tensor) -> Tensor:
    """(B, 256): the mean level of the part of the target's pixels which those of each source level become, in order."""
    target = _share(target, 0.0)
    levels = torch.arange(LEVELS, dtype=torch.float64) / (LEVELS - 1)
    # sums of levels over the first pixels, as a function of how many they are: linear between levels
    zero = torch.zeros_like(target[:, :1])
    counts = torch.cat([zero, target.cumsum(1)], dim=1)
    sums = torch.cat([zero, (target * levels).cumsum(1)], dim=1)
    ends = torch.cat([zero, share.cumsum(1).clamp_max(1.0)], dim=1)
    above = torch.searchsorted(counts, ends).clamp(1, LEVELS)
    low, high = counts.gather(1, above - 1), counts.gather(1, above)
    part = ((ends - low) / (high - low).clamp_min(torch.finfo(torch.float64).tiny)).clamp(0.0, 1.0)
    at = torch.lerp(sums.gather(1, above - 1), sums.gather(1, above), part)
    return at.diff(dim=1) / share.clamp_min(torch.finfo(torch.float64).tiny)


def _share(histogram: Tensor, empty: float) -> Tensor:
    total = histogram.sum(1, keepdim=True)
    return torch.where(total == 0, empty, histogram / torch.where(total == 0, 1.0, total))


def _saturation(chroma: Tensor, value: Tensor) -> Tensor:
    return torch.where(value > 0, chroma / torch.where(value > 0, value, 1.0), 0.0)


def _count(tone: Tensor, votes: Tensor) -> Tensor:
    level = (tone * (LEVELS - 1)).round().clamp(0, LEVELS - 1).long()
    return count_cells(level.flatten(1), votes.flatten(1).double(), LEVELS)


def _looked_up(curve: Tensor, tone: Tensor) -> Tensor:
    """Linear between levels, (B, 256) and (B, H, W) -> (B, H, W)."""
    place = (tone.clamp(0.0, 1.0) * (LEVELS - 1)).flatten(1)
    below = place.floor().clamp_max(LEVELS - 2)
    curve, index = curve.to(place), below.long()
    return torch.lerp(curve.gather(1, index), curve.gather(1, index + 1), place - below).view_as(tone)
