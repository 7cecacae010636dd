"""The experiment on the style of one image: what each loss is known to do, at a small size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from huenet.experiments import style
from huenet.experiments.unaligned import LOSSES, gram_loss, sliced_distance


def test_losses_do_what_they_are_known_for(tmp_path: Path) -> None:
    result = style.run(None, tmp_path / "new", size=24, steps=60)
    assert json.loads(json.dumps(result)) == result
    assert result.keys() == {"source", *LOSSES}
    assert result["source"]["content"] == pytest.approx(1, abs=1e-6)
    assert all(result[name]["style"] < result["source"]["style"] for name in LOSSES)
    assert result["L1"]["content"] < result["Gram"]["content"]  # L1 draws the style's own flower
    with Image.open(tmp_path / "new" / "style.png") as figure:
        assert min(figure.size) > 600


def test_photos_serve_too(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="13"):
        style.run(folder, tmp_path)


def test_bad_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="size must be at least 16, got 8"):
        style.run(None, tmp_path, size=8)
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        style.run(None, tmp_path, steps=0)


def test_gram_and_sliced_distance_forget_places_and_l1_does_not() -> None:
    """A tiled image that is moved has the same patches in other places."""
    tile = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    # windows of 4 tiles and a patch's width beyond: patches of every phase are in them equally often, before and after
    image = tile.tile(1, 1, 6, 6)
    moved = image.roll((2, 2), (2, 3))
    window = lambda image: image[..., : 4 * 4 + 3, : 4 * 4 + 3]  # noqa: E731
    assert gram_loss(window(image), window(moved)) < 1e-10 < gram_loss(window(image), window(image) ** 2)
    narrow = lambda image: image[..., : 4 * 4 + 2, : 4 * 4 + 2]  # noqa: E731
    assert sliced_distance(narrow(image), narrow(moved)) < 1e-5 < sliced_distance(narrow(image), narrow(image) ** 2)
    assert LOSSES["L1"](image, moved) > 0.1
