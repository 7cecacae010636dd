"""What is done in bands of rows is what is done to the whole picture."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from huenet import color
from huenet.data import bands
from tests.huenet.color_transfer.small import images

SIZES = [((85, 64), (400, 300)), ((12, 30), (40, 1000)), ((64, 20), (17, 9)), ((16, 64), (1, 3000)), ((64, 16), (3000, 1))]
"""Reduced, and whole: photos, a panorama, one that is enlarged, lines."""


@pytest.fixture(params=[1, 700, 2**16])
def pixels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Of a band: a row of any width at least, a few rows, all of most pictures."""
    monkeypatch.setattr(bands, "PIXELS", request.param)
    return request.param


@pytest.mark.parametrize("shape", [(1, 3, 300, 400), (4, 3, 50, 7), (1, 3, 1, 5000), (1, 3, 5000, 1), (2, 3, 1, 1)])
def test_bands_are_all_of_the_rows_and_no_larger_than_they_may_be(pixels: int, shape: tuple[int, ...]) -> None:
    rows = bands.bands(shape)
    assert [row for band in rows for row in range(band.start, band.stop)] == list(range(shape[2]))
    most = max(pixels, shape[0] * shape[3])
    assert all(shape[0] * shape[3] * (band.stop - band.start) <= most for band in rows)
    assert all(band.stop - band.start <= bands.MOST_ROWS for band in rows)


@pytest.mark.parametrize(("small", "large"), SIZES)
def test_reducing(pixels: int, small: tuple[int, int], large: tuple[int, int]) -> None:
    picture = images(2, 3, *large)
    expected = F.interpolate(picture.double(), small, mode="bilinear", antialias=True)
    # Along one pixel of the reduced picture a value in [0, 1] changes by at most 2. Places along a side are rounded to 2**-24 of
    # it, at the first pixel of what is weighed and at the last; and so are the weights and the sums.
    assert torch.allclose(bands.reduced(picture, small).double(), expected, rtol=0, atol=8 * max(small) * 2**-24)


@pytest.mark.parametrize(("small", "large"), SIZES)
def test_enlarging(pixels: int, small: tuple[int, int], large: tuple[int, int]) -> None:
    fields = images(2, 5, *small)
    expected = F.interpolate(fields.double(), large, mode="bilinear")
    found = torch.cat([bands.enlarged(fields, rows, large) for rows in bands.bands((2, 3, *large))], dim=-2)
    # Between two pixels, in [0, 1], it changes by at most 1; places are rounded to 2**-24 of the side, twice, and so are sums.
    assert torch.allclose(found.double(), expected, rtol=0, atol=4 * max(small) * 2**-24)


def test_a_picture_of_the_size_wanted_is_itself(pixels: int) -> None:
    picture = images(2, 3, 40, 30)
    assert torch.equal(bands.reduced(picture, (40, 30)), picture)
    assert torch.equal(torch.cat([bands.enlarged(picture, rows, (40, 30)) for rows in bands.bands(picture.shape)], -2), picture)


def test_mean_chroma(pixels: int) -> None:
    picture = images(3, 3, 70, 50)
    # At most 70 bands are added one after the other, each sum rounded.
    assert torch.allclose(bands.mean_chroma(picture), color.mean_chroma(picture), rtol=0, atol=70 * 2**-24)
