"""The registration experiment, short: both losses find the truth, on one path."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from huenet.experiments import registration

#: pixels of 96 for the slice's mean place; half of what a pixel's interpolation hides
NEAR = 0.25


def test_both_losses_take_one_path_to_the_truth(tmp_path: Path) -> None:
    pytest.importorskip("monai.losses")
    result = registration.run(tmp_path, side=64, steps=60, rate=0.02)
    json.dumps(result)
    assert result["start"] > 4
    for name in ("huenet", "monai"):
        assert result[name]["distance"] < NEAR
        assert result[name]["degrees"] == pytest.approx(result["truth"]["degrees"], abs=0.5)
        assert result[name]["shift"] == pytest.approx(result["truth"]["shift"], abs=NEAR)
    assert result["paths_apart"] < 1e-4
    assert result["huenet"]["loss"] == pytest.approx(result["monai"]["loss"], abs=1e-5)
    with Image.open(tmp_path / "registration.png") as image:
        assert image.width > 1500


def test_without_monai(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Huenet's alone; the same numbers again with the same seed, others with another."""
    monkeypatch.setattr(registration.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "monai", None)
    first, again, other = (registration.run(tmp_path, side=32, steps=5, seed=seed) for seed in (0, 0, 1))
    assert "monai" not in first and first["paths_apart"] is None
    for result in (first, again, other):
        del result["huenet"]["seconds"]
    assert first == again != other
    assert first["huenet"]["distance"] < first["start"]


def test_sizes_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="side must be at least 16 and steps at least 1, got 8 and 5"):
        registration.run(tmp_path, side=8, steps=5)
