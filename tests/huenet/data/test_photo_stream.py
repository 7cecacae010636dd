"""The stream of one folder's photos."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from huenet.data import PhotoStream, cached_folder, load_folder
from huenet.data.garden import garden
from tests.huenet.data.pictures import numbered


def _photos_of(batch: torch.Tensor) -> list[int]:
    return (batch[:, 0, 2, 2] * 255).round().long().tolist()


@pytest.mark.parametrize(("count", "batch_size"), [(7, 3), (3, 8), (1, 1), (16, 4)])
def test_every_epoch_shows_every_photo_once(count: int, batch_size: int) -> None:
    stream = PhotoStream(numbered(count), batch_size, (1, 0))
    shown = [number for step in range(-(-6 * count // batch_size)) for number in _photos_of(stream.batch(step))]
    epochs = [tuple(shown[e * count : (e + 1) * count]) for e in range(6)]
    assert all(sorted(epoch) == list(range(count)) for epoch in epochs)
    assert count < 4 or len(set(epochs)) == 6  # shuffled anew
    other = PhotoStream(numbered(count), batch_size, (1, 1))
    assert count < 4 or epochs[0] != tuple(_photos_of(torch.cat([other.batch(step) for step in range(count)])))[:count]


def test_shares_of_processes_make_the_joint_batch() -> None:
    whole = PhotoStream(numbered(7), 4, (5,)).batch(3)
    parts = [PhotoStream(numbered(7), 4, (5,), rank=rank, world_size=2).batch(3) for rank in range(2)]
    assert torch.equal(torch.cat(parts), whole)


def test_it_flips_left_to_right_alone() -> None:
    photos = numbered(1)
    rows = torch.arange(photos.images.shape[-1], dtype=torch.uint8)
    photos.images[:] = 10 * rows[:, None] + rows  # of which tens tell the row and ones the column
    stream = PhotoStream(photos, 200, (0,), crop=False)
    seen = {tuple(image[0, 0].mul(255).round().long().tolist()) for image in stream.batch(0)}
    first = photos.pictures([0])[0, 0, 0].mul(255).round().long().tolist()
    assert seen == {tuple(first), tuple(reversed(first))}
    assert len(PhotoStream(photos, 50, (0,), flips=False, crop=False).batch(0).unique(dim=0)) == 1


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="batch_size must be a positive multiple of world_size 2, got 3"):
        PhotoStream(numbered(3), 3, (0,), world_size=2)
    with pytest.raises(ValueError, match="photos must not be empty"):
        PhotoStream(numbered(3).subset([]), 1, (0,))


@pytest.mark.parametrize("channels", [None, 1, 3])
@pytest.mark.parametrize("mapped", [False, True])
def test_from_a_file_it_is_what_it_is_from_memory(
    channels: int | None, mapped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read, or, where the system cannot read from a place, as mapped memory."""
    if mapped:
        monkeypatch.delattr("os.preadv")
    (folder := tmp_path / "photos").mkdir()
    for number, image in enumerate(garden(6, 30, seed=4).with_channels(channels).images):
        pixels = image.squeeze() if channels == 1 else image.permute(1, 2, 0)
        Image.fromarray(pixels.numpy()).save(folder / f"{number}.png")
    stored, loaded = cached_folder(folder, 24, tmp_path / "cache"), load_folder(folder, 24)
    for asked in ([None], [1], [3], [1, 3]):
        one, other = stored, loaded
        for count in asked:
            one, other = one.with_channels(count), other.with_channels(count)
        assert one.channels == other.channels and one.digest() == other.digest()
        assert torch.equal(one.pictures([5, 0]), other.pictures([5, 0]))
        ours, theirs = (PhotoStream(photos.subset([4, 1, 0]), 4, (1,), device=torch.device("cpu")) for photos in (one, other))
        assert all(torch.equal(ours.batch(step), theirs.batch(step)) for step in range(5))
