"""Digits for the tests, in a file like MNIST's: a bar whose place tells the label."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def bars(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (N, 28, 28) with soft edges, which labels 0 to 9 (N,) tell apart."""
    labels = np.arange(count, dtype=np.uint8) * 7 % 10
    images = np.zeros((count, 28, 28), np.uint8)
    for image, label in zip(images, labels):
        image[4 + 2 * label : 7 + 2 * label, 6:22] = 255
        image[7 + 2 * label, 6:22] = 90
    return images, labels


def written(path: Path, count: int = 80) -> Path:
    """An .npz of them."""
    images, labels = bars(count)
    np.savez(path, images=images, labels=labels)
    return path
