"""A photo with what its file says of it beside colours: transparency, resolution, EXIF and XMP data."""

from __future__ import annotations

import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import EllipsisType
from typing import Any, Self

import numpy as np
import torch
from PIL import Image, ImageCms, PngImagePlugin
from PIL.ExifTags import IFD, Base
from torch import Tensor

from ..files import replacing
from .images import at_most, in_srgb, on_white, opened, upright, warn_of

FORMATS_WITH_ALPHA = frozenset({".png", ".tif", ".tiff", ".webp"})
JPEG_HOLDS = {"exif": 65533, "xmp": 65504}
"""Bytes: a segment of the file, whose length has two, less the name that XMP data begin with."""
OUTSIDE = 1e-3
"""How far tensors may leave [0, 1]: a quarter of a step of eight bits, which resizing and rounding take."""
MOST_DOTS = 65536
"""Per inch: JPEG has two bytes for them."""
_OF_THE_PHOTO = {
    Base.DocumentName, Base.ImageDescription, Base.Make, Base.Model, Base.XResolution, Base.YResolution, Base.PageName,
    Base.ResolutionUnit, Base.Software, Base.DateTime, Base.Artist, Base.HostComputer,
}  # fmt: skip
_IMAGE_SOURCE_DATA = 37724  # Photoshop's layers
_OF_THE_FILE = ({*range(Base.NewSubfileType, Base.ReferenceBlackWhite + 1)} - _OF_THE_PHOTO) | {
    Base.XMLPacket, Base.InterColorProfile, _IMAGE_SOURCE_DATA,
}  # fmt: skip
"""EXIF tags of how a file stores its pixels: which way up, in which colours, where in a TIFF; and of what is kept apart from EXIF.
Another file that had them would be turned again, or could not be read."""
_Place = tuple[EllipsisType, slice, slice]


@dataclass(frozen=True, eq=False)
class Picture:
    """`image`: RGB or RGBA, upright, sRGB, whose bands of rows are read and painted in place, as a tensor's (1, 3, H, W) would be
    (see `huenet.data.bands`); its ``info`` has what a file of it carries, as arguments of `PIL.Image.Image.save`: ``exif``,
    ``dpi``, ``icc_profile``, and ``xmp``."""

    image: Image.Image

    @classmethod
    def read(cls, path: str | os.PathLike[str], only_colors: bool = False) -> Self:
        """Raises ValueError, naming the file and the reason, where it cannot be read."""
        with opened(path) as image:
            return cls.of(image, only_colors, keep=False)

    @classmethod
    def of(cls, image: Image.Image, only_colors: bool = False, keep: bool = True, says: bool = True) -> Self:
        """What a PIL image shows and, if wanted and not for its colours only, says; without transparency then, on white. Unless it
        is to be kept, its memory is freed. Raises whatever Pillow does on a damaged one."""
        turned, about = upright(image), _about(image) if says and not only_colors else {}
        if not keep:  # there are never more than two of a huge photo
            image.close()
        seen = on_white(in_srgb(turned)) if only_colors else in_srgb(turned)
        seen.info = about
        return cls(seen)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return 1, 3, self.image.height, self.image.width

    def __getitem__(self, place: _Place) -> Tensor:
        """Float RGB (1, 3, rows, W) in [0, 1] of ``picture[..., rows, :]``. Nobody sees the colour of what is wholly transparent:
        white, so that it has no hue."""
        values = torch.from_numpy(np.array(self.image.crop(self._box(place)))).permute(2, 0, 1).unsqueeze(0)
        if values.shape[1] == 4:
            values = torch.where(values[:, 3:] == 0, 255, values[:, :3]).byte()
        return values.contiguous().float() / 255.0

    def __setitem__(self, place: _Place, rgb: Tensor) -> None:
        """Other colours for these rows; transparency stays."""
        box = self._box(place)
        values = (rgb[0] * 255.0).round().byte().cpu()
        band = Image.fromarray(values.permute(1, 2, 0).contiguous().numpy())
        if self.image.mode == "RGBA":
            band.putalpha(self.image.crop(box).getchannel("A"))
        self.image.paste(band, box)

    def opacity(self, rows: slice) -> Tensor | float:
        """From 0 to 1, (rows, W); of a picture without transparency 1."""
        if self.image.mode != "RGBA":
            return 1.0
        part = self.image.crop(self._box((..., rows, slice(None))))
        return torch.from_numpy(np.array(part.getchannel("A"))).float() / 255.0

    def _box(self, place: _Place) -> tuple[int, int, int, int]:
        top, bottom, _ = place[1].indices(self.image.height)
        return 0, top, self.image.width, bottom


def picture_of(photo: Image.Image | str | os.PathLike[str], max_megapixels: float, only_colors: bool = False) -> Picture:
    """Of a PIL image, or of a file of at most so many megapixels. ValueError naming file and reason otherwise."""
    if isinstance(photo, Image.Image):
        return Picture.of(photo, only_colors)
    try:
        with at_most(max_megapixels):
            return Picture.read(photo, only_colors)
    except ValueError as error:
        if isinstance(error.__cause__, Image.DecompressionBombError):
            raise ValueError(f"{str(error).rstrip('.')}; max_megapixels (--max-megapixels) sets the limit") from error
        raise


