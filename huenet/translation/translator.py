"""Translating photos with trained generators: in Python, and files."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self, overload

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ..data.outputs import outputs_within, write_each
from ..data.photos import LUMA
from ..data.picture import Picture, float_batch, picture_of, save
from ..training.checkpoint import CheckpointError
from ..training.distributed import find_device
from .config import MAX_MEGAPIXELS, Direction
from .model import load_translator
from .networks import Generators, grey_as, resolved_channels, source_of, to_networks, to_picture

Photo = Tensor | Image.Image | str | os.PathLike[str]


class Translator:
    """Trained generators as a function of a picture of any size. `origin`: where their weights come from, for messages.

    ``max_megapixels``: of a file that is read, more than 0; ``inf`` for any. Raises ``ValueError`` for another.
    """

    origin = "the model"

    def __init__(
        self,
        model: Generators,
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
    def load(cls, checkpoint: str | os.PathLike[str], device: str = "cpu", max_megapixels: float = MAX_MEGAPIXELS) -> Self:
        """From a ``translator.safetensors``. Raises `CheckpointError` naming the file, ``OSError`` if it cannot be opened."""
        model, metadata = load_translator(checkpoint)
        translator = cls(model, device, metadata, max_megapixels)
        translator.origin = str(checkpoint)
        return translator

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Those that were trained."""
        return self.model.config.trained

    @overload
    def __call__(self, photo: Tensor, direction: Direction | None = None) -> Tensor: ...
    @overload
    def __call__(self, photo: Image.Image | str | os.PathLike[str], direction: Direction | None = None) -> Image.Image: ...
    @torch.no_grad()
    def __call__(self, photo: Photo, direction: Direction | None = None) -> Tensor | Image.Image:
        """``photo`` translated, at its own size. ``direction`` None: a-to-b, or the only one there is.

        It is a path, a PIL image, or a floating-point tensor in [0, 1], (C, H, W) or (B, C, H, W) of 1 or 3 channels; what the
        generator was not trained on is made grey, or repeated. A tensor gives a tensor of as many channels as the target's photos
        have, of its dtype and on its device; anything else a PIL image, of mode L where these are grey, with the transparency,
        resolution, EXIF and XMP data of the photo. A photo is translated as a whole: docs/translation.md tells how much memory that
        takes. Raises as `huenet.color_transfer.painter.Painter` does, and ``ValueError`` for a direction that was not trained.
        """
        direction = self._direction(direction)
        if not isinstance(photo, (str, os.PathLike, Image.Image)):
            translated = self._translate(float_batch("photo", photo, (1, 3)), direction).to(photo)
            return translated if photo.ndim == 4 else translated.squeeze(0)
        picture = picture_of(photo, self.max_megapixels)
        translated = self._translate(picture[..., slice(None), :], direction)
        picture[..., slice(None), :] = grey_as(translated, 3)
        return _as_grey(picture) if translated.shape[1] == 1 else picture.image

    def _direction(self, direction: Direction | None) -> Direction:
        if direction is None:
            return self.directions[0]
        if direction not in self.directions:
            raise ValueError(
                f"direction must be {' or '.join(self.directions)}, which {self.origin} was trained for, got {direction!r}"
            )
        return direction

    def _translate(self, image: Tensor, direction: Direction) -> Tensor:
        """(B, C, H, W) in [0, 1] -> (B, C', H, W) in [0, 1]."""
        channels = resolved_channels(self.model.config)
        image = _with_channels(image.to(self.device, torch.float32), channels[source_of(direction)])
        generator, (height, width) = self.model[direction], image.shape[-2:]
        missing = [max(generator.least - side, 0) for side in (width, height)]
        if any(missing):  # more of its right and lower edge
            image = F.pad(image, (0, missing[0], 0, missing[1]), mode="replicate")
        translated = to_picture(generator(to_networks(image)))[..., :height, :width]
        if not translated.isfinite().all():
            raise CheckpointError(f"{self.origin} makes what is not finite: its weights are damaged")
        return translated


def translate_files(
    translate: Translator, photos: Path, out: Path, direction: Direction | None = None, recursive: bool = False
) -> Iterator[Path]:
    """Translate the file ``photos``, or every image of the folder ``photos``, into the folder ``out``; yields what it wrote.

    Each has its own name there, with ``recursive`` in its own subfolder, as PNG where its format cannot be written. A file of a
    folder that cannot be read is skipped with a warning. Raises ``ValueError`` where a photo would be overwritten, two would have
    one output, the direction was not trained, or nothing can be read; ``OSError`` if an output cannot be written.
    """
    direction = translate._direction(direction)
    outputs = outputs_within(out, photos, recursive)

    def make(photo: Path) -> Image.Image:
        return translate(photo, direction)

    yield from write_each(make, photos, outputs, "translating", write=save, fatal=CheckpointError)


def _with_channels(image: Tensor, count: int) -> Tensor:
    if count == 1 and image.shape[1] == 3:
        weights = torch.tensor(LUMA, dtype=image.dtype, device=image.device) / 2**16
        return (image * weights.view(3, 1, 1)).sum(1, keepdim=True)
    return grey_as(image, count)


def _as_grey(picture: Picture) -> Image.Image:
    """Of mode L, if it has no transparency, and without the profile of colours."""
    if picture.image.mode == "RGBA":
        return picture.image
    grey = picture.image.convert("L")
    grey.info.pop("icc_profile", None)
    return grey
