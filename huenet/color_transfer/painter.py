"""Painting photos with a trained model: in Python, and files."""

import dataclasses
import os
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, overload

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from ..color import hue_presence
from ..data.animation import SUFFIXES as ANIMATED
from ..data.animation import Animation, is_animation
from ..data.bands import Rows, bands, mean_chroma, reduced
from ..data.outputs import WRITABLE, outputs_within, write_each
from ..data.picture import Picture, float_batch, picture_of, save
from ..training.checkpoint import CheckpointError
from ..training.distributed import find_device
from .config import MAX_MEGAPIXELS
from .model import Change, HueNet, check_strength, load_generator
from .packaged import PACKAGED
from .tones import check_also, count_tones, tone_curves

Photo = Tensor | Image.Image | str | os.PathLike[str]
LIKES = ("each", "first")


@dataclasses.dataclass
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

    def __init__(self, picture: Rows, size: tuple[int, int] | None, tones: bool) -> None:
        self.chroma = mean_chroma(picture)
        self.tones = count_tones(picture) if tones else None
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
    def __call__(self, source: Tensor, target: Photo | Colors, *, strength: float = ..., also: Collection[str] = ...) -> Tensor: ...
    @overload
    def __call__(
        self,
        source: Image.Image | str | os.PathLike[str],
        target: Photo | Colors,
        *,
        strength: float = ...,
        also: Collection[str] = ...,
    ) -> Image.Image: ...
    def __call__(
        self, source: Photo, target: Photo | Colors, *, strength: float = 1.0, also: Collection[str] = ()
    ) -> Tensor | Image.Image:
        """``source`` with its hues repainted like ``target``'s, at the source's size.

        ``strength``, from 0 to 1: the share of its way around the circle that each hue turns; with 0 the source comes back as it
        is. ``also``: of ``"saturation"`` and ``"value"`` those that come near the target's as well (see `tones`).

        Each is a path, a PIL image, or a floating-point RGB tensor in [0, 1], (3, H, W) or (B, 3, H, W); the target may be what
        `colors` made of one. A tensor source gives a tensor of its shape, dtype and device, anything else a PIL image in sRGB, with
        the transparency, resolution, EXIF and XMP data that the source has. A path's is painted in the memory that it was decoded
        into; of an animation the first frame (`Brush.animation` paints all). Raises ``ValueError`` for a file that is no image or
        has more than ``max_megapixels``, a tensor of another shape or range, another ``strength`` or ``also``, ``TypeError`` for
        anything else, `CheckpointError` where weights are so large that what they paint is not finite.
        """
        return self.brush(target, strength=strength, also=also)(source)

    def brush(self, target: Photo | Colors, *, strength: float = 1.0, also: Collection[str] = (), like: str = "each") -> "Brush":
        """To paint one source after another with, as by `__call__`. ``like``: "first" for frames, which paints all of them by the
        first one's histograms, so that colours do not flicker; "each" for pictures that have nothing to do with each other."""
        check_strength(strength)
        check_also(also)
        if like not in LIKES:
            raise ValueError(f"like must be one of {', '.join(LIKES)}, got {like!r}")
        colors = target if isinstance(target, Colors) else self._colors(target, tones=bool(also))
        return Brush(self, colors, float(strength), tuple(also), like)

    def colors(self, target: Photo) -> Colors:
        """A target to be painted with more than once, looked at once. Raises as `__call__`."""
        return self._colors(target, tones=True)

    @torch.no_grad()
    def _colors(self, target: Photo, tones: bool) -> Colors:
        picture = self.picture(target, only_colors=True)
        rows = _Floats(float_batch("target", target) if picture is None else picture, self.device)
        colors = Colors(rows, self.model.target_size(rows.shape), tones)
        if not hue_presence(colors.chroma).all():
            # from here, not from the caller: between the two is torch's own wrapper for no_grad
            warnings.warn("a target has no hue to paint with: its source keeps its own", stacklevel=1)
        return colors

    def picture(self, photo: Photo, only_colors: bool = False) -> Picture | None:
        """Of a file or a PIL image; None for anything else."""
        if isinstance(photo, (str, os.PathLike, Image.Image)):
            return picture_of(photo, self.max_megapixels, only_colors)
        return None


