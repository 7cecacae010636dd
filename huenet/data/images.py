"""Image files: which a folder has, and each as an upright uint8 RGB tensor, whatever its format; and tensors as pictures."""

import contextlib
import io
import math
import os
import threading
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps
from torch import Tensor
from torch.nn.functional import pad

from ..files import must_be_a_file
from .bands import bands

ADVICE = "--recursive, or recursive=True in Python, searches them"
READING: ContextVar[str | None] = ContextVar("READING", default=None)
"""The file that this thread reads, since neither what Pillow warns of nor an image that has been turned says."""


def find_images(folder: str | os.PathLike[str], recursive: bool | None = False) -> list[Path]:
    """The images of `folder`, with `recursive` of its subfolders too, sorted by name so that seeds mean something.

    An image has the suffix, in either case, or the first bytes of a format that Pillow reads. Hidden names are passed over; what
    else is left out is counted and named in a warning, with the advice to be `recursive`, unless that is None: for who cannot be.
    Raises ValueError where `folder` is no readable folder.
    """
    found, others, folders = [], [], []
    waiting = [Path(folder)]
    while waiting:
        place = waiting.pop()
        try:
            entries = sorted(place.iterdir(), key=lambda entry: entry.name)
        except OSError as error:
            raise ValueError(f"{place} is not a folder of images: {error.strerror}") from error
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                (waiting if recursive and not entry.is_symlink() else folders).append(entry)
            else:
                (found if _is_image(entry) else others).append(entry)
    _tell_what_is_left_out(folder, others, folders, advice="" if recursive is None else f"; {ADVICE}")
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _is_image(path: Path) -> bool:
    if Image.registered_extensions().get(path.suffix.lower()) in Image.OPEN:
        return True
    try:
        with at_most(), opened(path):
            return True
    except ValueError as error:  # what is too large is told where it is read
        return isinstance(error.__cause__, Image.DecompressionBombError)


def _tell_what_is_left_out(folder: str | os.PathLike[str], files: list[Path], folders: list[Path], advice: str) -> None:
    listed = lambda paths: ", ".join(path.name for path in paths[:5]) + ", ..." * (len(paths) > 5)  # noqa: E731
    parts = []
    if files:
        parts.append(f"{len(files)} file{'s' * (len(files) > 1)} that Pillow does not read ({listed(files)})")
    if folders:
        parts.append(f"{len(folders)} folder{'s' * (len(folders) > 1)} ({listed(folders)}{advice})")
    if parts:
        warnings.warn(f"left out of {folder}: {' and '.join(parts)}", stacklevel=3)


def load_image(path: str | os.PathLike[str], at_least: int | None = None) -> Tensor:
    """The image in a file as uint8 RGB (3, H, W), upright (EXIF), in sRGB (ICC), of any mode that Pillow decodes.

    Transparency is composited on white; 16-bit values keep their upper byte, rounded; of an animation the first frame is taken.
    `at_least` lets a JPEG be decoded at a half, quarter or eighth of its size (much faster) as long as both sides keep that many
    pixels. Raises ValueError, naming the file and the reason, where it cannot be read.
    """
    with opened(path) as image:
        if at_least is not None:
            image.draft(None, (at_least, at_least))
        return image_to_tensor(image)


@contextlib.contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[Image.Image]:
    """A PIL image to be decoded within; what Pillow raises becomes a ValueError that names the file and the reason."""
    reading = READING.set(os.fspath(path))
    try:
        must_be_a_file(path)
        with Image.open(path) as image:
            yield image
    except Exception as error:  # Pillow's plugins raise nearly anything on a damaged file
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ValueError(f"cannot read the image {path}: {reason}") from error
    finally:
        READING.reset(reading)


class _Limit(int):
    """For Pillow, which refuses an image of more than twice its limit, and warns of one between: this one is twice itself, so
    there is none between, and what is not refused is read without a word."""

    def __rmul__(self, _: int) -> "_Limit":
        return self

    __mul__ = __rmul__


_LIMITED = threading.RLock()


@contextlib.contextmanager
def at_most(megapixels: float | None = None) -> Iterator[None]:
    """While within, Pillow refuses images of more pixels, and has no warning for fewer. None: those that it refuses anyway.

    Pillow has one limit for the whole program, restored at the end. So that none is restored that another thread has set, one at a
    time is within; and an image that another thread opens with Pillow at that time has the limit set here.
    """
    with _LIMITED:
        usual = Image.MAX_IMAGE_PIXELS
        refused = math.inf if usual is None else 2 * usual
        pixels = refused if megapixels is None else megapixels * 1e6
        Image.MAX_IMAGE_PIXELS = _Limit(pixels) if math.isfinite(pixels) else None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = usual


def image_to_tensor(image: Image.Image) -> Tensor:
    """A PIL image as uint8 RGB (3, H, W), converted as by `load_image`. Raises whatever Pillow does on a damaged one."""
    return _to_tensor(on_white(in_srgb(upright(image))))


def fit(image: Tensor, size: int) -> Tensor:
    """The centre square of a uint8 image (3, H, W), resized (Lanczos, antialiased) to (3, size, size)."""
    picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
    return _to_tensor(ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS))


