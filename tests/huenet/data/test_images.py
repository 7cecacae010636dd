"""Every kind of image file, damaged ones too."""

from __future__ import annotations

import contextlib
import os
import struct
import time
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from huenet.data import find_images, fit, load_image
from huenet.data.garden import garden
from huenet.data.images import at_most, sample_grid
from tests.huenet.data.pictures import RAMP, save, unreadable


def _as_array(image: torch.Tensor) -> np.ndarray:
    return image.permute(1, 2, 0).numpy()


@pytest.mark.parametrize("suffix", ["png", "PNG", "bmp", "tif", "TIFF", "ppm"])
def test_lossless_formats(tmp_path: Path, suffix: str) -> None:
    image = load_image(save(tmp_path / f"photo.{suffix}"))
    assert image.dtype == torch.uint8 and image.is_contiguous()
    assert np.array_equal(_as_array(image), RAMP)


@pytest.mark.parametrize("suffix", ["jpg", "JPEG", "gif", "webp"])
def test_lossy_formats(tmp_path: Path, suffix: str) -> None:
    image = load_image(save(tmp_path / f"photo.{suffix}"))
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
    image = _as_array(load_image(save(tmp_path / f"photo.{suffix}", mode))).astype(int)
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
    assert load_image(save(tmp_path / "small.jpg"), at_least=100).shape == (3, 30, 40)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for name, path in unreadable(tmp_path).items():
        with pytest.raises(ValueError, match=f"cannot read the image .*{name}: ."):
            load_image(path)
    with pytest.raises(ValueError, match=r"missing\.png: No such file"):
        load_image(tmp_path / "missing.png")


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)  # the limit is twice that
    with pytest.raises(ValueError, match=r"bomb\.png: .*exceeds limit"):
        load_image(save(tmp_path / "bomb.png"))
    assert find_images(tmp_path) == [tmp_path / "bomb.png"]
    (tmp_path / "bomb.png").rename(tmp_path / "bomb")
    assert find_images(tmp_path) == [tmp_path / "bomb"], "it is an image, which reading it tells"


@pytest.mark.parametrize(("usual", "megapixels", "most"), [(700, None, 1400), (None, None, None), (700, 0.0012, 1200)])
def test_a_limit_of_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, usual: int | None, megapixels: float | None, most: int | None
) -> None:
    """To the pixel, without a warning below it, and put back."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", usual)
    with warnings.catch_warnings(), at_most(megapixels):
        warnings.simplefilter("error")
        for count in (1200, 1201, 1400, 1401):
            Image.new("L", (count, 1)).save(tmp_path / "line.png")
            with contextlib.nullcontext() if most is None or count <= most else pytest.raises(ValueError, match=f"limit of {most}"):
                assert load_image(tmp_path / "line.png").shape == (3, 1, count)
    assert usual == Image.MAX_IMAGE_PIXELS


def test_threads_take_turns_with_the_limit_of_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 700)

    def work(megapixels: float) -> bool:
        with at_most(megapixels), at_most():
            time.sleep(0.001)
            return megapixels * 1e6 == Image.MAX_IMAGE_PIXELS

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, [1, 2, 3, 4] * 5))
    assert Image.MAX_IMAGE_PIXELS == 700


def test_fit(tmp_path: Path) -> None:
    wide = torch.zeros(3, 20, 60, dtype=torch.uint8)
    wide[:, :, 20:40] = 200  # exactly the central square
    assert (fit(wide, 10).float() - 200).abs().max() <= 0.2 * 200  # Lanczos rings at the square's edges
    assert (fit(wide, 10).float()[:, :, 2:8] - 200).abs().max() <= 2
    assert fit(wide.transpose(1, 2), 33).shape == (3, 33, 33)
    stripes = (torch.arange(256) % 2 * 255).to(torch.uint8).expand(3, 256, 256)
    assert (fit(stripes, 32).float() - 127.5).abs().max() < 8  # antialiased: stripes become grey, not stripes


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


@pytest.mark.skipif(os.name != "posix", reason="pipes are POSIX's")
@pytest.mark.parametrize("limit", [contextlib.nullcontext, at_most, lambda: at_most(1.0)], ids=["none", "usual", "given"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, limit: Callable[[], contextlib.AbstractContextManager]) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe.png", Path("/dev/zero")):
        with limit(), pytest.raises(ValueError, match=f"cannot read the image {path}: is a pipe, a socket or a device"):
            load_image(path)
    with limit(), pytest.warns(UserWarning, match=r"1 file that Pillow does not read \(pipe\)"):
        assert find_images(tmp_path) == [tmp_path / "pipe.png"]


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_exif_data_that_are_none_leave_the_photo(tmp_path: Path, suffix: str) -> None:
    """It is shown as it is stored; a reader of photos is told once, and of which."""
    path = tmp_path / f"in{suffix}"
    Image.fromarray(RAMP).save(path, exif=b"Exif\0\0no TIFF header", lossless=True)
    with pytest.warns(UserWarning) as told:
        assert np.array_equal(_as_array(load_image(path)), RAMP)
    assert [str(each.message).split(":")[0] for each in told] == [f"the EXIF data of {path} cannot be read and are left out"]
