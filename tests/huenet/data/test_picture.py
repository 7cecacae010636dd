"""What a photo's file says beside its colours is kept, and colours are what is seen."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from PIL.ExifTags import IFD, Base

from huenet.data import load_image
from huenet.data.picture import JPEG_HOLDS, Picture, save

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


@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg"])
def test_how_a_tiff_stores_its_pixels_is_not_told_of_another_picture(tmp_path: Path, suffix: str) -> None:
    """Pillow counts these tags among EXIF data; of a deep grey TIFF they made the next one unreadable."""
    deep = Image.fromarray(RAMP[..., 0].astype(np.uint16) * 257)
    tags = {Base.PlanarConfiguration: 1, Base.Copyright: "somebody", 65000: "own"}
    deep.save(tmp_path / "in.tif", icc_profile=wide_gamut(), tiffinfo=tags)
    picture = Picture.read(tmp_path / "in.tif")
    save(picture.image, tmp_path / f"out{suffix}")
    with Image.open(tmp_path / f"out{suffix}") as out:
        assert out.size == deep.size and np.abs(np.array(out).astype(int)[..., 0] - RAMP[..., 0]).mean() < 3
        assert out.getexif()[Base.Copyright] == "somebody" and out.getexif()[65000] == "own"
        assert suffix == ".tif" or not out.getexif().keys() & {Base.ImageWidth, Base.BitsPerSample, Base.StripOffsets, 34675}


@pytest.mark.parametrize("dpi", [(0, 0), (float("nan"), 72), (1e300, 1e300), (-72, 72)], ids=str)
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp", ".webp"])
def test_a_resolution_that_is_none_is_left_out(tmp_path: Path, suffix: str, dpi: tuple[float, float]) -> None:
    image = Image.fromarray(RAMP)
    image.info["dpi"] = dpi
    picture = Picture.of(image)
    save(picture.image, tmp_path / f"out{suffix}")
    assert load_image(tmp_path / f"out{suffix}")[None].shape == picture.shape


def test_an_image_that_is_given_keeps_what_it_says() -> None:
    """So that it is turned the second time as well."""
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[Base.Orientation] = 6
    exif.get_ifd(IFD.Exif)[Base.ColorSpace] = 65535
    Image.fromarray(RAMP[:, :30]).save(buffer, "PNG", exif=exif)
    image = Image.open(buffer)
    first, second = Picture.of(image), Picture.of(image)
    assert torch.equal(first[..., :, :], second[..., :, :]) and first.shape == (1, 3, 30, RAMP.shape[0])
    assert image.getexif()[Base.Orientation] == 6 and image.getexif().get_ifd(IFD.Exif)[Base.ColorSpace] == 65535


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_camera_data_of_all_kinds(tmp_path: Path, suffix: str, order: str) -> None:
    """In the byte order in which a camera's own notes are too; how the file stored its pixels is not so of another one."""
    exif = Image.Exif()
    exif.endian = order
    exif[Base.Make], exif[Base.YCbCrPositioning] = "maker", 2
    exif[IFD.Exif] = {Base.ExposureTime: 0.01, Base.MakerNote: b"notes" * 20, IFD.Interop: {1: "R98"}}
    exif[IFD.GPSInfo] = {1: "N", 2: (1.0, 2.0, 3.0)}
    Image.fromarray(RAMP).save(tmp_path / "in.jpg", exif=exif)
    save(Picture.read(tmp_path / "in.jpg").image, tmp_path / f"out{suffix}")
    with Image.open(tmp_path / f"out{suffix}") as out:
        written = out.getexif()
        camera = written.get_ifd(IFD.Exif)
        assert written[Base.Make] == "maker" and written.get_ifd(IFD.GPSInfo) == {1: "N", 2: (1.0, 2.0, 3.0)}
        assert camera[Base.ExposureTime] == 0.01 and camera[Base.MakerNote] == b"notes" * 20
        assert Base.YCbCrPositioning not in written
        if suffix != ".tif":  # which has an order of its own, and of whose third level Pillow writes none
            assert written.endian == order and written.get_ifd(IFD.Interop) == {1: "R98"}


@pytest.mark.parametrize("suffix", [".tif", ".jpg", ".png"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "1", "P", "CMYK", "LAB", "I;16"])
def test_a_tiff_of_any_mode_can_be_written_again(tmp_path: Path, mode: str, suffix: str) -> None:
    """Its tags say how its own pixels are stored, which are no longer so stored."""
    deep = Image.fromarray(257 * RAMP[..., 0].astype(np.uint16))
    (deep if mode == "I;16" else Image.fromarray(RAMP).convert(mode)).save(tmp_path / "in.tif", artist="somebody")
    picture = Picture.read(tmp_path / "in.tif")
    save(picture.image, tmp_path / f"out{suffix}")
    with Image.open(tmp_path / f"out{suffix}") as out:
        assert out.mode == ("RGBA" if mode == "RGBA" and suffix != ".jpg" else "RGB")
        assert out.getexif()[Base.Artist] == "somebody"
        assert suffix == ".jpg" or np.array_equal(np.asarray(out), np.asarray(picture.image))


