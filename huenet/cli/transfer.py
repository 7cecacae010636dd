"""`huenet transfer`."""

import dataclasses
from pathlib import Path

import tyro

from ..color_transfer.config import MAX_MEGAPIXELS
from .mistakes import outputs_are_not_inputs, user_input


@dataclasses.dataclass(frozen=True)
class Transfer:
    """Paint a photo, or every photo of a folder, with the colours of another one.

    Hues change; saturation and brightness stay. The output has the source's size, transparency (png, webp, tiff), resolution,
    EXIF and XMP data, in sRGB. No photo is ever overwritten.

        huenet transfer source.jpg target.jpg --out painted.png
        huenet transfer photos target.jpg --out painted
        huenet transfer --checkpoint run/generator.safetensors source.jpg target.jpg --out painted.png
    """

    source: tyro.conf.Positional[Path]
    """Photo to paint, of any size, or a folder of photos."""
    target: tyro.conf.Positional[Path]
    """Photo that has the colours."""
    out: Path
    """File to write, or for a folder of photos the folder to write to."""
    checkpoint: Path | None = None
    """A training run's generator.safetensors. None: the model in the package."""
    recursive: bool = False
    """Paint the photos of subfolders too, into subfolders of OUT."""
    max_megapixels: float = MAX_MEGAPIXELS
    """Largest photo that is read, since a small file may claim any size; inf: any. A megapixel takes 4 to 8 MB of memory."""
    device: str = "auto"
    """cpu, cuda, ... auto: the GPU where there is one."""

    def execute(self) -> int:
        from ..color_transfer.painter import Painter, paint_files

        with user_input():
            paint = Painter.load(self.checkpoint, self.device, self.max_megapixels)
            if self.source.is_dir() and self.recursive:
                outputs_are_not_inputs(self.out, self.source, recursive=True)
            for written in paint_files(paint, self.source, self.target, self.out, self.recursive):
                print(written)
        return 0
