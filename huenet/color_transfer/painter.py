"""Painting photos with a trained model: in Python, and files."""

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, overload

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from ..color import hue_presence
from ..data.bands import Rows, bands, mean_chroma, reduced
from ..data.outputs import WRITABLE, outputs_within, write_each
from ..data.picture import Picture, float_batch, picture_of
from ..training.checkpoint import CheckpointError
from ..training.distributed import find_device
from .config import MAX_MEGAPIXELS
from .model import HueNet, load_generator
from .packaged import PACKAGED

Photo = Tensor | Image.Image | str | os.PathLike[str]


@dataclass
class _Floats:
    """A picture whose rows come as the model takes them."""

    picture: Rows
    device: torch.device

    @property
    def shape(self) -> Sequence[int]:
        return self.picture.shape

    def __getitem__(self, place: Any) -> Tensor:
        return self.picture[place].to(self.device, torch.float32)


class Colors:
    """A target as `Painter` looks at it, any number of times; made by `Painter.colors`."""

    def __init__(self, picture: Rows, size: tuple[int, int] | None) -> None:
        self.chroma = mean_chroma(picture)
        self._picture = picture if size is None else None
        self._own = None if size is None else reduced(picture, size)

    def at(self, size: tuple[int, int]) -> Tensor:
        """Reduced to its own size, or, where a model looks at it beside the source, to this one of the source's."""
        if self._own is not None:
            return self._own
        assert self._picture is not None  # for type checkers: one of the two is there
        return reduced(self._picture, size)


class Painter:
    """A trained Hue-Net as a function of two pictures of any sizes.

    ``max_megapixels``: of a file that is read, more than 0; ``inf`` for any. Raises ``ValueError`` for another.
    """

    def __init__(
        self,
        model: HueNet,
        device: str = "cpu",
        metadata: dict[str, Any] | None = None,
        max_megapixels: float = MAX_MEGAPIXELS,
    ) -> None:
        if not max_megapixels > 0:
            raise ValueError(f"max_megapixels must be a number above 0, got {max_megapixels}")
        self.device = find_device(device)
        self.model = model.to(self.device).eval()
        self.metadata = metadata or {}
        self.max_megapixels = max_megapixels

    @classmethod
    def load(
        cls, checkpoint: str | os.PathLike[str] | None = None, device: str = "cpu", max_megapixels: float = MAX_MEGAPIXELS
    ) -> Self:
        """From a ``generator.safetensors``; None: the model in the package, whose card is docs/model.md.

        Raises `CheckpointError` naming the file, ``OSError`` if it cannot be opened.
        """
        model, metadata = load_generator(PACKAGED if checkpoint is None else checkpoint)
        return cls(model, device, metadata, max_megapixels)

    @overload
    def __call__(self, source: Tensor, target: Photo | Colors) -> Tensor: ...
    @overload
    def __call__(self, source: Image.Image | str | os.PathLike[str], target: Photo | Colors) -> Image.Image: ...
    @torch.no_grad()
    def __call__(self, source: Photo, target: Photo | Colors) -> Tensor | Image.Image:
        """``source`` with its hues repainted like ``target``'s, at the source's size.

        Each is a path, a PIL image, or a floating-point RGB tensor in [0, 1], (3, H, W) or (B, 3, H, W); the target may be what
        `colors` made of one. A tensor source gives a tensor of its shape, dtype and device, anything else a PIL image in sRGB, with
        the transparency, resolution, EXIF and XMP data that the source has. A path's is painted in the memory that it was decoded
        into. Raises ``ValueError`` for a file that is no image or has more than ``max_megapixels``, or a tensor of another shape or
        range, ``TypeError`` for anything else, `CheckpointError` where weights are so large that what they paint is not finite.
        """
        colors = target if isinstance(target, Colors) else self.colors(target)
        picture = self._picture(source)
        pixels: Tensor | Picture = float_batch("source", source) if picture is None else picture
        canvas: Tensor | Picture = torch.empty_like(pixels) if isinstance(pixels, Tensor) else pixels
        rows, height = _Floats(pixels, self.device), pixels.shape[-2]
        size = self.model.working_size(pixels.shape)
        change = self.model.predict(reduced(rows, size), colors.at(size), colors.chroma)
        for band in tqdm(bands(pixels.shape), "painting", unit="band", delay=1.0, disable=None, leave=False):
            painted = self.model.paint(rows[..., band, :], change, band, height)
            if not painted.isfinite().all():
                raise CheckpointError(f"{self.model.origin} paints what is not finite: its weights are damaged")
            canvas[..., band, :] = painted
        if isinstance(canvas, Picture):
            return canvas.image
        assert isinstance(source, Tensor)  # for type checkers: else there was a picture
        return canvas.reshape(source.shape)

    @torch.no_grad()
    def colors(self, target: Photo) -> Colors:
        """A target to be painted with more than once, looked at once. Raises as `__call__`."""
        picture = self._picture(target, only_colors=True)
        rows = _Floats(float_batch("target", target) if picture is None else picture, self.device)
        colors = Colors(rows, self.model.target_size(rows.shape))
        if not hue_presence(colors.chroma).all():
            # from here, not from the caller: between the two is torch's own wrapper for no_grad
            warnings.warn("a target has no hue to paint with: its source keeps its own", stacklevel=1)
        return colors

    def _picture(self, photo: Photo, only_colors: bool = False) -> Picture | None:
        """Of a file or a PIL image; None for anything else."""
        if isinstance(photo, (str, os.PathLike, Image.Image)):
            return picture_of(photo, self.max_megapixels, only_colors)
        return None


def paint_files(paint: Painter, source: Path, target: Path, out: Path, recursive: bool = False) -> Iterator[Path]:
    """Paint the file ``source``, or every image of the folder ``source``, like the file ``target``; yields what it wrote.

    One photo goes to the file ``out``, whose suffix tells the format; a folder's, with ``recursive`` those of its subfolders too,
    go into the folder ``out`` under their own names, as PNG where their format cannot be written. A file of a folder that cannot
    be read is skipped with a warning. Before anything is written, ``ValueError`` is raised if an output would be one of the photos
    read, by whatever path or link, or two sources would have one output; also if nothing can be read. ``OSError`` if an output
    cannot be written.
    """
    colors = paint.colors(target)
    folder = source.is_dir()
    if not folder and out.suffix.lower() not in WRITABLE:
        raise ValueError(f"cannot tell the format of {out} by its suffix: use one of {', '.join(sorted(WRITABLE))}")
    outputs = outputs_within(out, source, recursive) if folder else {source: out}

    def make(photo: Path) -> Image.Image:
        return paint(photo, colors)

    yield from write_each(make, source, outputs, "painting", read={target: "the target"}, fatal=CheckpointError)
