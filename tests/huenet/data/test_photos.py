"""huenet.data: every kind of image file, damaged files, and the promises of the stream of pairs."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from huenet.data import LOAD_RATIO, PairStream, Photos, find_images, fit, hold_out, load_folder, load_image
from tests.paths import photo_folder

# A red to blue ramp, 40 wide and 30 high: tells orientation, channel order and scale apart.
RAMP = np.stack(
    [np.tile(np.linspace(255, 0, 40), (30, 1)), np.tile(np.linspace(0, 120, 30)[:, None], (1, 40)),
     np.tile(np.linspace(0, 255, 40), (30, 1))],
    axis=-1,
).astype(np.uint8)  # fmt: skip


def _save(path: Path, mode: str = "RGB", **options: object) -> Path:
    Image.fromarray(RAMP).convert(mode).save(path, **options)
    return path


def _as_array(image: torch.Tensor) -> np.ndarray:
    return image.permute(1, 2, 0).numpy()


@pytest.mark.parametrize("suffix", ["png", "PNG", "bmp", "tif", "TIFF", "ppm"])
def test_lossless_formats(tmp_path: Path, suffix: str) -> None:
    image = load_image(_save(tmp_path / f"photo.{suffix}"))
    assert image.dtype == torch.uint8 and image.is_contiguous()
    assert np.array_equal(_as_array(image), RAMP)


@pytest.mark.parametrize("suffix", ["jpg", "JPEG", "gif", "webp"])
def test_lossy_formats(tmp_path: Path, suffix: str) -> None:
    image = load_image(_save(tmp_path / f"photo.{suffix}"))
    assert np.abs(_as_array(image).astype(int) - RAMP).mean() < 12  # palette of GIF, quantisation of JPEG and WebP


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        ("1", "png"),
        ("L", "png"),
        ("P", "png"),
        ("LA", "png"),
        ("RGBA", "png"),
        ("CMYK", "tif"),
        ("CMYK", "jpg"),
        ("YCbCr", "jpg"),
        ("LAB", "tif"),
        ("P", "gif"),
    ],
)
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str, suffix: str) -> None:
    image = _as_array(load_image(_save(tmp_path / f"photo.{suffix}", mode))).astype(int)
    expected = np.asarray(Image.fromarray(RAMP).convert("L" if mode in ("1", "L", "LA") else "RGB").convert("RGB"))
    assert image.shape == RAMP.shape
    # Dithering ("1") and the web palette ("P") keep colours on average only; CMYK and LAB round a few levels.
    assert np.abs(image.mean(axis=0) - expected.mean(axis=0)).mean() < (30 if mode in ("1", "P") else 12)


def test_transparency_is_composited_on_white(tmp_path: Path) -> None:
    rgba = np.dstack([RAMP, np.full(RAMP.shape[:2], 255, np.uint8)])
    rgba[:, :10, 3] = 0
    rgba[:, 10:20, 3] = 128
    Image.fromarray(rgba).save(tmp_path / "alpha.png")
    image = _as_array(load_image(tmp_path / "alpha.png")).astype(int)
    assert (image[:, :10] == 255).all() and np.array_equal(image[:, 20:], RAMP[:, 20:])
    assert np.abs(image[:, 10:20] - (RAMP[:, 10:20] * 128.0 + 255.0 * 127.0) / 255.0).max() <= 1  # rounding

    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 10, 200, 30])
    palette.paste(0, (0, 0, 4, 8))
    palette.save(tmp_path / "palette.png", transparency=0)
    image = _as_array(load_image(tmp_path / "palette.png"))
    assert (image[:, :4] == 255).all() and (image[:, 4:] == (10, 200, 30)).all()

    Image.new("L", (4, 4), 7).save(tmp_path / "grey.png", transparency=7)
    assert (load_image(tmp_path / "grey.png") == 255).all()


def test_sixteen_bits(tmp_path: Path) -> None:
    deep = np.array([[0, 128, 129, 257], [32896, 65407, 65406, 65535]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    image = load_image(tmp_path / "deep.png")
    assert image[0].tolist() == [[0, 0, 1, 1], [128, 255, 254, 255]]  # value / 257, to the nearest
    assert torch.equal(image[0], image[2])

    Image.fromarray(np.float32([[0.0, 0.5, 1.0]])).save(tmp_path / "real.tif")
    assert load_image(tmp_path / "real.tif")[1].tolist() == [[0, 128, 255]]
    Image.fromarray(np.float32([[0.0, 70.0]])).save(tmp_path / "range.tif")
    with pytest.raises(ValueError, match=r"range\.tif: mode F needs values from 0 to 1, found 0 to 70"):
        load_image(tmp_path / "range.tif")


def test_sixteen_bit_color(tmp_path: Path) -> None:
    """Pillow writes no 16-bit RGB, so the PNG is put together here; it reads the upper bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\0" + np.multiply([[255, 128, 0], [1, 2, 3]], 257).astype(">u2").tobytes()
    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    (tmp_path / "deep.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    assert _as_array(load_image(tmp_path / "deep.png")).tolist() == [[[255, 128, 0], [1, 2, 3]]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, orientation: int) -> None:
    """The file stores what turns into the upright picture under the tag, and the upright picture comes
    back."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    stored = Image.fromarray(RAMP)
    if orientation in undo:
        stored = stored.transpose(undo[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "photo.png", exif=exif)
    assert np.array_equal(_as_array(load_image(tmp_path / "photo.png")), RAMP)


def test_reduced_decoding_keeps_enough_pixels(tmp_path: Path) -> None:
    Image.fromarray(RAMP).resize((640, 480)).save(tmp_path / "large.jpg")
    assert load_image(tmp_path / "large.jpg").shape == (3, 480, 640)
    reduced = load_image(tmp_path / "large.jpg", at_least=100)
    assert reduced.shape == (3, 120, 160)
    assert load_image(_save(tmp_path / "small.jpg"), at_least=100).shape == (3, 30, 40)


def _unreadable(folder: Path) -> dict[str, Path]:
    (folder / "empty.png").touch()
    (folder / "folder.png").mkdir()
    (folder / "text.jpg").write_text("not an image")
    whole = _save(folder / "whole.png").read_bytes()
    (folder / "whole.png").unlink()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    return {name: folder / name for name in ("empty.png", "folder.png", "text.jpg", "cut.png")}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for name, path in _unreadable(tmp_path).items():
        with pytest.raises(ValueError, match=f"cannot read the image .*{name}: ."):
            load_image(path)
    with pytest.raises(ValueError, match=r"missing\.png: No such file"):
        load_image(tmp_path / "missing.png")


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)  # the limit is twice that
    with pytest.raises(ValueError, match=r"bomb\.png: .*exceeds limit"):
        load_image(_save(tmp_path / "bomb.png"))


def test_fit(tmp_path: Path) -> None:
    wide = torch.zeros(3, 20, 60, dtype=torch.uint8)
    wide[:, :, 20:40] = 200  # exactly the central square
    assert (fit(wide, 10).float() - 200).abs().max() <= 0.2 * 200  # Lanczos rings at the square's edges
    assert (fit(wide, 10).float()[:, :, 2:8] - 200).abs().max() <= 2
    assert fit(wide.transpose(1, 2), 33).shape == (3, 33, 33)
    stripes = (torch.arange(256) % 2 * 255).to(torch.uint8).expand(3, 256, 256)
    assert (fit(stripes, 32).float() - 127.5).abs().max() < 8  # antialiased: stripes become grey, not stripes


def test_folder(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "c.webp"):
        _save(tmp_path / name)
    _save(tmp_path / ".hidden.png")
    (tmp_path / "labels.csv").write_text("file,label\n")
    (tmp_path / "below").mkdir()
    _save(tmp_path / "below" / "d.png")
    assert [path.name for path in find_images(tmp_path)] == ["a.JPG", "b.png", "c.webp"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        photos = load_folder(tmp_path, size=16)
    assert photos.names == ("a.JPG", "b.png", "c.webp") and photos.size == 16
    assert photos.images.shape == (3, 3, 18, 18)  # ceil(16 * 286 / 256)
    assert load_folder(tmp_path, size=16, margin=False).images.shape[-1] == 16
    assert load_folder(tmp_path, size=256).images.shape[-1] == 256 * LOAD_RATIO


def test_unreadable_files_are_reported_and_skipped(tmp_path: Path) -> None:
    names = set(_unreadable(tmp_path))
    _save(tmp_path / "good.png")
    _save(tmp_path / "other.png")
    with pytest.warns(UserWarning) as reports:
        photos = load_folder(tmp_path, size=16)
    assert photos.names == ("good.png", "other.png")
    assert len(reports) == 4 and all(any(name in str(report.message) for report in reports) for name in names)


@pytest.mark.filterwarnings("ignore:skipped")
def test_too_few_images(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has 0 usable images, at least 2 are needed$"):
        load_folder(tmp_path, size=16)
    _unreadable(tmp_path)
    _save(tmp_path / "good.png")
    with pytest.raises(ValueError, match=r"has 1 usable image, at least 2 .*4 could not be read: .*cut\.png.*; and 1 more"):
        load_folder(tmp_path, size=16)
    with pytest.raises(ValueError, match="nowhere is not a folder of images: No such file"):
        load_folder(tmp_path / "nowhere", size=16)
    with pytest.raises(ValueError, match=r"good\.png is not a folder of images: Not a directory"):
        find_images(tmp_path / "good.png")


def test_real_photos() -> None:
    photos = load_folder(photo_folder("flower_color"), size=32)
    assert len(photos) == 210 and photos.names[0] == "0001.png"
    assert 40 < photos.images.float().mean() < 200


def _numbered(count: int, side: int = 6, size: int = 6) -> Photos:
    """Photo i is all i, except its four corners, which tell the flips."""
    images = torch.arange(count, dtype=torch.uint8)[:, None, None, None].repeat(1, 3, side, side)
    images[:, :, 0, 0], images[:, :, 0, -1], images[:, :, -1, 0], images[:, :, -1, -1] = 201, 202, 203, 204
    return Photos(images, tuple(f"{i}.png" for i in range(count)), size)


def _noise(count: int, side: int) -> Photos:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)
    return Photos(images, tuple(f"{i}.png" for i in range(count)), size=8)


def _photos_of(batch: torch.Tensor) -> list[int]:
    return (batch[:, 0, 2, 2] * 255).round().long().tolist()


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
    photos = _numbered(10)
    train, held = hold_out(photos, 3, seed=0)
    assert len(train) == 7 and len(held) == 3 and sorted(train.names + held.names) == sorted(photos.names)
    assert hold_out(photos, 3, seed=0)[1].names == held.names
    assert len({hold_out(photos, 3, seed=seed)[1].names for seed in range(8)}) > 4
    everything, nothing = hold_out(photos, 0, seed=0)
    assert everything.names == photos.names and len(nothing) == 0
    for count in (10, -1):
        with pytest.raises(ValueError, match=f"cannot hold out {count} of 10 photos"):
            hold_out(photos, count, seed=0)


@pytest.mark.parametrize(("count", "batch_size"), [(7, 3), (5, 5), (3, 8), (2, 1), (16, 4)])
def test_every_epoch_shows_every_photo_once_in_each_role(count: int, batch_size: int) -> None:
    stream = PairStream(_numbered(count), batch_size, seed=1)
    epochs, steps = 6, -(-6 * count // batch_size)
    pairs = [stream.batch(step) for step in range(steps)]
    sources = [i for source, _ in pairs for i in _photos_of(source)]
    targets = [i for _, target in pairs for i in _photos_of(target)]
    for role in (sources, targets):
        shown = [tuple(role[e * count : (e + 1) * count]) for e in range(epochs)]
        assert all(sorted(epoch) == list(range(count)) for epoch in shown)
        assert count < 4 or len(set(shown)) == epochs  # shuffled anew
    assert all(source != target for source, target in zip(sources, targets))


def test_every_pair_is_equally_likely() -> None:
    stream = PairStream(_numbered(4), batch_size=400, seed=0, flips=False)
    source, target = stream.batch(0)
    counts = Counter(zip(_photos_of(source), _photos_of(target)))
    # 400 places, 12 pairs: 33 each. An epoch of 100 has a pair with p = 1/3: deviation sqrt(100 * 2/9) = 4.7.
    assert len(counts) == 12 and all(abs(n - 33) < 5 * 4.7 for n in counts.values())


def test_a_batch_depends_on_the_seed_and_the_step_alone() -> None:
    photos = _noise(9, 12)
    stream = PairStream(photos, 4, seed=5)
    in_order = [stream.batch(step) for step in range(10)]
    for step in (9, 0, 7, 7):
        again = PairStream(photos, 4, seed=5).batch(step)
        assert torch.equal(again[0], in_order[step][0]) and torch.equal(again[1], in_order[step][1])
    other = PairStream(photos, 4, seed=6).batch(0)
    assert not torch.equal(other[0], in_order[0][0])


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_share_the_batch_of_one_process(world_size: int) -> None:
    photos = _noise(5, 9)
    single = PairStream(photos, 6, seed=2)
    ranks = [PairStream(photos, 6, seed=2, rank=rank, world_size=world_size) for rank in range(world_size)]
    for step in range(5):
        for role in range(2):
            joint = torch.cat([rank.batch(step)[role] for rank in ranks])
            assert torch.equal(joint, single.batch(step)[role])


def test_augmentation_is_keyed_by_seed_epoch_and_photo() -> None:
    """The same photo in the same epoch looks the same however the epoch is cut into batches."""
    photos = _noise(6, 14)
    whole = PairStream(photos, 6, seed=3)
    single = PairStream(photos, 1, seed=3)
    for epoch in range(3):
        for role in range(2):
            parts = torch.cat([single.batch(6 * epoch + i)[role] for i in range(6)])
            assert torch.equal(whole.batch(epoch)[role], parts)
    assert not torch.equal(whole.batch(0)[0].sort(0).values, whole.batch(1)[0].sort(0).values)


def test_flips_and_crops() -> None:
    stream = PairStream(_numbered(3), batch_size=300, seed=0)
    source, _ = stream.batch(0)
    corners = Counter(tuple((image[0, [0, 0, -1, -1], [0, -1, 0, -1]] * 255).round().long().tolist()) for image in source)
    assert set(corners) == {
        (201, 202, 203, 204),
        (202, 201, 204, 203),
        (203, 204, 201, 202),
        (204, 203, 202, 201),
    }
    assert all(abs(n - 75) < 5 * 7.5 for n in corners.values())  # binomial, 7.5 is its deviation
    plain, _ = PairStream(_numbered(3), batch_size=50, seed=0, flips=False).batch(0)
    assert (plain[:, 0, 0, 0] * 255 == 201).all()

    place = Photos(torch.arange(100, dtype=torch.uint8).reshape(1, 1, 10, 10).repeat(1, 3, 1, 1), ("a",), size=8)
    first = (PairStream(place, 200, seed=0, flips=False).batch(0)[0][:, 0, 0, 0] * 255).round().long()
    assert set(first.tolist()) == {0, 1, 2, 10, 11, 12, 20, 21, 22}
    centred = PairStream(place, 4, seed=0, flips=False, crop=False).batch(0)[0]
    assert torch.equal(centred, place.pictures([0, 0, 0, 0]))


def test_a_single_photo_is_paired_with_itself() -> None:
    source, target = PairStream(_numbered(1), 3, seed=0).batch(4)
    assert _photos_of(source) == _photos_of(target) == [0, 0, 0]


def test_wrong_arguments() -> None:
    photos = _numbered(3)
    for arguments, message in [
        ({"batch_size": 0}, "batch_size must be a positive multiple of world_size 1, got 0"),
        ({"batch_size": 3, "world_size": 2}, "multiple of world_size 2, got 3"),
        ({"batch_size": 4, "rank": 2, "world_size": 2}, "rank must be from 0 to 1, got 2"),
        ({"batch_size": 4, "seed": -1}, "seed must be an integer >= 0, got -1"),
    ]:
        with pytest.raises(ValueError, match=message):
            PairStream(photos, **{"seed": 0, **arguments})
    with pytest.raises(ValueError, match="photos must not be empty"):
        PairStream(photos.subset([]), 1, seed=0)
    with pytest.raises(ValueError, match="step must be >= 0, got -1"):
        PairStream(photos, 1, seed=0).batch(-1)
