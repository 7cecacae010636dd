"""Grids of samples, checked in their pixels."""

from __future__ import annotations

import numpy as np

from huenet.data.garden import garden
from huenet.plotting import sample_grid


def test_sample_grid() -> None:
    triple = garden(6, 32, seed=0).pictures(range(6)).split(2)
    source, target, output = triple
    pixels = np.asarray(sample_grid(source, target, output))
    assert pixels.shape == (3 * 34, 2 * 34, 3)  # 32 pixels and a white edge of one
    for row, role in enumerate((source, target, output)):
        for column in range(2):
            tile = pixels[row * 34 + 1 : row * 34 + 33, column * 34 + 1 : column * 34 + 33]
            assert np.array_equal(tile, (role[column] * 255).round().byte().permute(1, 2, 0).numpy())
    assert sample_grid(*(image[..., :20, :] for image in triple)).size == (2 * 34, 3 * 22)
    strips = sample_grid(*(image.repeat(5, 1, 1, 1)[:5] for image in triple), columns=2)
    assert strips.size == (2 * 34, 3 * 3 * 34)
    assert (np.asarray(strips)[-3 * 34 :, 34:] == 255).all()  # the place of the sixth sample is empty
