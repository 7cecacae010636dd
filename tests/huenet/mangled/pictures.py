"""Small pictures in many formats and modes, as bytes of files, for manglings to start from."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image, ImageCms
from PIL.ExifTags import IFD, Base

from huenet.data.garden import garden


@cache
def flower(number: int = 0) -> Image.Image:
    """48 x 40, with hues."""
    image = garden(4, 48, seed=3).images[number].permute(1, 2, 0).numpy()
    return Image.fromarray(np.ascontiguousarray(image[:40]))


def _about() -> dict[str, object]:
    exif = Image.Exif()
    exif[Base.Orientation], exif[Base.Copyright], exif[Base.XResolution] = 6, "somebody", 300.0
    exif.get_ifd(IFD.Exif)[Base.ColorSpace] = 65535
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for name in ("sRGB".encode("utf-16-be"), b"sRGB"):  # else it would not be converted
        profile = profile.replace(name, name.replace(b"s", b"w"))
    return {"exif": exif, "icc_profile": bytes(profile), "dpi": (300, 300)}


def _alpha() -> Image.Image:
    image = flower().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


def _palette() -> Image.Image:
    return flower().quantize(16)


def _deep() -> Image.Image:
    return Image.fromarray(np.asarray(flower().convert("L")).astype(np.uint16) * 257)


def deep_color() -> bytes:
    """A PNG of 16 bits a channel, which Pillow reads but does not write."""
    pixels = np.asarray(flower()).astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))  # noqa: E731
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _more() -> list[Image.Image]:
    return [flower(number).copy() for number in (1, 2)]  # a format's options stay with an image that Pillow saves as one of many


#: by name: suffix, image, options of its saving
PICTURES: dict[str, tuple[str, Callable[[], Image.Image], Callable[[], dict[str, object]]]] = {
    "png": (".png", flower, dict),
    "png with all": (".png", flower, _about),
    "png alpha": (".png", _alpha, _about),
    "png palette": (".png", _palette, lambda: {"transparency": 3}),
    "png palette alphas": (".png", _palette, lambda: {"transparency": bytes(range(0, 256, 16))}),
    "png grey alpha": (".png", lambda: _alpha().convert("LA"), dict),
    "png bits": (".png", lambda: flower().convert("1"), dict),
    "png deep": (".png", _deep, dict),
    "png animated": (".png", flower, lambda: {"save_all": True, "append_images": _more()}),
    "jpeg": (".jpg", flower, dict),
    "jpeg with all": (".jpg", flower, _about),
    "jpeg progressive": (".jpeg", flower, lambda: {"progressive": True, **_about()}),
    "jpeg grey": (".jpg", lambda: flower().convert("L"), dict),
    "jpeg cmyk": (".jpg", lambda: flower().convert("CMYK"), dict),
    "mpo": (".mpo", flower, lambda: {"save_all": True, "append_images": _more()}),
    "gif": (".gif", _palette, lambda: {"transparency": 2}),
    "gif animated": (".gif", flower, lambda: {"save_all": True, "append_images": _more(), "duration": 40}),
    "webp": (".webp", flower, _about),
    "webp alpha": (".webp", _alpha, lambda: {"lossless": True}),
    "webp animated": (".webp", flower, lambda: {"save_all": True, "append_images": _more()}),
    "tiff": (".tif", flower, _about),
    "tiff lzw alpha": (".tiff", _alpha, lambda: {"compression": "tiff_lzw"}),
    "tiff deflate cmyk": (".tif", lambda: flower().convert("CMYK"), lambda: {"compression": "tiff_adobe_deflate"}),
    "tiff jpeg": (".tif", flower, lambda: {"compression": "jpeg"}),
    "tiff deep": (".tif", _deep, dict),
    "tiff float": (".tif", lambda: Image.fromarray(np.asarray(flower().convert("L")) / np.float32(255)), dict),
    "tiff pages": (".tif", flower, lambda: {"save_all": True, "append_images": _more()}),
    "bmp": (".bmp", flower, dict),
    "bmp palette": (".bmp", _palette, dict),
    "ppm": (".ppm", flower, dict),
    "pgm deep": (".pgm", _deep, dict),
    "ico": (".ico", _alpha, dict),
    "tga": (".tga", flower, lambda: {"compression": "tga_rle"}),
    "pcx": (".pcx", flower, dict),
    "sgi": (".sgi", flower, dict),
    "dds": (".dds", _alpha, dict),
    "jpeg 2000": (".jp2", flower, dict),
    "avif": (".avif", flower, dict),
    "icns": (".icns", lambda: _alpha().resize((32, 32)), dict),
    "qoi": (".qoi", flower, dict),
}


@cache
def picture(name: str) -> tuple[str, bytes]:
    """Suffix and content."""
    if name == "png deep color":
        return ".png", deep_color()
    suffix, make, options = PICTURES[name]
    file = io.BytesIO()
    make().save(file, Image.registered_extensions()[suffix], **options())
    return suffix, file.getvalue()


@cache
def names() -> tuple[str, ...]:
    """Of the pictures that this Pillow writes."""
    writable = [name for name, (suffix, _, _) in PICTURES.items() if Image.registered_extensions().get(suffix) in Image.SAVE]
    return *writable, "png deep color"
