"""A photo with what its file says of it beside colours: transparency, resolution, EXIF data."""

from __future__ import annotations

import os
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
    with replacing(path) as temporary:
        image.save(temporary, quality=95, **about)


def _about(image: Image.Image) -> dict[str, Any]:
    about: dict[str, Any] = {}
    if "dpi" in image.info:
        about["dpi"] = tuple(float(value) for value in image.info["dpi"])
    if image.info.get("icc_profile"):
        about["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = image.getexif()
    exif.pop(Base.Orientation, None)
    camera = exif.get_ifd(IFD.Exif)
    if Base.ColorSpace in camera:
        camera[Base.ColorSpace] = 1  # sRGB
    if len(exif):
        about["exif"] = exif.tobytes()
    return about
