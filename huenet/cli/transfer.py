"""`huenet transfer`."""

import dataclasses
from pathlib import Path
from typing import Literal

import tyro

from ..color_transfer.config import MAX_MEGAPIXELS
from .mistakes import outputs_are_not_inputs, user_input


@dataclasses.dataclass(frozen=True)
class Transfer:
    """Paint a photo, or every photo of a folder, with the colours of another one.

    Hues change; saturation and brightness stay, unless --also asks for them. The output has the source's size, transparency (png,
    webp, tiff), resolution, EXIF and XMP data, in sRGB. Animated gif, webp and png stay animated. No photo is ever overwritten.

        huenet transfer source.jpg target.jpg --out painted.png
        huenet transfer photos target.jpg --out painted
        huenet transfer --checkpoint run/generator.safetensors source.jpg target.jpg --out painted.png
        huenet transfer source.jpg target.jpg --out painted.png --strength 0.6 --also value
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
    strength: float = 1.0
    """From 0, the source as it is, to 1: how much of its way around the colour circle each hue turns."""
    also: tuple[Literal["saturation", "value"], ...] = ()
    """saturation, value or both: bring these near the target's too, by a curve that is not trained. Beyond the paper."""
    like: Literal["each", "first"] | None = None
    """first: frames of a film, painted by the first one's histograms, so that colours do not flicker. each: every picture by its
    own. None: first within an animation, each in a folder."""
    max_megapixels: float = MAX_MEGAPIXELS
    """Largest photo, or animation with all its frames, that is read, since a small file may claim any size; inf: any. A
    megapixel takes 4 to 8 MB of memory."""
    device: str = "auto"
    """cpu, cuda, ... auto: the GPU where there is one."""

    def execute(self) -> int:
        from ..color_transfer.painter import Painter, paint_files

        with user_input():
            paint = Painter.load(self.checkpoint, self.device, self.max_megapixels)
            if self.source.is_dir() and self.recursive:
                outputs_are_not_inputs(self.out, self.source, recursive=True)
            how = {"strength": self.strength, "also": self.also, "like": self.like}
            for written in paint_files(paint, self.source, self.target, self.out, self.recursive, **how):
                print(written)
        return 0
