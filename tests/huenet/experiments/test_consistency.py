"""Mutual information keeps what an unpaired translation shows."""

from __future__ import annotations

import pytest
import torch

from huenet.experiments.consistency import other_modality, run
from huenet.kernels import Bins, mutual_information


def test_it_keeps_the_content_and_histograms_agree_as_well(tmp_path):
    """Less than half of the training of docs/experiments.md, which brings numbers three times as far apart."""
    numbers = run(None, tmp_path, pictures=80, size=32, steps=200)
    assert (tmp_path / "consistency.png").stat().st_size > 10_000
    without, kept = numbers["without"], numbers["with"]
    assert kept["information"] > without["information"] + 0.05
    assert kept["histogram"] < numbers["before"]["histogram"]
    assert numbers["before"]["information"] == pytest.approx(1.0)


def test_the_other_modality_tells_all_but_the_side_of_the_fold():
    brightness = torch.linspace(0, 1, 4096, dtype=torch.float64)
    seen = other_modality(brightness)
    assert 0 <= seen.min() < 0.16 and seen.max() == pytest.approx(0.85)
    folded = mutual_information(brightness, seen, Bins(16, window="box")).normalized
    assert 0.6 < folded < 1


@pytest.mark.parametrize("name, value", [("pictures", 23), ("size", 15), ("steps", 9)])
def test_too_little_is_named(tmp_path, name, value):
    with pytest.raises(ValueError, match=f"{name} must be at least"):
        run(None, tmp_path, **{name: value})
