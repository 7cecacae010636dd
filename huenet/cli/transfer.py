"""`huenet transfer`."""

import dataclasses
from pathlib import Path

import tyro

from .mistakes import outputs_are_not_inputs, user_input


@dataclasses.dataclass(frozen=True)
class Transfer:
    """Paint a photo, or every photo of a folder, with the colours of another one.

    Hues change; saturation and brightness stay. The output has the source's size, transparency (png, webp, tiff), resolution
    and EXIF data, in sRGB. No photo is ever overwritten.

        huenet transfer --checkpoint run/generator.safetensors source.jpg target.jpg --out painted.png
        huenet transfer --checkpoint run/generator.safetensors photos target.jpg --out painted
    """

    source: tyro.conf.Positional[Path]
    """Photo to paint, of any size, or a folder of photos."""
    target: tyro.conf.Positional[Path]
    """Photo that has the colours."""
    checkpoint: Path
    """A training run's generator.safetensors."""
    out: Path
    """File to write, or for a folder of photos the folder to write to."""
    recursive: bool = False
    """Paint the photos of subfolders too, into subfolders of OUT."""
    device: str = "auto"
    """cpu, cuda, ... auto: the GPU where there is one."""

    def execute(self) -> int:
        from ..color_transfer.painter import Painter, paint_files

        with user_input():
            paint = Painter.load(self.checkpoint, self.device)
            if self.source.is_dir() and self.recursive:
                outputs_are_not_inputs(self.out, self.source, recursive=True)
            for written in paint_files(paint, self.source, self.target, self.out, self.recursive):
                print(written)
        return 0
