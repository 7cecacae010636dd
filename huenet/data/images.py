"""Image files: which a folder has, and each as an upright uint8 RGB tensor, whatever its format; and tensors as pictures."""

import contextlib
import io
import os
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

ADVICE = "--recursive, or recursive=True in Python, searches them"
READING: ContextVar[str | None] = ContextVar("READING", default=None)
"""The file that this thread reads, since what Pillow warns of does not say."""


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
        with opened(path):
            return True
    except ValueError:
        return False


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


def image_to_tensor(image: Image.Image) -> Tensor:
    """A PIL image as uint8 RGB (3, H, W), converted as by `load_image`. Raises whatever Pillow does on a damaged one."""
    return _to_tensor(on_white(upright_srgb(image)))


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


def upright_srgb(image: Image.Image) -> Image.Image:
    """As it is meant to be seen: turned as its EXIF says, its colours in sRGB, of mode RGB, or RGBA where it has transparency."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_deep_grey_to_bytes(image)).convert("RGB")
    mode = "RGBA" if image.has_transparency_data else "RGB"
    profile = image.info.get("icc_profile")
    if profile:
        try:
            return _from_profile(image, profile, mode)
        except (ImageCms.PyCMSError, OSError, ValueError) as error:
            warnings.warn(f"a colour profile cannot be used ({error}): its image is taken for sRGB", stacklevel=2)
    return image.convert(mode)


def on_white(image: Image.Image) -> Image.Image:
    """An image of mode RGB or RGBA without its transparency."""
    if image.mode == "RGB":
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _from_profile(image: Image.Image, profile: bytes, mode: str) -> Image.Image:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    if "sRGB" in ImageCms.getProfileDescription(source):
        return image.convert(mode)
    if source.profile.xcolor_space.strip() == "RGB":
        image = image.convert(mode)  # palettes, and what else is made of RGB
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    kept = image.convert("RGB") if alpha else image
    converted = ImageCms.profileToProfile(kept, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    if mode == "RGBA":
        converted.putalpha(alpha or image.convert("RGBA").getchannel("A"))
    return converted


def _deep_grey_to_bytes(image: Image.Image) -> np.ndarray:
    """uint8 of a 16-bit grey image, of a 32-bit one that keeps to 16 bits, or of floats in [0, 1]."""
    values = np.asarray(image).astype(np.float64)
    top = 1.0 if image.mode == "F" else 65535.0
    if not (values.min() >= 0.0 and values.max() <= top):
        raise ValueError(f"mode {image.mode} needs values from 0 to {top:g}, found {values.min():g} to {values.max():g}")
    return np.rint(values * (255.0 / top)).astype(np.uint8)


def _to_tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