def float_batch(name: str, picture: object, channels: tuple[int, ...] = (3,)) -> Tensor:
    """A floating-point tensor (C, H, W) or (B, C, H, W) in [0, 1] as the latter. TypeError or ValueError naming it otherwise."""
    if not isinstance(picture, Tensor) or not picture.is_floating_point():
        kind = picture.dtype if isinstance(picture, Tensor) else type(picture).__name__
        raise TypeError(f"{name} must be a path, a PIL image or a floating-point tensor, got {kind}")
    if picture.ndim not in (3, 4) or picture.shape[-3] not in channels or not picture.numel():
        shapes = " or ".join(f"({count}, H, W) or (B, {count}, H, W)" for count in channels)
        raise ValueError(f"{name} must be {'RGB ' * (channels == (3,))}of shape {shapes}, got {tuple(picture.shape)}")
    low, high = (float(value) for value in picture.aminmax())
    if not (low >= -OUTSIDE and high <= 1 + OUTSIDE):
        raise ValueError(f"{name} must have values in [0, 1], got {low:g} to {high:g}")
    return picture if picture.ndim == 4 else picture.unsqueeze(0)


def save(image: Image.Image, path: Path) -> None:
    """Write an image with what it carries, of the format that the suffix tells; transparency that it lacks becomes white."""
    about = options(image, path)
    if path.suffix.lower() not in FORMATS_WITH_ALPHA:
        image = on_white(image)
    with replacing(path) as temporary:
        image.save(temporary, quality=95, **about)


def options(image: Image.Image, path: Path) -> dict[str, Any]:
    """What the image carries, as arguments of `PIL.Image.Image.save` for the format that the suffix tells."""
    suffix, carried = path.suffix.lower(), image.info
    about = {name: carried[name] for name in ("exif", "dpi", "icc_profile", "xmp") if name in carried}
    if suffix in (".jpg", ".jpeg"):
        for name in [name for name, most in JPEG_HOLDS.items() if len(about.get(name, b"")) > most]:
            size = len(about.pop(name))
            message = (
                f"{path} has no {name.upper()} data: a JPEG file holds {JPEG_HOLDS[name]} bytes of them, the source has {size}"
            )
            warnings.warn(message, stacklevel=3)
    elif suffix == ".png" and "xmp" in about:
        about["pnginfo"] = PngImagePlugin.PngInfo()
        about["pnginfo"].add_itxt("XML:com.adobe.xmp", about.pop("xmp").decode())
    elif suffix in (".tif", ".tiff") and "xmp" in about:
        tags = Image.Exif()
        if "exif" in about:
            tags.load(about["exif"])
        tags[Base.XMLPacket] = about.pop("xmp")
        about["exif"] = tags
    return about


def _about(image: Image.Image) -> dict[str, Any]:
    about: dict[str, Any] = {}
    if (dpi := _resolution(image)) is not None:
        about["dpi"] = dpi
    if image.info.get("icc_profile"):
        about["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name, read in (("exif", _exif), ("xmp", _xmp)):
        try:
            if data := read(image):
                about[name] = data
        except Exception as error:  # whatever Pillow makes of damaged data
            warn_of(f"the {name.upper()} data", f"cannot be read and are left out: {error!r}")
    return about


def _resolution(image: Image.Image) -> tuple[float, float] | None:
    """Dots per inch across and down, where the file says any that can be."""
    try:
        across, down = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return None
    return (across, down) if 0 < across < MOST_DOTS and 0 < down < MOST_DOTS else None


def _exif(image: Image.Image) -> bytes:
    """EXIF data that are so of other files too."""
    said, exif = image.getexif(), Image.Exif()
    exif.endian = said.endian  # in which a camera's own notes are as well
    exif.update({tag: value for tag, value in said.items() if tag not in _OF_THE_FILE | {IFD.Exif, IFD.GPSInfo}})
    for ifd in (IFD.Exif, IFD.GPSInfo):
        if entries := dict(said.get_ifd(ifd)):
            exif[ifd] = entries
    camera = exif.get(IFD.Exif, {})
    if IFD.Interop in camera:
        camera[IFD.Interop] = said.get_ifd(IFD.Interop)
    if Base.ColorSpace in camera:
        camera[Base.ColorSpace] = 1  # sRGB
    return exif.tobytes() if len(exif) else b""


# Viewers obey an XMP orientation, Pillow for one where EXIF has none: a photo that has been turned would be turned again.
_OUTDATED = "tiff:Orientation|exif:ColorSpace|photoshop:ICCProfile"
_OUTDATED_XMP = re.compile(rf"""\s(?:{_OUTDATED})\s*=\s*(?:"[^"]*"|'[^']*')|<({_OUTDATED})\s*(?:/>|>[^<]*</\1\s*>)""")


def _xmp(image: Image.Image) -> bytes:
    """XMP data without what is no longer so: which way up the photo is, and its colour space."""
    packet = image.info.get("xmp", b"")
    try:
        text = packet if isinstance(packet, str) else packet.rstrip(b"\0 ").decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: {error.reason}") from error
    return _OUTDATED_XMP.sub("", text).encode()