XMP = b"""<?xpacket begin='\xef\xbb\xbf' id='W5M0MpCehiHzreSzNTczkc9d'?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/"
 xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" tiff:Orientation="6" exif:ColorSpace='65535' xmp:Rating="5">
 <photoshop:ICCProfile>Display P3</photoshop:ICCProfile><xmp:Label>gr\xc3\xbcn</xmp:Label></rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end='w'?>"""


@pytest.mark.parametrize("to", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("source", [".jpg", ".png", ".webp", ".tif"])
def test_xmp_data_are_kept_but_for_what_is_no_longer_so(tmp_path: Path, source: str, to: str) -> None:
    """Turned once, in sRGB."""
    carrier = Image.fromarray(RAMP[:, :30])
    carrier.info["xmp"] = XMP
    save(carrier, tmp_path / f"in{source}")
    picture = Picture.read(tmp_path / f"in{source}")
    assert picture.shape == (1, 3, 30, RAMP.shape[0])
    save(picture.image, tmp_path / f"out{to}")
    again = Picture.read(tmp_path / f"out{to}")
    assert again.shape == picture.shape
    kept = again.image.info["xmp"].decode()
    assert 'xmp:Rating="5"' in kept and "<xmp:Label>grün</xmp:Label>" in kept
    assert not any(word in kept for word in ("Orientation", "ColorSpace", "ICCProfile"))


def test_data_that_are_too_long_for_a_jpeg_are_left_out_and_told(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[Base.ImageDescription] = "x" * 70_000
    image = Image.fromarray(RAMP)
    image.info["xmp"] = XMP.replace(b"Orientation", b"Make") + b" " * 70_000 + b"<!-- end -->"
    image.info["exif"] = exif.tobytes()
    save(image, tmp_path / "in.png")
    picture = Picture.read(tmp_path / "in.png")
    with pytest.warns(UserWarning) as told:
        save(picture.image, tmp_path / "out.jpg")
    assert [str(each.message).split(": a JPEG file holds")[0] for each in told] == [
        f"{tmp_path / 'out.jpg'} has no EXIF data", f"{tmp_path / 'out.jpg'} has no XMP data",
    ]  # fmt: skip
    Image.fromarray(RAMP).save(tmp_path / "plain.jpg", quality=95)
    assert torch.equal(load_image(tmp_path / "out.jpg"), load_image(tmp_path / "plain.jpg"))
    save(picture.image, tmp_path / "out.png")
    assert Picture.read(tmp_path / "out.png").image.info == picture.image.info


def in_utf_16(image: Image.Image) -> None:
    image.info["xmp"] = XMP.decode().encode("utf-16")


def of_other_kinds(image: Image.Image) -> None:
    image.getexif()[Base.Make] = "maker"
    image.getexif()[65000] = object()


@pytest.mark.parametrize(("damage", "what"), [(in_utf_16, "XMP"), (of_other_kinds, "EXIF")])
def test_damaged_data_are_left_out_and_told(damage: Callable[[Image.Image], None], what: str) -> None:
    image = Image.fromarray(RAMP)
    damage(image)
    with pytest.warns(UserWarning, match=f"the {what} data cannot be read and are left out") as told:
        assert what.lower() not in Picture.of(image).image.info
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nobody asked for them
        Picture.of(image, only_colors=True)


def test_the_file_of_damaged_data_is_named(tmp_path: Path) -> None:
    path = tmp_path / "in.webp"
    Image.fromarray(RAMP).save(path, lossless=True, xmp=XMP.decode().encode("utf-16"))
    with pytest.warns(UserWarning, match=f"the XMP data of {path} cannot be read and are left out: ValueError.'not UTF-8: "):
        picture = Picture.read(path)
    assert torch.equal((255 * picture[..., :, :]).round()[0].byte(), load_image(path))


@pytest.mark.parametrize("name", ["exif", "xmp"])
def test_what_a_jpeg_just_holds_is_written(tmp_path: Path, name: str) -> None:
    image = Image.fromarray(RAMP)
    image.info[name] = (b"Exif\0\0" + b"x" * JPEG_HOLDS[name])[: JPEG_HOLDS[name]]
    save(image, tmp_path / "out.jpg")
    assert len(Image.open(tmp_path / "out.jpg").info[name]) == JPEG_HOLDS[name]


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
    with pytest.warns(UserWarning, match=r"the colour profile of .*a\.png cannot be used"):
        assert np.array_equal(load_image(tmp_path / "a.png").permute(1, 2, 0), RAMP)


def test_srgb_is_left_as_it_is(tmp_path: Path) -> None:
    Image.fromarray(RAMP).save(tmp_path / "a.png", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(load_image(tmp_path / "a.png").permute(1, 2, 0), RAMP)
