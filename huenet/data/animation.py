"""Animated GIF, WebP and PNG files: their frames as they are seen, how long, and how many times."""

import itertools
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from PIL import Image

from ..files import replacing
from . import picture
from .images import at_most, on_white, opened

SUFFIXES = frozenset({".gif", ".png", ".webp"})
FORMATS = frozenset({"GIF", "PNG", "WEBP"})
"""As Pillow calls them. Files of others may have many pictures as well, such as pages, or the previews of a camera."""
COLORS = 255
"""Of a GIF, beside its transparent one."""
SEEN = 2**18
"""Pixels of all frames of which a GIF's colours are chosen."""


@dataclass(frozen=True, eq=False)
class Animation:
    """`frames`: whole pictures of one size, upright, in sRGB, all of mode RGB, or RGBA where one has transparency; the first one's
    ``info`` has what the file carries, as a `Picture`'s. `durations`: of each, in milliseconds. `plays`: 0 for without end."""

    frames: list[Image.Image]
    durations: list[float]
    plays: int

    @classmethod
    def read(cls, path: str | os.PathLike[str], max_megapixels: float | None = None) -> Self:
        """Of all frames together at most so many megapixels. Raises ValueError, naming the file and the reason."""
        with at_most(max_megapixels), opened(path) as image:
            first, count = _frames(image)
            pixels = image.width * image.height * (count - first)
            if max_megapixels is not None and pixels > max_megapixels * 1e6:
                limit = f"more than {max_megapixels:g} megapixels; max_megapixels (--max-megapixels) sets the limit"
                raise ValueError(f"{count - first} frames of {image.width} x {image.height} pixels are {limit}")
            plays, frames, durations = _plays(image), [], []
            for number in range(first, count):
                image.seek(number)
                frames.append(picture.Picture.of(image, says=number == first).image)
                durations.append(float(image.info.get("duration", 0)))
                if frames[-1].size != frames[0].size:
                    raise ValueError(f"frame {number} has {frames[-1].size} pixels, the first {frames[0].size}")
        return cls(_of_one_mode(frames), durations, plays)

    def of(self, frames: list[Image.Image]) -> Self:
        """The same with other pictures."""
        return replace(self, frames=_of_one_mode(frames))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it, of the format that the suffix tells. GIF has one palette for all frames, transparency or none, and hundredths
        of a second. A frame that looks as the one before is not written, which is shown the longer.

        Raises ValueError for another suffix than `SUFFIXES`, ``OSError`` where it cannot be written.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix not in SUFFIXES:
            raise ValueError(f"{path} must be one of {', '.join(sorted(SUFFIXES))} to hold an animation, got {path.suffix!r}")
        frames, durations, options = self.frames, self.durations, {"loop": self.plays}
        if suffix == ".gif":
            frames, durations, options = _with_palette(frames), _in_steps(durations, 10), _gif_options(self)
        elif suffix == ".webp":
            durations = _in_steps(durations, 1)
            options |= {"quality": 95, "background": (0, 0, 0, 0)}
        carried = picture.options(self.frames[0], path) if suffix != ".gif" else {}
        with replacing(path) as temporary:
            frames[0].save(temporary, save_all=True, append_images=frames[1:], duration=durations, **options, **carried)


def is_animation(path: str | os.PathLike[str]) -> bool:
    """False also for what cannot be read."""
    try:
        with at_most(float("inf")), opened(path) as image:
            first, count = _frames(image)
            return count - first > 1
    except ValueError:
        return False


def _frames(image: Image.Image) -> tuple[int, int]:
    """The first frame, and how many there are: a PNG file may begin with a picture for who cannot play it."""
    if image.format not in FORMATS or not getattr(image, "is_animated", False):
        return 0, 1
    return int(bool(getattr(image, "default_image", False))), image.n_frames


def _plays(image: Image.Image) -> int:
    loop = image.info.get("loop")
    if image.format != "GIF":
        return loop or 0
    # how many times again, 0 for without end
    return 1 if loop is None else loop + 1 if loop else 0


def _gif_options(animation: Animation) -> dict[str, Any]:
    again = {0: {"loop": 0}, 1: {}}.get(animation.plays, {"loop": animation.plays - 1})
    # each frame is removed before the next one comes: else that would be seen through
    transparent = {"transparency": COLORS, "disposal": 2} if animation.frames[0].mode == "RGBA" else {"disposal": 1}
    return {"optimize": False, **again, **transparent}


def _in_steps(durations: list[float], step: int) -> list[int]:
    """Whole multiples of so many milliseconds, each frame ending as near as can be to when it did."""
    ends = [step * round(end / step) for end in itertools.accumulate(durations)]
    return [end - start for start, end in zip([0, *ends], ends)]


def _of_one_mode(frames: list[Image.Image]) -> list[Image.Image]:
    if len({frame.mode for frame in frames}) == 1:
        return frames
    first = frames[0].info
    frames = [frame.convert("RGBA") for frame in frames]
    frames[0].info = first
    return frames


def _with_palette(frames: list[Image.Image]) -> list[Image.Image]:
    """With one palette for all: by one of its own for each, colours would flicker. Without dithering, whose pattern would move."""
    seen = [on_white(frame) for frame in frames]
    scale = min(1.0, (SEEN / (len(frames) * frames[0].width * frames[0].height)) ** 0.5)
    size = max(1, round(frames[0].width * scale)), max(1, round(frames[0].height * scale))
    sheet = Image.new("RGB", (size[0], size[1] * len(frames)))
    for number, frame in enumerate(seen):
        sheet.paste(frame.resize(size, Image.Resampling.NEAREST), (0, number * size[1]))
    palette = sheet.quantize(COLORS, Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE)
    made = []
    for frame, opaque in zip(frames, seen):
        indexed = opaque.quantize(palette=palette, dither=Image.Dither.NONE)
        if frame.mode == "RGBA":
            indexed.paste(COLORS, mask=frame.getchannel("A").point([255] * 128 + [0] * 128))
        made.append(indexed)
    return made
