"""The structure experiment on pairs drawn here, where the answer is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.nn.functional import interpolate

from huenet.experiments import structure


@pytest.fixture
def pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four smooth images and their negatives, of a power."""
    monkeypatch.setattr(structure, "SIDE", 40)
    noise = torch.rand(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    photos = interpolate(noise, size=40, mode="bicubic", align_corners=False).clamp(0, 1)
    for number, photo in enumerate(photos):
        for role, image in (("A", photo), ("B", 1 - photo**2)):
            Image.fromarray((255 * image).byte().permute(1, 2, 0).numpy()).save(tmp_path / f"{number}_{role}.png")
    return tmp_path


def test_the_own_map_in_place_scores_highest(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    out = tmp_path_factory.mktemp("out")
    result = structure.run(pairs, out)
    json.dumps(result)
    assert result["pairs"] == 4
    for name in structure.SETTINGS:
        scores = result[name]
        assert scores["own_wins"] == 1 and scores["own_first"] == 4
        moved = list(scores["moved"].values())
        assert scores["own"] == pytest.approx(moved[0]) and moved[0] > 0.1
        assert moved[:5] == sorted(moved[:5], reverse=True)
        assert abs(scores["shuffled"]) < 0.02
    with Image.open(out / "structure.png") as image:
        assert image.width > 1500
    assert structure.run(pairs, out) == result


def test_what_is_no_pair_is_left_out(pairs: Path) -> None:
    (pairs / "3_B.png").unlink()
    assert len(structure.load_pairs(pairs, 40)[0]) == 3
    for number in (1, 2):
        (pairs / f"{number}_A.png").unlink()
    with pytest.raises(ValueError, match="at least two pairs of images NAME_A and NAME_B, found 1"):
        structure.load_pairs(pairs, 40)
