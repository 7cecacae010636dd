"""The metrics of Table 1 against slow, literal implementations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from huenet.color import color_weights, hsv_to_rgb, rgb_to_hsv
from huenet.data.garden import garden
from huenet.metrics.hue import hue_emd, hue_histogram, hue_joint_histogram, hue_mutual_information

BINS = 32


def _random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _of_hue(hue: torch.Tensor) -> torch.Tensor:
    """Pictures (B, 3, H, W) of full saturation and value."""
    return hsv_to_rgb(torch.stack([hue, torch.ones_like(hue), torch.ones_like(hue)], dim=1))


def _of_bins(labels: torch.Tensor, bins: int) -> torch.Tensor:
    return _of_hue((labels.double() + 0.5) / bins)


@pytest.fixture(scope="module")
def photos():
    return garden(6, 32, seed=0)


def _slow_histogram(picture: torch.Tensor, bins: int) -> list[float]:
    counts = [0.0] * bins
    hsv = rgb_to_hsv(picture)
    for hue, saturation, value in hsv.flatten(1).T.tolist():
        counts[int(hue * bins)] += saturation * value
    return [count / sum(counts) for count in counts]


def _slow_emd(p: list[float], q: list[float]) -> float:
    """Eq. 14 as it stands: every cyclic shift, cumulative sums anew."""
    size = len(p)
    best = math.inf
    for shift in range(size):
        difference, total = 0.0, 0.0
        for k in range(size):
            difference += p[(k + shift) % size] - q[(k + shift) % size]
            total += difference**2
        best = min(best, total)
    return math.sqrt(best / size)


def _slow_mutual_information(first: torch.Tensor, second: torch.Tensor, bins: int) -> float:
    """Eq. 16 over Eq. 18 as they stand, pixel by pixel."""
    joint: dict[tuple[int, int], float] = {}
    weights = color_weights(rgb_to_hsv(first)).flatten().tolist()
    for x, y, weight in zip(rgb_to_hsv(first)[0].flatten().tolist(), rgb_to_hsv(second)[0].flatten().tolist(), weights):
        cell = int(x * bins), int(y * bins)
        joint[cell] = joint.get(cell, 0.0) + weight / sum(weights)
    p, q = [0.0] * bins, [0.0] * bins
    for (x, y), mass in joint.items():
        p[x] += mass
        q[y] += mass
    information = sum(mass * math.log(mass / (p[x] * q[y])) for (x, y), mass in joint.items() if mass > 0)
    return information / -sum(mass * math.log(mass) for mass in joint.values() if mass > 0)


def test_agreement_with_slow_implementations(photos) -> None:
    first, second = photos.pictures([0, 1, 2]).double(), photos.pictures([3, 4, 5]).double()
    histograms = hue_histogram(first, BINS)
    emd, information = hue_emd(first, second, BINS), hue_mutual_information(first, second, BINS)
    for i in range(3):
        slow = _slow_histogram(first[i], BINS)
        # Sums of 1024 float64 numbers, then at most 1024 logarithms: some 1e-13.
        np.testing.assert_allclose(histograms[i], slow, atol=1e-13)
        assert emd[i].item() == pytest.approx(_slow_emd(slow, _slow_histogram(second[i], BINS)), abs=1e-10)
        assert information[i].item() == pytest.approx(_slow_mutual_information(first[i], second[i], BINS), abs=1e-11)
    assert (emd > 0.01).all() and (information > 0.01).all()  # neither agrees by being zero


def test_joint_histogram_has_the_histogram_as_its_marginal(photos) -> None:
    first, second = photos.pictures([0, 1]), photos.pictures([2, 3])
    joint = hue_joint_histogram(first, second)
    assert joint.shape == (2, 256, 256)
    torch.testing.assert_close(joint.sum(dim=2), hue_histogram(first))


def test_emd_identities(photos) -> None:
    pictures = photos.pictures(range(6)).double()
    assert hue_emd(pictures, pictures).abs().max() == 0
    other = pictures.roll(1, dims=0)
    torch.testing.assert_close(hue_emd(pictures, other), hue_emd(other, pictures))
    # Turning both circles by whole bins changes nothing; neither does the size of a picture.
    turn = torch.tensor([64 / 256, 0.0, 0.0], dtype=torch.float64).reshape(3, 1, 1)
    turned = [hsv_to_rgb(rgb_to_hsv(image) + turn) for image in (pictures, other)]
    torch.testing.assert_close(hue_emd(*turned), hue_emd(pictures, other), atol=2e-3, rtol=0)  # hues at bins' edges
    torch.testing.assert_close(hue_emd(pictures, other.repeat(1, 1, 2, 1)), hue_emd(pictures, other))


@pytest.mark.parametrize("distance", [1, 10, 128, 200])
def test_emd_of_two_hues(distance: int) -> None:
    """All mass moves d bins the short way round: the cumulative difference is 1 on d bins, 0 elsewhere."""
    here, there = (
        _of_bins(torch.full((1, 4, 4), 250), 256),
        _of_bins(torch.full((1, 4, 4), (250 + distance) % 256), 256),
    )
    assert hue_emd(here, there).item() == pytest.approx(math.sqrt(min(distance, 256 - distance) / 256), abs=1e-9)


def test_mutual_information_identities() -> None:
    labels = torch.randint(0, BINS, (2, 40, 40), generator=torch.Generator().manual_seed(0))
    relabelled = torch.randperm(BINS, generator=torch.Generator().manual_seed(1))[labels]
    merged = labels // 2
    one = hue_mutual_information(_of_bins(labels, BINS), _of_bins(relabelled, BINS), BINS)
    torch.testing.assert_close(one, torch.ones_like(one))  # injective: I = H
    halves = hue_mutual_information(_of_bins(labels, BINS), _of_bins(merged, BINS), BINS)
    for i in range(2):  # of a function f of x, I = H(f(x)) and the joint entropy is H(x)
        entropy = [torch.special.entr(image.flatten().bincount() / 1600.0).sum() for image in (merged[i], labels[i])]
        assert halves[i].item() == pytest.approx((entropy[0] / entropy[1]).item(), abs=1e-6)
    swapped = hue_mutual_information(_of_bins(merged, BINS), _of_bins(labels, BINS), BINS)
    torch.testing.assert_close(swapped, halves)  # symmetric where all weights are one


def test_independent_pictures_score_the_bias_of_their_size() -> None:
    """Of N pixels in K x K cells the expected information is about (K - 1)^2 / 2N nats (Miller and Madow)."""
    bins, side = 16, 128
    first, second = (torch.randint(0, bins, (4, side, side), generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    information = hue_mutual_information(_of_bins(first, bins), _of_bins(second, bins), bins)
    expected = (bins - 1) ** 2 / (2 * side**2) / (2 * math.log(bins))
    # 2 N I is chi squared of (K - 1)^2 degrees of freedom: its relative deviation is sqrt(2) / (K - 1).
    assert (information / expected - 1).abs().max() < 4 * math.sqrt(2) / (bins - 1)


def test_grey_pixels_do_not_vote(photos) -> None:
    pictures, others = photos.pictures([0, 1]).double(), photos.pictures([2, 3]).double()
    grey = torch.full_like(pictures, 0.4)
    torch.testing.assert_close(hue_histogram(torch.cat([pictures, grey], dim=-1)), hue_histogram(pictures))
    wide, beside = torch.cat([pictures, grey], dim=-1), torch.cat([others, others], dim=-1)
    torch.testing.assert_close(hue_mutual_information(wide, beside), hue_mutual_information(pictures, others))


def test_pictures_without_color() -> None:
    grey, color = torch.full((1, 3, 8, 8), 0.5), _random(1, 3, 8, 8).float()
    assert (hue_histogram(grey) == 1 / 256).all()
    assert hue_emd(grey, grey).item() == 0 and 0 < hue_emd(grey, color).item() < 0.5**0.5
    assert hue_joint_histogram(grey, color).sum() == 0
    for first, second in [(grey, color), (color, grey), (grey, grey)]:
        assert hue_mutual_information(first, second).item() == 0
    red = _of_bins(torch.zeros(1, 4, 4), 256)
    assert hue_mutual_information(red, red).item() == 0  # no entropy, nothing to share


@pytest.mark.parametrize("place", [0, 1])
def test_a_nan_pixel_shows(place):
    pictures = [torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(seed)) for seed in range(2)]
    pictures[place][0, 1, 2, 2] = torch.nan
    assert hue_emd(*pictures, 16).isnan() and hue_mutual_information(*pictures, 16).isnan()
