"""The palette head, by hand."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from huenet.color import unit_vector
from huenet.color_transfer.heads import Condition, PaletteHead
from tests.huenet.color_transfer.small import SMALL, images


def test_palette_interpolates_its_curves_around_the_circle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two curves of four knots: a constant turn of 1/8; and none at hues 0, 1/4, 1/2, but a quarter at hue 3/4."""
    head = PaletteHead(dataclasses.replace(SMALL, curves=2, knots=4))
    turns = torch.tensor([[1 / 8, 1 / 8, 1 / 8, 1 / 8], [0, 0, 0, 1 / 4]]).view(1, 1, 2, 4)
    monkeypatch.setattr(head, "curves", lambda _: unit_vector(turns).transpose(1, 2))
    hue = torch.tensor([0.0, 0.3, 0.6, 0.75, 0.875, 0.999]).view(1, 1, 1, 6)
    first, second = torch.tensor([50.0, -50.0]).view(1, 2, 1, 1), torch.tensor([-50.0, 50.0]).view(1, 2, 1, 1)
    assert torch.allclose(head(first.expand(1, 2, 1, 6), hue, head.curves(None)), (hue + 1 / 8) % 1, atol=1e-6)
    # Between knots the unit vectors are interpolated: half way between no turn and a quarter lies an eighth.
    turned = (head(second.expand(1, 2, 1, 6), hue, head.curves(None)) - hue).flatten()
    expected = [0, 0, math.atan2(0.4, 0.6) / math.tau, 1 / 4, 1 / 8, math.atan2(0.004, 0.996) / math.tau]
    assert turned.remainder(1).tolist() == pytest.approx(expected, abs=1e-6)
    even = head(torch.zeros(1, 2, 1, 6), hue, head.curves(None)) - hue  # masks of one half each
    assert even.flatten()[0].item() == pytest.approx(1 / 16, abs=1e-6)


def test_palette_sends_hues_to_those_of_the_target() -> None:
    """At first already, because of the histogram in the scores: to the only one there is, and to the nearer of two."""
    torch.manual_seed(0)
    bins = 64
    head = PaletteHead(dataclasses.replace(SMALL, condition_bins=bins, knots=32))
    hue = (torch.arange(64).view(1, 1, 8, 8) + 0.5) / 64
    condition = Condition(images(1, SMALL.condition_width), torch.zeros(1, bins))
    condition.histogram[0, 20] = 1
    away = head(images(1, 4, 8, 8), hue, head.curves(condition)) - 20.5 / bins
    assert (away - away.round()).abs().median() < 0.02
    condition.histogram[0, [20, 52]] = 0.5
    nearer = torch.where((hue - 20.5 / bins).abs() < 0.25, 20.5 / bins, 52.5 / bins)
    away = head(images(1, 4, 8, 8), hue, head.curves(condition)) - nearer
    assert (away - away.round()).abs().median() < 0.1
