"""Hue-Net: colour transfer trained with differentiable histogram losses, and those losses for anyone's network.

    import huenet
    paint = huenet.load()                                # the model in the package; or of a training: "run/generator.safetensors"
    paint("source.jpg", "target.jpg").save("painted.png")
    translate = huenet.load("run/translator.safetensors")
    translate("photo.jpg").save("translated.png")

`huenet.kernels` has the operators, `huenet.losses` the losses as modules. Importing `huenet` itself loads neither of them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from .color_transfer.painter import Painter
    from .translation.translator import Translator

__version__ = "0.2.0"
__all__ = ["load"]


@overload
def load(checkpoint: None = None, device: str = "cpu", max_megapixels: float | None = None) -> Painter: ...
@overload
def load(checkpoint: str | os.PathLike[str], device: str = "cpu", max_megapixels: float | None = None) -> Any: ...
def load(
    checkpoint: str | os.PathLike[str] | None = None, device: str = "cpu", max_megapixels: float | None = None
) -> Painter | Translator:
    """A trained model as a function of a source and a target, or of a photo that it translates; see `color_transfer.painter` and
    `translation.translator`.

    ``checkpoint``: a training run's ``generator.safetensors`` or ``translator.safetensors``; None for the model in the
    package, trained on drawn pictures.
    ``max_megapixels``: of a file that is read, more than 0; None for 250, ``inf`` for any.
    """
    from .color_transfer.config import MAX_MEGAPIXELS
    from .color_transfer.painter import Painter
    from .training.checkpoint import kind_of
    from .translation.translator import Translator

    most = MAX_MEGAPIXELS if max_megapixels is None else max_megapixels
    if checkpoint is not None and kind_of(checkpoint) == "translator":
        return Translator.load(checkpoint, device, most)
    return Painter.load(checkpoint, device, most)
