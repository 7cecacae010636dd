"""What the tests of data read: pictures that tell what was done to them, and files that cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from huenet.data import Photos

# A red to blue ramp, 40 wide and 30 high: tells orientation, channel order and scale apart.
RAMP = np.stack(
    [np.tile(np.linspace(255, 0, 40), (30, 1)), np.tile(np.linspace(0, 120, 30)[:, None], (1, 40)),
     np.tile(np.linspace(0, 255, 40), (30, 1))],
    axis=-1,
).astype(np.uint8)  # fmt: skip


def save(path: Path, mode: str = "RGB", **options: object) -> Path:
    Image.fromarray(RAMP).convert(mode).save(path, **options)
    return path


def unreadable(folder: Path) -> dict[str, Path]:
    (folder / "empty.png").touch()
    (folder / "folder.png").mkdir()
    (folder / "text.jpg").write_text("not an image")
    whole = save(folder / "whole.png").read_bytes()
    (folder / "whole.png").unlink()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    return {name: folder / name for name in ("empty.png", "folder.png", "text.jpg", "cut.png")}


def numbered(count: int, side: int = 6, size: int = 6) -> Photos:
    """Photo i is all i, except its four corners, which tell the flips."""
    images = torch.arange(count, dtype=torch.uint8)[:, None, None, None].repeat(1, 3, side, side)
    images[:, :, 0, 0], images[:, :, 0, -1], images[:, :, -1, 0], images[:, :, -1, -1] = 201, 202, 203, 204
    return Photos(images, tuple(f"{i}.png" for i in range(count)), size)