def load_pairs(folder: Path, size: int) -> tuple[Tensor, Tensor]:
    """Photos and maps of the same places, (pairs, 3, size, size) each in [0, 1], in the order of their names.

    Pairs are images NAME_A, the photo, and NAME_B, its map; raises ``ValueError`` where there are fewer than two.
    """
    files = {path.stem: path for path in find_images(folder, recursive=None)}
    names = [stem.removesuffix("_A") for stem in files if stem.endswith("_A") and f"{stem.removesuffix('_A')}_B" in files]
    if len(names) < 2:
        raise ValueError(f"{folder} must have at least two pairs of images NAME_A and NAME_B, found {len(names)}")
    with at_most():
        photos, maps = (torch.stack([fit(load_image(files[name + role]), size) for name in names]) for role in ("_A", "_B"))
    return photos / 255, maps / 255


def sample_grid(*roles: Tensor, columns: int = 8) -> Image.Image:
    """Batches (B, 3, H, W) as one picture: `columns` samples abreast, the roles of each (say source, target, output) downwards."""
    stacked = torch.stack([images.detach().cpu().float().clamp(0.0, 1.0) for images in roles])
    stacked = pad(stacked, (1, 1, 1, 1), value=1.0)
    columns = min(columns, stacked.shape[1])
    stacked = pad(stacked, (0, 0) * 3 + (0, -stacked.shape[1] % columns), value=1.0)
    strips = stacked.unflatten(1, (-1, columns))  # (role, strip, column, channel, H, W)
    picture = strips.permute(3, 1, 0, 4, 2, 5).flatten(4, 5).flatten(1, 3)
    return Image.fromarray((picture * 255.0).round().byte().permute(1, 2, 0).numpy())


def warn_of(what: str, problem: str) -> None:
    """A warning of something damaged, `what`, of the file that is being read, if it is one."""
    file = READING.get()
    warnings.warn(f"{what}{'' if file is None else f' of {file}'} {problem}", stacklevel=3)


def upright(image: Image.Image) -> Image.Image:
    """A copy, turned as its EXIF data say, where they can be read. Raises whatever Pillow does on a damaged image."""
    image.load()  # so that what is raised below is raised by EXIF data
    try:
        return ImageOps.exif_transpose(image)
    except MemoryError:
        raise
    except Exception as error:  # whatever Pillow makes of damaged ones
        warn_of("the EXIF data", f"cannot be read and are left out: {error!r}")
        return image.copy()


def in_srgb(image: Image.Image) -> Image.Image:
    """Its colours in sRGB, of mode RGB, or RGBA where it has transparency; where it can be, the same image, changed."""
    if image.mode.startswith("I") or image.mode == "F":
        return _deep_grey_to_bytes(image).convert("RGB")
    mode = "RGBA" if image.has_transparency_data else "RGB"
    profile = image.info.get("icc_profile")
    if profile:
        try:
            return _from_profile(image, profile, mode)
        except (ImageCms.PyCMSError, OSError, ValueError) as error:
            warn_of("the colour profile", f"cannot be used and sRGB is taken for it: {error}")
    return _of_mode(image, mode)


def on_white(image: Image.Image) -> Image.Image:
    """An image of mode RGB, RGBA, or L, without its transparency."""
    if image.mode in ("RGB", "L"):
        return image
    seen = Image.new("RGB", image.size)
    for box in boxes(image):
        part = image.crop(box)
        seen.paste(Image.alpha_composite(Image.new("RGBA", part.size, "white"), part).convert("RGB"), box)
    return seen


def boxes(image: Image.Image) -> list[tuple[int, int, int, int]]:
    """The bands of an image, to be cropped and pasted."""
    return [(0, rows.start, image.width, rows.stop) for rows in bands((1, 3, image.height, image.width))]


def _of_mode(image: Image.Image, mode: str) -> Image.Image:
    return image if image.mode == mode else image.convert(mode)  # which would be a copy


def _from_profile(image: Image.Image, profile: bytes, mode: str) -> Image.Image:
    source, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    if "sRGB" in ImageCms.getProfileDescription(source):
        return _of_mode(image, mode)
    if source.profile.xcolor_space.strip() == "RGB":
        image = _of_mode(image, mode)  # palettes, and what else is made of RGB
    if image.mode == mode:
        ImageCms.profileToProfile(image, source, srgb, inPlace=True)
        return image
    converted = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB")
    if mode == "RGBA":
        converted.putalpha((image if "A" in image.getbands() else image.convert("RGBA")).getchannel("A"))
    return converted


def _deep_grey_to_bytes(image: Image.Image) -> Image.Image:
    """Of mode L: a 16-bit grey image, a 32-bit one that keeps to 16 bits, or floats in [0, 1]."""
    top = 1.0 if image.mode == "F" else 65535.0
    grey, ranges = Image.new("L", image.size), []
    for box in boxes(image):
        values = np.asarray(image.crop(box)).astype(np.float64)
        ranges.append((values.min(), values.max()))
        with np.errstate(invalid="ignore"):  # NaN, which is told below
            grey.paste(Image.fromarray(np.rint(values.clip(0.0, top) * (255.0 / top)).astype(np.uint8)), box)
    low, high = np.min(ranges), np.max(ranges)
    if not (low >= 0.0 and high <= top):
        raise ValueError(f"mode {image.mode} needs values from 0 to {top:g}, found {low:g} to {high:g}")
    return grey


def _to_tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
