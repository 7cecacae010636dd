"""The experiment on domain transfer, at a small size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from huenet.experiments import domain
from huenet.experiments.unaligned import LOSSES

SMALL = {"pictures": 64, "size": 24, "steps": 80}


def test_the_contextual_loss_bears_targets_at_random(tmp_path: Path) -> None:
    result = domain.run(None, tmp_path / "new", **SMALL)
    assert json.loads(json.dumps(result)) == result
    assert result["targets"].keys() == domain.TARGETS.keys()
    assert all(by_loss.keys() == LOSSES.keys() for by_loss in result["targets"].values())
    at_random = result["targets"]["at random"]
    assert at_random["contextual"] < min(result["faded"], at_random["L1"], at_random["Gram"])
    assert result["truth"] < result["faded"]
    with Image.open(tmp_path / "new" / "domain.png") as figure:
        assert min(figure.size) > 500


def test_targets_are_given_as_told() -> None:
    images = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    order = torch.tensor([3, 1, 0, 5, 2, 4])
    for way in ("contextual", "colours"):  # the picture itself is the nearest
        assert torch.equal(domain.TARGETS[way](images[order], images), order)


def test_fading_is_what_it_says() -> None:
    image = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    faded = domain.fade(image)
    assert faded.min() >= 0.35 and faded.max() <= 0.85
    assert faded.std() < image.std() / 2 and faded[:, 2].mean() < faded[:, 0].mean()


def test_bad_input_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pictures must be at least 24, got 20"):
        domain.run(None, tmp_path, pictures=20)
    with pytest.raises(ValueError, match="24"):
        domain.run(folder, tmp_path)  # eight photos
