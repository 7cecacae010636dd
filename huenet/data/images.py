"""Image files: which a folder has, and each as an upright uint8 RGB tensor, whatever its format; and tensors as pictures."""

import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn.functional import pad

SUFFIXES = frozenset([".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".avif", ".ppm", ".pgm", ".pbm", ".pnm"])


def find_images(folder: str | os.PathLike[str]) -> list[Path]:
    """Entries of `folder` with an image's suffix in either case, sorted by name so that seeds mean something.

    Subfolders are not searched, hidden names are left out. Raises ValueError where `folder` is no readable folder.
    """
    try:
        entries = sorted(Path(folder).iterdir(), key=lambda entry: entry.name)
    except OSError as error:
        raise ValueError(f"{folder} is not a folder of images: {error.strerror}") from error
    return [entry for entry in entries if entry.suffix.lower() in SUFFIXES and not entry.name.startswith(".")]


def load_image(path: str | os.PathLike[str], at_least: int | None = None) -> Tensor:
    """The image in a file as uint8 RGB (3, H, W), upright (EXIF), of any mode that Pillow decodes.

    Transparency is composited on white; 16-bit values keep their upper byte, rounded; of an animation the first frame is taken.
    `at_least` lets a JPEG be decoded at a half, quarter or eighth of its size (much faster) as long as both sides keep that many
    pixels. Raises ValueError, naming the file and the reason, where it cannot be read.
    """
    try:
        with Image.open(path) as image:
            if at_least is not None:
                image.draft(None, (at_least, at_least))
            return image_to_tensor(image)
    except Exception as error:  # Pillow's plugins raise nearly anything on a damaged file
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ValueError(f"cannot read the image {path}: {reason}") from error


def image_to_tensor(image: Image.Image) -> Tensor:
    """A PIL image as uint8 RGB (3, H, W), converted as by `load_image`. Raises whatever Pillow does on a damaged one."""
    return _to_tensor(_to_rgb(ImageOps.exif_transpose(image)))


def fit(image: Tensor, size: int) -> Tensor:
    """The centre square of a uint8 image (3, H, W), resized (Lanczos, antialiased) to (3, size, size)."""
    picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
    return _to_tensor(ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS))


def load_pairs(folder: Path, size: int) -> tuple[Tensor, Tensor]:
    """Photos and maps of the same places, (pairs, 3, size, size) each in [0, 1], in the order of their names.

    Pairs are images NAME_A, the photo, and NAME_B, its map; raises ``ValueError`` where there are fewer than two.
    """
    files = {path.stem: path for path in find_images(folder)}
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


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_deep_grey_to_bytes(image)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _deep_grey_to_bytes(image: Image.Image) -> np.ndarray:
    """uint8 of a 16-bit grey image, of a 32-bit one that keeps to 16 bits, or of floats in [0, 1]."""
    values = np.asarray(image).astype(np.float64)
    top = 1.0 if image.mode == "F" else 65535.0
    if not (values.min() >= 0.0 and values.max() <= top):
        raise ValueError(f"mode {image.mode} needs values from 0 to {top:g}, found {values.min():g} to {values.max():g}")
    return np.rint(values * (255.0 / top)).astype(np.uint8)


def _to_tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
