"""Pictures in bands of rows that stay in the cache, so that of a huge one there is never a copy in floats.

A `Rows` is anything of shape (B, 3, H, W) whose rows can be had as float RGB: a tensor, or a photo that is kept as bytes. Where
the picture is one band or a hundred, the result is the same but for rounding.
"""

from collections.abc import Iterator, Sequence
from types import EllipsisType
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from .. import color

PIXELS = 2**16
"""Of a band: a few dozen floats of each of its pixels are being worked on, a few channels at a time."""
MOST_ROWS = 2**10
"""Of a band, however narrow the picture: `reduced` has a weight for each of them and each row of what it makes."""


class Rows(Protocol):
    """A picture, or a batch of them, of which some rows are read at a time."""

    @property
    def shape(self) -> Sequence[int]:
        """(B, 3, H, W)."""

    def __getitem__(self, place: tuple[EllipsisType, slice, slice]) -> Tensor:
        """``picture[..., rows, :]``: floating-point RGB (B, 3, rows, W)."""


def bands(shape: Sequence[int]) -> list[slice]:
    """The rows of each band of pictures (B, 3, H, W), from the top."""
    batch, _, height, width = shape
    rows = min(max(PIXELS // (batch * width), 1), MOST_ROWS)
    return [slice(top, min(top + rows, height)) for top in range(0, height, rows)]


def reduced(picture: Rows, size: tuple[int, int]) -> Tensor:
    """RGB (B, 3, *size) in [0, 1]: bilinear with antialiasing, as by ``torch.nn.functional.interpolate`` of the whole."""
    height, width = picture.shape[-2:]
    if size == (height, width):
        return torch.cat(list(_read(picture)), dim=-2)
    total, weight = 0.0, 0.0
    for rows, band in zip(bands(picture.shape), _read(picture)):
        if size[1] != width:
            band = F.interpolate(band, (band.shape[-2], size[1]), mode="bilinear", antialias=True)
        weights = _weights(size[0], rows, height)
        total = total + weights.to(band) @ band
        weight = weight + weights.sum(1, keepdim=True)
    return (total / weight.to(total)).clamp(0.0, 1.0)


def mean_chroma(picture: Rows) -> Tensor:
    """`huenet.color.mean_chroma` of a picture (B, 3, H, W) -> (B,)."""
    total: Tensor | float = 0.0
    for band in _read(picture):
        # not a list of all bands' sums: kept, they lie scattered over the memory that bands come and go in, and it cannot be reused
        total = total + color.mean_chroma(band) * band.shape[-2]
    return total / picture.shape[-2]


def enlarged(fields: Tensor, rows: slice, size: tuple[int, int]) -> Tensor:
    """These rows of (B, F, h, w) enlarged to (B, F, *size), bilinear, as by ``torch.nn.functional.interpolate``."""
    height, width = size
    place = ((_centers(rows) * (fields.shape[-2] / height)) - 0.5).clamp_min(0.0)
    above = place.long()
    below = (above + 1).clamp_max(fields.shape[-2] - 1)
    share = (place - above).to(fields).unsqueeze(-1)
    lines = torch.lerp(fields[..., above.to(fields.device), :], fields[..., below.to(fields.device), :], share)
    return F.interpolate(lines, (len(place), width), mode="bilinear")


def _read(picture: Rows) -> Iterator[Tensor]:
    return (picture[..., rows, :] for rows in bands(picture.shape))


def _centers(rows: slice) -> Tensor:
    # in float64, which not every device has: rounded in float32, row 10,000 lies a thousandth of a row beside its place
    return torch.arange(rows.start, rows.stop, dtype=torch.float64, device="cpu") + 0.5


def _weights(count: int, rows: slice, height: int) -> Tensor:
    """(count, rows): how much each row of a picture, of these, weighs in each of the `count` rows which it becomes: triangles that
    reach as far as the next of them, or, where there are more than before, as the next row of the picture."""
    scale = height / count
    distance = _centers(rows) - scale * _centers(slice(0, count)).unsqueeze(1)
    return (1.0 - distance.abs() / max(scale, 1.0)).clamp_min(0.0)
