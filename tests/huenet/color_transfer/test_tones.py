"""Curves of saturation and value."""

from __future__ import annotations

import pytest
import torch

from huenet.color import rgb_to_hsv
from huenet.color_transfer.tones import (
    BEND,
    LEVELS,
    SLOPES,
    UNTOLD,
    ToneCurves,
    _mean_quantiles,
    count_tones,
    fitted,
    tone_curves,
    tone_emd,
)  # fmt: skip
from huenet.data import bands
from huenet.data.garden import garden
from tests.huenet.color_transfer.small import images

LINE = torch.arange(LEVELS, dtype=torch.float64) / (LEVELS - 1)


def histogram(tones: torch.Tensor) -> torch.Tensor:
    return torch.bincount((tones * (LEVELS - 1)).round().long(), minlength=LEVELS).double().unsqueeze(0)


SPREAD = images(20_000)
CASES = {
    "dark to bright": (0.3 * SPREAD, 0.6 + 0.4 * SPREAD),
    "bright to dark": (0.6 + 0.4 * SPREAD, 0.3 * SPREAD),
    "two hills": (torch.cat([0.1 + 0.1 * SPREAD, 0.8 + 0.1 * SPREAD]), SPREAD),
    "one level": (torch.full_like(SPREAD, 0.02), SPREAD),
    "to one level": (SPREAD, torch.full_like(SPREAD, 0.5)),
    "to white": (SPREAD, torch.ones_like(SPREAD)),
    "to black": (SPREAD, torch.zeros_like(SPREAD)),
}


@pytest.mark.parametrize("case", CASES)
def test_curves_start_at_black_rise_within_their_slopes_and_end_by_one(case: str) -> None:
    curve = fitted(*map(histogram, CASES[case]))[0]
    slopes = curve.diff() * (LEVELS - 1)
    # a difference of numbers up to 1, rounded to 2**-53 of them, times 255
    assert curve[0] == 0 and curve[-1] <= 1
    assert slopes.min() >= SLOPES[0] - 255 * 2**-51 and slopes.max() <= SLOPES[1] + 255 * 2**-51


@pytest.mark.parametrize("case", ["bright to dark", "two hills", "one level"])
def test_no_other_curve_is_nearer(case: str) -> None:
    """What is minimised, written out, of curves that lie beside it within the bounds: convex, so none nearby is none at all."""
    source, target = map(histogram, CASES[case])
    curve, share = fitted(source, target)[0], (source / source.sum())[0]
    wanted = _mean_quantiles(share.unsqueeze(0), target)[0]

    def cost(curve: torch.Tensor) -> float:
        slopes = curve.diff() * (LEVELS - 1)
        regular = UNTOLD * (slopes - 1).square().mean() + BEND * slopes.diff().square().sum()
        return float((share * (curve - wanted).square()).sum() + regular)

    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        other = torch.rand(LEVELS - 1, generator=generator, dtype=torch.float64) * (SLOPES[1] - SLOPES[0]) + SLOPES[0]
        slopes = torch.lerp(curve.diff() * (LEVELS - 1), other, 10 ** (-4 * torch.rand(1, generator=generator).item()))
        beside = torch.cat([torch.zeros(1, dtype=torch.float64), slopes.cumsum(0) / (LEVELS - 1)])
        # the minimum is found to 1e-4 of a level or so, which squared is less than this
        assert cost(curve) <= cost(beside) + 1e-9


def test_a_distribution_within_reach_is_met() -> None:
    """Squares of values in [0.2, 0.8] have slopes from 0.4 to 1.6."""
    values = 0.2 + 0.6 * SPREAD
    curve = fitted(histogram(values), histogram(values.square()))[0]
    inside = (LINE > 0.25) & (LINE < 0.75)
    # Levels are rounded by half of one at each side, and slopes that are not 1 cost a 32nd, squared, of what distances do.
    assert (curve - LINE.square())[inside].abs().max() < 1 / 64


def test_the_same_distribution_stays() -> None:
    tones = histogram(SPREAD)
    # the mean of a level's quantiles is that level, to roundings of sums of 256
    assert torch.allclose(fitted(tones, tones)[0], LINE, rtol=0, atol=256 * 2**-52)
    assert torch.equal(fitted(torch.zeros_like(tones), tones)[0], LINE), "nobody votes"
    assert torch.equal(fitted(tones, torch.zeros_like(tones))[0], LINE), "nobody votes"


def test_every_strength_is_between() -> None:
    source, target = (count_tones(images(1, 3, 40, 40, seed=seed) ** power) for seed, power in ((0, 1), (1, 3)))
    curves = [tone_curves(source, target, ("saturation", "value"), strength / 8) for strength in range(9)]
    assert curves[0] is None
    for name in ("saturation", "value"):
        steps = torch.stack([LINE.float().unsqueeze(0), *(getattr(curve, name) for curve in curves[1:])]).diff(dim=0)
        # each level goes its way in equal steps, in float32
        assert torch.allclose(steps, steps.mean(0), rtol=0, atol=2 * 2**-24)
    assert tone_curves(source, target, ("value",), 1.0).saturation is None
    assert tone_curves(source, target, (), 1.0) is None


def test_grey_stays_grey_and_black_black() -> None:
    full = torch.linspace(0, 1, LEVELS).sqrt().unsqueeze(0)
    curves = ToneCurves(full, full)
    grey = torch.linspace(0, 1, 50).view(1, 1, 50)
    chroma, value = curves(torch.zeros_like(grey), grey)
    assert not chroma.any() and value[0, 0, 0] == 0 and (value.diff() > 0).all()


def test_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = images(2, 3, 40, 30)
    whole = count_tones(picture)
    monkeypatch.setattr(bands, "PIXELS", 200)
    parts = count_tones(picture)
    hsv = rgb_to_hsv(picture)
    votes = hsv[:, 2].double()
    for name, channel, weights in (("saturation", 1, votes), ("value", 2, torch.ones_like(votes))):
        expected = torch.zeros(2, LEVELS, dtype=torch.float64)
        for row in range(2):
            level = (hsv[row, channel] * (LEVELS - 1)).round().long().flatten()
            expected[row].index_add_(0, level, weights[row].flatten())
        # sums of 1,200 votes up to 1 in float64, in another order
        assert torch.allclose(getattr(whole, name), expected, rtol=0, atol=1200 * 2**-52)
        assert torch.allclose(getattr(parts, name), expected, rtol=0, atol=1200 * 2**-52)
    left = count_tones(picture, lambda rows: torch.ones(rows.stop - rows.start, 30).index_fill(1, torch.arange(10, 30), 0))
    assert left.value.sum() == 2 * 400, "what is transparent has no vote"


def test_distances() -> None:
    """Of saturation between full and none, and of value between 1 and 1/5, 204 levels: each the share of levels between."""
    red, dark = torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 0.2)
    red[:, 0] = 1
    found = tone_emd(red, dark)
    assert found["saturation"].item() == pytest.approx((255 / 256) ** 0.5) and found["value"].item() == pytest.approx(
        (204 / 256) ** 0.5
    )
    assert all(distance == 0 for distance in tone_emd(red, red).values())
    assert tone_emd(red, torch.zeros_like(red))["saturation"].isfinite()


def test_what_is_no_tone_is_named() -> None:
    tones = count_tones(garden(1, 16, seed=0).pictures([0]))
    with pytest.raises(ValueError, match="also must be among saturation, value, got 'hue'"):
        tone_curves(tones, tones, ("hue",), 1.0)
    with pytest.raises(TypeError, match="also must be a collection of saturation and value"):
        tone_curves(tones, tones, "value", 1.0)
