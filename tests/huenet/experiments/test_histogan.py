"""The experiment with HistoGAN's loss, in a short run on small flowers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from huenet.experiments.histogan import Recolour, run

SMALL = {"pictures": 48, "size": 24, "steps": 120, "width": 8}


def test_colours_approach_the_targets(tmp_path: Path) -> None:
    """Of unseen pictures: by a sixth at least in 120 steps, where brightness stays."""
    state = torch.get_rng_state()
    result = run(None, tmp_path / "new", **SMALL)
    assert torch.equal(torch.get_rng_state(), state)
    assert json.loads(json.dumps(result)) == result
    assert result["after"] < 5 / 6 * result["before"] and result["brightness"] < 0.08
    assert result["original"]["after"] < result["original"]["before"]
    assert len(result["steps"]) == len(result["distances"]) == 11 and result["steps"][-1] == SMALL["steps"]
    assert result["distances"][0] == result["before"] and result["distances"][-1] == result["after"]
    with Image.open(tmp_path / "new" / "histogan.png") as figure:
        assert figure.width > 1500
    assert run(None, tmp_path / "new", **SMALL) == result


def test_untrained_it_leaves_pictures_nearly_as_they_were() -> None:
    torch.manual_seed(0)
    image = torch.rand(2, 3, 24, 24)
    output = Recolour(8)(image, torch.rand(2, 3, 32, 32))
    assert 0 < (output - image).abs().mean() < 0.05


def test_photos(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="8"):
        run(folder, tmp_path, **SMALL)


@pytest.mark.parametrize("name, least", [("pictures", 20), ("size", 16), ("steps", 10)])
def test_bad_settings_are_named(name: str, least: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least {least}, got {least - 1}"):
        run(None, tmp_path, **{name: least - 1})
