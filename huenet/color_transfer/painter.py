"""Painting photos with a trained model: in Python, and files."""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import torch
from PIL import Image
from torch import Tensor

from ..data import find_images, image_to_tensor, load_image
from ..training.distributed import find_device
from .model import HueNet, load_generator

Picture = Tensor | Image.Image | str | os.PathLike[str]
OUTSIDE = 1e-3
"""How far tensors may leave [0, 1]: a quarter of a step of eight bits, which resizing and rounding take."""
WRITABLE = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})


class Painter:
    """A trained Hue-Net as a function of two pictures of any sizes."""

    def __init__(self, model: HueNet, device: str = "cpu", metadata: dict[str, Any] | None = None) -> None:
        self.device = find_device(device)
        self.model = model.to(self.device).eval()
        self.metadata = metadata or {}

    @classmethod
    def load(cls, checkpoint: str | os.PathLike[str], device: str = "cpu") -> Self:
        """From a ``generator.safetensors``. Raises `CheckpointError` naming the file, ``OSError`` if it cannot be opened."""
        model, metadata = load_generator(checkpoint)
        return cls(model, device, metadata)

    @torch.no_grad()
    def __call__(self, source: Picture, target: Picture) -> Any:
        """``source`` with its hues repainted like ``target``'s, at the source's size.

        Each is a path, a PIL image, or a floating-point RGB tensor in [0, 1], (3, H, W) or (B, 3, H, W). A tensor source
        gives a tensor of its shape, dtype and device, anything else an RGB PIL image. Raises ``ValueError`` for a file that is
        no image or a tensor of another shape or range, ``TypeError`` for anything else.
        """
        pixels, colors = _to_batch("source", source), _to_batch("target", target)
        painted = self.model(pixels.to(self.device, torch.float32), colors.to(self.device, torch.float32))
        if isinstance(source, Tensor):
            return painted.reshape(source.shape).to(source)
        return Image.fromarray((painted[0].permute(1, 2, 0) * 255).round().byte().cpu().numpy())


def paint_files(paint: Painter, source: Path, target: Path, out: Path) -> Iterator[Path]:
    """Paint the file ``source``, or every image of the folder ``source``, like the file ``target``; yields what it wrote.

    One photo goes to the file ``out``, whose suffix tells the format; a folder's go into the folder ``out`` under their own
    names, as PNG where their format cannot be written. A file of a folder that cannot be read is skipped with a warning.
    Raises ``ValueError`` if nothing can be read or ``out`` would overwrite a source, ``OSError`` if it cannot be written.
    """
    colors = _from_bytes(load_image(target))
    if not source.is_dir():
        for role, photo in (("source", source), ("target", target)):
            if out.exists() and photo.exists() and out.samefile(photo):
                raise ValueError(f"{out} would overwrite the {role}")
        if out.suffix.lower() not in WRITABLE:
            raise ValueError(f"cannot tell the format of {out} by its suffix: use one of {', '.join(sorted(WRITABLE))}")
        yield _paint_file(paint, source, colors, out)
        return
    if out.exists() and out.samefile(source):
        raise ValueError(f"{out} would overwrite the sources")
    written = 0
    for path in find_images(source):
        name = path.name if path.suffix.lower() in WRITABLE else f"{path.name}.png"
        try:
            yield _paint_file(paint, path, colors, out / name)
            written += 1
        except ValueError as error:
            warnings.warn(f"skipped: {error}", stacklevel=2)
    if not written:
        raise ValueError(f"{source} has no image that can be read")


def _paint_file(paint: Painter, source: Path, colors: Tensor, out: Path) -> Path:
    painted = paint(source, colors)
    out.parent.mkdir(parents=True, exist_ok=True)
    painted.save(out, quality=95)
    return out


def _to_batch(name: str, picture: Picture) -> Tensor:
    """Float RGB (B, 3, H, W) in [0, 1]."""
    if isinstance(picture, (str, os.PathLike)):
        return _from_bytes(load_image(picture))
    if isinstance(picture, Image.Image):
        return _from_bytes(image_to_tensor(picture))
    if not isinstance(picture, Tensor) or not picture.is_floating_point():
        kind = picture.dtype if isinstance(picture, Tensor) else type(picture).__name__
        raise TypeError(f"{name} must be a path, a PIL image or a floating-point tensor, got {kind}")
    if picture.ndim not in (3, 4) or picture.shape[-3] != 3 or not picture.numel():
        raise ValueError(f"{name} must be RGB of shape (3, H, W) or (B, 3, H, W), got {tuple(picture.shape)}")
    low, high = (float(value) for value in picture.aminmax())
    if not (low >= -OUTSIDE and high <= 1 + OUTSIDE):
        raise ValueError(f"{name} must have values in [0, 1], got {low:g} to {high:g}")
    return picture if picture.ndim == 4 else picture.unsqueeze(0)


def _from_bytes(image: Tensor) -> Tensor:
    return image.unsqueeze(0).float() / 255.0
