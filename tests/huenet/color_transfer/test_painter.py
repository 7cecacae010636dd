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
    ):
        with pytest.raises(error, match="source"):
            paint(wrong, other)
