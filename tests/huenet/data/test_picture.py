"""What a photo's file says beside its colours is kept, and colours are what is seen."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from PIL.ExifTags import IFD, Base

from huenet.data import load_image
from huenet.data.picture import Picture, save

RAMP = np.stack(np.meshgrid(np.arange(0, 250, 10), np.arange(0, 250, 10), [40, 200]), -1).reshape(-1, 50, 3).astype(np.uint8)


def wide_gamut() -> bytes:
    """A profile like Display P3, made of Pillow's sRGB one by exchanging its primaries (ICC.1: s15Fixed16, XYZ for D50)."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    primaries = {b"rXYZ": (0.51512, 0.24120, -0.00105), b"gXYZ": (0.29198, 0.69225, 0.04189), b"bXYZ": (0.15710, 0.06657, 0.78407)}
    count = int.from_bytes(profile[128:132], "big")
    for entry in range(132, 132 + 12 * count, 12):
        tag, place = bytes(profile[entry : entry + 4]), int.from_bytes(profile[entry + 4 : entry + 8], "big")
        for number, value in enumerate(primaries.get(tag, ())):
            profile[place + 8 + 4 * number : place + 12 + 4 * number] = round(value * 65536).to_bytes(4, "big", signed=True)
        if tag == b"desc":
            size = int.from_bytes(profile[entry + 8 : entry + 12], "big")
            text = profile[place : place + size]
            for old in ("sRGB".encode("utf-16-be"), b"sRGB"):
                text = text.replace(old, old.replace(b"s", b"w", 1))
            profile[place : place + size] = text
    return bytes(profile)


def test_a_wide_gamut_is_brought_to_srgb(tmp_path: Path) -> None:
    image = Image.fromarray(RAMP)
    image.save(tmp_path / "wide.png", icc_profile=wide_gamut())
    seen = load_image(tmp_path / "wide.png")
    # by hand: linear light, P3's primaries to XYZ (D50), XYZ to sRGB's, out of gamut clipped
    curve = lambda v: np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)  # noqa: E731
    back = lambda v: np.where(v <= 0.0031308, v * 12.92, 1.055 * np.maximum(v, 0) ** (1 / 2.4) - 0.055)  # noqa: E731
    wide = np.array([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])
    srgb = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
    expected = back((curve(RAMP / 255) @ (np.linalg.inv(srgb) @ wide).T).clip(0, 1)) * 255
    error = np.abs(seen.permute(1, 2, 0).numpy() - expected)
    assert error.max() < 4 and error.mean() < 0.6, "tables of 8 bits, steep near black"
    assert np.abs(RAMP - expected).max() > 20, "the profile matters"


def test_what_a_file_carries_is_kept(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[Base.Orientation], exif[Base.Copyright] = 6, "somebody"
    exif.get_ifd(IFD.Exif)[Base.ColorSpace] = 65535
    image = Image.fromarray(RAMP[:, :30])
    image.save(tmp_path / "in.jpg", exif=exif, dpi=(300, 300), icc_profile=wide_gamut())
    picture = Picture.read(tmp_path / "in.jpg")
    assert picture.shape == (1, 3, 30, RAMP.shape[0])
    assert torch.equal(255 * picture[..., :, :], load_image(tmp_path / "in.jpg")[None])
    for name in ("out.jpg", "out.png", "out.webp", "out.tif"):
        save(picture.image, tmp_path / name)
        with Image.open(tmp_path / name) as out:
            written = out.getexif()
            assert written[Base.Copyright] == "somebody" and written.get(Base.Orientation, 1) == 1
            assert written.get_ifd(IFD.Exif)[Base.ColorSpace] == 1
            assert "sRGB" in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(out.info["icc_profile"])))
            assert name == "out.webp" or round(float(out.info["dpi"][0])) == 300


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_transparency_is_kept(tmp_path: Path, suffix: str) -> None:
    rgba = np.dstack([RAMP, np.arange(RAMP.size // 3).reshape(RAMP.shape[:2]) % 256]).astype(np.uint8)
    Image.fromarray(rgba).save(tmp_path / "in.png")
    picture = Picture.read(tmp_path / "in.png")
    picture[..., :, :] = picture[..., :, :]
    save(picture.image, tmp_path / f"out{suffix}")
    out = np.array(Image.open(tmp_path / f"out{suffix}"))
    assert np.array_equal(out[..., 3], rgba[..., 3])
    if suffix != ".webp":  # which is lossy
        assert np.array_equal(out[rgba[..., 3] > 0], rgba[rgba[..., 3] > 0])
    save(picture.image, tmp_path / "out.bmp")
    assert torch.equal(load_image(tmp_path / "out.bmp"), load_image(tmp_path / "in.png")), "on white"


def test_a_profile_that_is_none_is_told(tmp_path: Path) -> None:
    Image.fromarray(RAMP).save(tmp_path / "a.png", icc_profile=b"no profile at all")
    with pytest.warns(UserWarning, match="a colour profile cannot be used"):
        assert np.array_equal(load_image(tmp_path / "a.png").permute(1, 2, 0), RAMP)


def test_srgb_is_left_as_it_is(tmp_path: Path) -> None:
    Image.fromarray(RAMP).save(tmp_path / "a.png", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(load_image(tmp_path / "a.png").permute(1, 2, 0), RAMP)
