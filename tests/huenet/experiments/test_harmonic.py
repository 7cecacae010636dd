"""The harmonic experiment on drawn pairs: a map that follows its photo is told from a moved one, and a figure is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from huenet.experiments.harmonic import run


def draw_pairs(folder: Path, count: int) -> None:
    """Photos of noisy fields, every field 16 pixels wide and of one of two brightnesses, and maps that colour the bright ones."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for index in range(count):
        bright = rng.integers(0, 2, (5, 5)).repeat(16, 0).repeat(16, 1)[..., None]
        photo = 60 + 100 * bright + rng.integers(-20, 20, (80, 80, 3))
        map_ = np.where(bright, [250, 160, 40], [230, 230, 220])
        for side, picture in (("A", photo), ("B", map_)):
            Image.fromarray(picture.astype(np.uint8)).save(folder / f"{index}_{side}.png")


def test_aligned_pairs_are_told_from_misaligned_ones(tmp_path: Path) -> None:
    draw_pairs(tmp_path / "pairs", 3)
    result = run(tmp_path / "pairs", tmp_path / "out", size=80)
    assert result["pairs"] == 3 and result["lowest_in_place"] == 1
    assert result["aligned"] < result["shifted_8"] - 0.1 < result["shifted_64"] and result["aligned"] < result["exchanged"] - 0.3
    assert run(tmp_path / "pairs", tmp_path / "out", size=80) == result  # seeded
    with Image.open(tmp_path / "out" / "harmonic.png") as figure:
        assert figure.width > 1500 and np.asarray(figure.convert("L")).std() > 10


def test_bad_data_is_named(tmp_path: Path) -> None:
    draw_pairs(tmp_path / "pairs", 1)
    with pytest.raises(ValueError, match="at least two pairs of images NAME_A and NAME_B, found 1"):
        run(tmp_path / "pairs", tmp_path, size=80)
    with pytest.raises(ValueError, match="size must be above 64"):
        run(tmp_path / "pairs", tmp_path, size=64)