@dataclasses.dataclass
class Brush:
    """A painter with a target and what else is the same for all its sources; made by `Painter.brush`."""

    painter: Painter
    colors: Colors
    strength: float
    also: tuple[str, ...]
    like: str
    _first: Change | None = dataclasses.field(default=None, init=False)

    @torch.no_grad()
    def __call__(self, source: Photo) -> Any:
        """`source` painted, as `Painter.__call__` says."""
        picture = self.painter.picture(source)
        pixels = float_batch("source", source) if picture is None else picture
        canvas = pixels.clone() if picture is None else picture
        rows, height = _Floats(pixels, self.painter.device), pixels.shape[-2]
        change = self._change(rows, None if picture is None else picture.opacity)
        # What is transparent has colours as well, which nobody sees: they stay too.
        places = bands(pixels.shape) if self.strength else []
        for band in tqdm(places, "painting", unit="band", delay=1.0, disable=None, leave=False):
            painted = self.painter.model.paint(rows[..., band, :], change, band, height)
            if not painted.isfinite().all():
                raise CheckpointError(f"{self.painter.model.origin} paints what is not finite: its weights are damaged")
            canvas[..., band, :] = painted
        return canvas.reshape(source.shape) if picture is None else picture.image

    def animation(self, source: str | os.PathLike[str]) -> Animation:
        """An animated GIF, WebP or PNG file painted, frame by frame."""
        animation = Animation.read(source, self.painter.max_megapixels)
        frames = animation.frames
        for number in tqdm(range(len(frames)), "painting", unit="frame", delay=1.0, disable=None, leave=False):
            frames[number] = self(frames[number])  # so that there are never two of all
        return animation.of(frames)

    def _change(self, source: _Floats, opacity: Callable[[slice], Tensor | float] | None) -> Change:
        model, colors = self.painter.model, self.colors
        size, tones = model.working_size(source.shape), None
        if self.also and self._first is None:
            tones = tone_curves(count_tones(source, opacity), colors.tones, self.also, self.strength)
        change = model.predict(reduced(source, size), colors.at(size), colors.chroma, self.strength, tones, self._first)
        if self.like == "first" and self._first is None:
            self._first = change
        return change


def paint_files(
    paint: Painter,
    source: Path,
    target: Path,
    out: Path,
    recursive: bool = False,
    *,
    strength: float = 1.0,
    also: Collection[str] = (),
    like: str | None = None,
) -> Iterator[Path]:
    """Paint the file ``source``, or every image of the folder ``source``, like the file ``target``; yields what it wrote.

    One photo goes to the file ``out``, whose suffix tells the format; a folder's, with ``recursive`` those of its subfolders too,
    go into the folder ``out`` under their own names, as PNG where their format cannot be written. Animated GIF, WebP and PNG files
    stay animated. A file of a folder that cannot be read is skipped with a warning. ``strength`` and ``also`` as of a `Painter`;
    ``like`` as of `Painter.brush`, of all frames and photos, or None: "first" within each animation, "each" for photos.

    Before anything is written, ``ValueError`` is raised if an output would be one of the photos read, by whatever path or link, or
    two sources would have one output; also for an animation to a format that has none, or if nothing can be read. ``OSError`` if an
    output cannot be written.
    """
    stills = paint.brush(target, strength=strength, also=also, like=like or "each")
    folder = source.is_dir()
    outputs = outputs_within(out, source, recursive, holds=_formats) if folder else {source: out}
    if not folder:
        _must_hold(out, source)

    def make(photo: Path) -> Image.Image | Animation:
        frames = stills if like else dataclasses.replace(stills, like="first")
        return frames.animation(photo) if is_animation(photo) else stills(photo)

    yield from write_each(make, source, outputs, "painting", write=_write, read={target: "the target"}, fatal=CheckpointError)


def _write(painted: Image.Image | Animation, output: Path) -> None:
    if isinstance(painted, Animation):
        painted.save(output)
    else:
        save(painted, output)


def _formats(photo: Path) -> frozenset[str]:
    """Suffixes of the formats that hold what a photo has."""
    return ANIMATED if is_animation(photo) else WRITABLE


def _must_hold(out: Path, source: Path) -> None:
    """Raises ``ValueError`` for a file whose suffix tells no format that holds what `source` has."""
    if is_animation(source):
        if out.suffix.lower() not in ANIMATED:
            can = ", ".join(sorted(ANIMATED))
            raise ValueError(f"{source} is an animation, of which {out} would hold the first frame only: use one of {can}")
    elif out.suffix.lower() not in WRITABLE:
        raise ValueError(f"cannot tell the format of {out} by its suffix: use one of {', '.join(sorted(WRITABLE))}")
