"""A photo with what its file says of it beside colours: transparency, resolution, EXIF data."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image, ImageCms
from PIL.ExifTags import IFD, Base
from torch import Tensor

from ..files import replacing
from .images import on_white, opened, upright_srgb

FORMATS_WITH_ALPHA = frozenset({".png", ".tif", ".tiff", ".webp"})
JPEG = frozenset({".jpg", ".jpeg"})
LONGEST_IN_JPEG = 65533
"""Bytes of EXIF data: what the two bytes of a segment's length leave."""
STORAGE = frozenset(
    (*range(254, 267), 273, *range(277, 282), 284, *range(288, 294), 301, *range(317, 326), 330, *range(332, 343), 347)
) | {*range(512, 533), 34675}
"""Tags of TIFF 6.0 that say how its pixels are stored and what their values mean, the profile among them. Of a TIFF, Pillow has
them among its EXIF data, and would write them into the next file, where they are wrong."""
MOST_DOTS = 65536
"""Per inch: JPEG has two bytes for them."""


@dataclass(frozen=True, eq=False)
class Picture:
    """`rgb`: uint8 (3, H, W), upright, sRGB. `alpha`: uint8 (H, W), where there is any; `about`: what a file of it carries, as
    arguments of `PIL.Image.Image.save`: ``exif`` without orientation, ``dpi``, ``icc_profile``."""

    rgb: Tensor
    alpha: Tensor | None = None
    about: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Raises ValueError, naming the file and the reason, where it cannot be read."""
        with opened(path) as image:
            return cls.of(image)

    @classmethod
    def of(cls, image: Image.Image) -> Self:
        """What a PIL image shows and says. Raises whatever Pillow does on a damaged one."""
        seen = upright_srgb(image)
        values = torch.from_numpy(np.array(seen)).permute(2, 0, 1)
        if seen.mode == "RGB":
            return cls(values.contiguous(), None, _about(image))
        # nobody sees the colour of what is wholly transparent: white, so that it has no hue
        return cls(torch.where(values[3] == 0, 255, values[:3]).byte(), values[3].contiguous(), _about(image))

    def painted(self, rgb: Tensor) -> Image.Image:
        """A PIL image of other colours, uint8 (3, H, W), else like this one, RGB or RGBA."""
        values = rgb if self.alpha is None else torch.cat([rgb, self.alpha.unsqueeze(0)])
        image = Image.fromarray(values.permute(1, 2, 0).contiguous().numpy())
        image.info.update(self.about)
        return image


def save(image: Image.Image, path: Path) -> None:
    """Write an image with what it carries, of the format that the suffix tells; transparency that it lacks becomes white."""
    if path.suffix.lower() not in FORMATS_WITH_ALPHA:
        about, image = image.info, on_white(image)
        image.info.update(about)
    about = {name: image.info[name] for name in ("exif", "dpi", "icc_profile") if name in image.info}
    if path.suffix.lower() in JPEG and len(about.get("exif", b"")) > LONGEST_IN_JPEG:
        warnings.warn(
            f"{path} lacks the EXIF data, {len(about.pop('exif'))} bytes, of which JPEG takes {LONGEST_IN_JPEG}", stacklevel=2
        )
    with replacing(path) as temporary:
        image.save(temporary, quality=95, **about)


def _about(image: Image.Image) -> dict[str, Any]:
    about: dict[str, Any] = {}
    if (dpi := _resolution(image)) is not None:
        about["dpi"] = dpi
    if image.info.get("icc_profile"):
        about["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    try:
        if exif := _exif(image):
            about["exif"] = exif
    except Exception as error:  # whatever Pillow makes of damaged data
        file = f" of {image.filename}" if getattr(image, "filename", "") else ""
        warnings.warn(f"the EXIF data{file} cannot be read and is left out: {error!r}", stacklevel=2)
    return about


def _resolution(image: Image.Image) -> tuple[float, float] | None:
    """Dots per inch across and down, where the file says any that can be."""
    try:
        across, down = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return None
    return (across, down) if 0 < across < MOST_DOTS and 0 < down < MOST_DOTS else None


def _exif(image: Image.Image) -> bytes:
    exif = image.getexif()
    for tag in (Base.Orientation, *STORAGE):
        exif.pop(tag, None)
    camera = exif.get_ifd(IFD.Exif)
    if Base.ColorSpace in camera:
        camera[Base.ColorSpace] = 1  # sRGB
    return exif.tobytes() if len(exif) else b""
