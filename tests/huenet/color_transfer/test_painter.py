"""Painting in Python: paths, PIL images and tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import huenet


def test_in_python(trained: Path, folder: Path) -> None:
    paint = huenet.load(trained / "generator.safetensors")
    path, other = sorted(folder.iterdir())[:2]
    from_paths, from_images = paint(path, other), paint(Image.open(path), Image.open(other))
    assert from_paths.size == (40, 40) and np.array_equal(np.asarray(from_paths), np.asarray(from_images))
    tensors = [torch.from_numpy(np.array(Image.open(name))).permute(2, 0, 1) / 255 for name in (path, other)]
    painted = paint(*tensors)
    assert painted.shape == (3, 40, 40)
    assert torch.equal(paint(tensors[0].double(), other), painted.double())
    assert np.array_equal(np.asarray(from_paths), (painted.permute(1, 2, 0) * 255).round().byte().numpy())
    assert paint(torch.stack(tensors), torch.stack(tensors)).shape == (2, 3, 40, 40)
    for wrong, error in (
        (tensors[0].byte(), TypeError),
        (7, TypeError),
        (tensors[0][:2], ValueError),
        (tensors[0][:, :0], ValueError),
        (255 * tensors[0], ValueError),
        (2 * tensors[0] - 1, ValueError),
        (tensors[0].index_fill(1, torch.tensor([3]), torch.nan), ValueError),
    ):
        with pytest.raises(error, match="source"):
            paint(wrong, other)
    with pytest.raises(ValueError, match=r"target must have values in \[0, 1\], got 0 to 255"):
        paint(path, torch.tensor([0.0, 255.0]).expand(3, 40, 2))


def test_a_source_keeps_its_transparency(trained: Path, folder: Path) -> None:
    image = Image.open(next(folder.iterdir())).convert("RGBA")
    image.putalpha(Image.fromarray(np.arange(1600, dtype=np.uint16).astype(np.uint8).reshape(40, 40)))
    painted = huenet.load(trained / "generator.safetensors")(image, next(folder.iterdir()))
    assert painted.mode == "RGBA" and np.array_equal(np.array(painted)[..., 3], np.array(image)[..., 3])
