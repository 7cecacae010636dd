"""Pairs of an aerial photo and its map."""

from pathlib import Path

import torch
from torch import Tensor

from ..data import find_images, fit, load_image


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
