"""Folders of photos: what is loaded, skipped, cropped and held out."""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from huenet.data import LOAD_RATIO, PairStream, Photos, find_images, hold_out, load_folder
from tests.huenet.data.pictures import numbered, save, unreadable
from tests.paths import photo_folder


def test_folder(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "c.webp"):
        save(tmp_path / name)
    save(tmp_path / ".hidden.png")
    (tmp_path / "labels.csv").write_text("file,label\n")
    (tmp_path / "below").mkdir()
    save(tmp_path / "below" / "d.png")
    left_out = r"left out of .*: 1 file that Pillow does not read \(labels.csv\) and 1 folder \(below; --recursive, or .*\)$"
    with pytest.warns(UserWarning, match=left_out):
        assert [path.name for path in find_images(tmp_path)] == ["a.JPG", "b.png", "c.webp"]
    (tmp_path / "labels.csv").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_folder(tmp_path, size=16, recursive=True).names == ("a.JPG", "b.png", "below/d.png", "c.webp")
        shutil.rmtree(tmp_path / "below")
        photos = load_folder(tmp_path, size=16)
    assert photos.names == ("a.JPG", "b.png", "c.webp") and photos.size == 16
    assert photos.images.shape == (3, 3, 18, 18)  # ceil(16 * 286 / 256)
    assert load_folder(tmp_path, size=16, margin=False).images.shape[-1] == 16
    assert load_folder(tmp_path, size=256).images.shape[-1] == 256 * LOAD_RATIO


def test_unreadable_files_are_reported_and_skipped(tmp_path: Path) -> None:
    names = set(unreadable(tmp_path))
    save(tmp_path / "good.png")
    save(tmp_path / "other.png")
    with pytest.warns(UserWarning) as reports:
        photos = load_folder(tmp_path, size=16)
    assert photos.names == ("good.png", "other.png")
    assert len(reports) == 4 and all(any(name in str(report.message) for report in reports) for name in names)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are POSIX's")
def test_a_pipe_is_left_out_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    save(tmp_path / "a.png")
    with pytest.warns(UserWarning, match=r"1 file that Pillow does not read \(pipe\)"):
        assert [path.name for path in find_images(tmp_path)] == ["a.png"]


def test_whatever_pillow_reads_is_read(tmp_path: Path) -> None:
    """By its suffix, however rare, or by its first bytes, whatever its suffix."""
    names = ("a.jfif", "b.jpe", "c.jp2", "d.tga", "e.TIFF", "f.ico")
    for name in names:
        save(tmp_path / name)
    save(tmp_path / "g.png").rename(tmp_path / "g.upload")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_folder(tmp_path, size=16).names == (*names, "g.upload")


def test_what_pillow_takes_for_a_bomb_is_told_and_what_it_only_suspects_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    for name in ("a.png", "b.png"):
        save(tmp_path / name)  # of 1,200 pixels
    Image.new("RGB", (50, 50)).save(tmp_path / "c.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert load_folder(tmp_path, size=16).names == ("a.png", "b.png")
    assert len(recwarn) == 1 and "c.png: Image size (2500 pixels) exceeds limit of 2000" in str(recwarn[0].message)
    assert Image.MAX_IMAGE_PIXELS == 1000


@pytest.mark.filterwarnings("ignore:skipped", "ignore:left out")
def test_too_few_images(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has 0 usable images, at least 2 are needed$"):
        load_folder(tmp_path, size=16)
    unreadable(tmp_path)
    save(tmp_path / "good.png")
    with pytest.raises(ValueError, match=r"has 1 usable image, at least 2 .*3 could not be read: .*cut\.png"):
        load_folder(tmp_path, size=16)
    with pytest.raises(ValueError, match="nowhere is not a folder of images: No such file"):
        load_folder(tmp_path / "nowhere", size=16)
    with pytest.raises(ValueError, match=r"good\.png is not a folder of images: Not a directory"):
        find_images(tmp_path / "good.png")


@pytest.mark.filterwarnings("ignore:left out")
def test_real_photos() -> None:
    photos = load_folder(photo_folder("flower_color"), size=32)
    assert len(photos) == 210 and photos.names[0] == "0001.png"
    assert 40 < photos.images.float().mean() < 200


def test_photos_validate_themselves() -> None:
    with pytest.raises(ValueError, match="uint8 of shape"):
        Photos(torch.rand(2, 3, 4, 4), ("a", "b"))
    with pytest.raises(ValueError, match="each of the 2 images, got 1"):
        Photos(torch.zeros(2, 3, 4, 4, dtype=torch.uint8), ("a",))
    with pytest.raises(ValueError, match="side 4, got 5"):
        Photos(torch.zeros(2, 3, 4, 4, dtype=torch.uint8), ("a", "b"), 5)


def test_pictures_are_centre_crops() -> None:
    photos = Photos(torch.arange(64, dtype=torch.uint8).reshape(1, 1, 8, 8).repeat(2, 3, 1, 1), ("a", "b"), size=4)
    picture = photos.pictures([1])
    assert picture.shape == (1, 3, 4, 4) and picture.dtype == torch.float32
    assert (picture[0, 0, 0, 0] * 255).round() == 2 * 8 + 2 and picture[0, 0, -1, -1] * 255 == 5 * 8 + 5


def test_hold_out() -> None:
    photos = numbered(10)
    train, held = hold_out(photos, 3, seed=0)
    assert len(train) == 7 and len(held) == 3 and sorted(train.names + held.names) == sorted(photos.names)
    assert hold_out(photos, 3, seed=0)[1].names == held.names
    assert len({hold_out(photos, 3, seed=seed)[1].names for seed in range(8)}) > 4
    everything, nothing = hold_out(photos, 0, seed=0)
    assert everything.names == photos.names and len(nothing) == 0
    for count in (10, -1):
        with pytest.raises(ValueError, match=f"cannot hold out {count} of 10 photos"):
            hold_out(photos, count, seed=0)


def test_who_cannot_search_subfolders_is_not_told_to(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for recursive, said in ((False, r"\(below; --recursive, or recursive=True in Python, searches them\)$"), (None, r"\(below\)$")):
        with pytest.warns(UserWarning, match=said):
            find_images(tmp_path, recursive)


def test_channels_are_those_of_the_files_or_given(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        save(tmp_path / name, "L")
    grey = load_folder(tmp_path, size=16)
    assert grey.images.shape[1] == 3 and grey.with_channels().images.shape[1] == 1
    assert torch.equal(grey.with_channels(1).with_channels(3).images, grey.images), "grey stays as it is"
    save(tmp_path / "c.png")
    mixed = load_folder(tmp_path, size=16)
    assert torch.equal(mixed.with_channels().images, mixed.images)
    luma = [Image.fromarray(image.permute(1, 2, 0).numpy()).convert("L") for image in mixed.images]
    expected = torch.stack([torch.from_numpy(np.array(image)) for image in luma])
    assert torch.equal(mixed.with_channels(1).images[:, 0], expected), "as Pillow's"
    assert mixed.with_channels(1).pictures([0, 2]).shape == (2, 1, 16, 16)
    assert PairStream(mixed.with_channels(1), 2, seed=0).batch(0)[0].shape == (2, 1, 16, 16)
    with pytest.raises(ValueError, match=r"\(N, 3, S, S\) or \(N, 1, S, S\), got torch.uint8 \(2, 2, 4, 4\)"):
        Photos(torch.zeros(2, 2, 4, 4, dtype=torch.uint8), ("a", "b"))
