"""Digits in two looks: MNIST's, and MNIST-M's, made of MNIST's and of patches of any photos.

MNIST-M (Ganin et al. 2016) is |patch - digit|, of patches of the photos of BSDS500 and digits that are binarised, 0 or 255. With
other photos what comes is like it, and is not it: accuracies cannot be compared with those on MNIST-M itself.
"""

import hashlib
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ..data import Photos
from ..data.photos import seeded_generator
from ..files import replacing

Look = Literal["mnist", "mnist-m"]
LOOKS: tuple[Look, Look] = ("mnist", "mnist-m")
SIZE, ORIGINAL = 32, 28
"""Pixels a side, of what networks see and of MNIST's files."""
PHOTO_SIZE = 256
"""Of the photos that patches are cut from: near the 321 of BSDS500's shorter sides."""
ARRAYS = (("images", "labels"), ("x_train", "y_train"))
"""Names of images and labels in a file of digits: plain ones, or Keras's mnist.npz."""
DAMAGED = (ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, TypeError, AttributeError)
"""What numpy raises, the last two of its own .npy, for a file that is no good .npz; zipfile, within it, NotImplementedError for a
way of packing and RuntimeError for a password that it does not know."""


@dataclass(frozen=True)
class Digits:
    """The same digits in both looks, N for training and M for testing.

    ``train``, ``test``: by look, uint8 (N, 1 or 3, 32, 32). ``train_labels``, ``test_labels``: int64 (N,).
    """

    train: dict[Look, Tensor]
    test: dict[Look, Tensor]
    train_labels: Tensor
    test_labels: Tensor

    def unpaired(self, look: Look) -> Tensor:
        """What a translation learns from: of MNIST the first half of the training digits, of the other look the second half."""
        half = len(self.train_labels) // 2
        return self.train[look][:half] if look == "mnist" else self.train[look][half:]

    def digest(self) -> str:
        """SHA-256 of all pixels and labels."""
        parts = [*self.train.values(), *self.test.values(), self.train_labels, self.test_labels]
        return hashlib.sha256(b"".join(part.contiguous().numpy().tobytes() for part in parts)).hexdigest()


def make_digits(images: np.ndarray, labels: np.ndarray, photos: Photos, seed: int = 0) -> Digits:
    """Both looks of MNIST digits, images uint8 (N, 28, 28) and labels (N,): three quarters for training, the rest for testing.

    Patches of ``photos`` are cut at random places by ``seed``. Both looks are made at 28 pixels, as MNIST-M's files are, and then
    resized.
    """
    rng = seeded_generator(seed)
    grey = torch.from_numpy(images).unsqueeze(1)
    which = rng.integers(len(photos), size=len(grey))
    tops, lefts = rng.integers(photos.images.shape[-1] - ORIGINAL + 1, size=(2, len(grey)))
    patches = torch.stack(
        [photos.images[i, :, y : y + ORIGINAL, x : x + ORIGINAL] for i, y, x in zip(which.tolist(), tops.tolist(), lefts.tolist())]
    )
    looks: dict[Look, Tensor] = {"mnist": _resized(grey), "mnist-m": _resized(blended(grey, patches))}
    count = len(grey) * 3 // 4
    known = torch.from_numpy(labels.astype(np.int64))
    return Digits(
        {look: some[:count] for look, some in looks.items()},
        {look: some[count:] for look, some in looks.items()},
        known[:count],
        known[count:],
    )


def blended(digits: Tensor, patches: Tensor) -> Tensor:
    """|patch - digit|, the digit 255 wherever it is not black: uint8 (N, 1, S, S), (N, 3, S, S) -> (N, 3, S, S)."""
    return torch.where(digits > 0, 255 - patches, patches)


def _resized(images: Tensor) -> Tensor:
    resized = F.interpolate(images.float(), (SIZE, SIZE), mode="bilinear", align_corners=False)
    return resized.round().byte()


def read_mnist(path: str | os.PathLike[str], count: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (N, 28, 28) and labels (N,) of an .npz, the first ``count`` of them: named as in `ARRAYS`.

    Raises ``ValueError`` naming the file where it holds no such digits, ``OSError`` where it cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            found = [names for names in ARRAYS if all(name in stored for name in names)]
            if not found:
                raise ValueError(f"it has {', '.join(stored) or 'nothing'}")
            images, labels = (stored[name] for name in found[0])
    except DAMAGED as error:
        wanted = " or ".join(" and ".join(names) for names in ARRAYS)
        raise ValueError(f"mnist must be an .npz with {wanted}, got {path}: {error}") from error
    shape = images.shape
    if images.dtype != np.uint8 or shape[1:] != (ORIGINAL, ORIGINAL) or labels.shape != shape[:1]:
        raise ValueError(
            f"mnist must have uint8 images (N, 28, 28) and labels (N,), got {path}: {images.dtype} {shape}, {labels.shape}"
        )
    if labels.dtype.kind not in "iu" or not len(labels) or labels.min() < 0 or labels.max() > 9:
        raise ValueError(f"mnist must have labels from 0 to 9, got {path}: {labels.dtype} {labels[:8].tolist()}")
    return images[:count], labels[:count]


def write_pngs(images: Tensor, folder: Path) -> None:
    """uint8 (N, 1 or 3, S, S) -> 00000.png and so on, as `huenet translate train` takes them; what is there stays."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        if not (path := folder / f"{number:05d}.png").exists():
            with replacing(path) as temporary:
                Image.fromarray(image.permute(1, 2, 0).squeeze(-1).numpy()).save(temporary)
