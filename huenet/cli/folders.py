"""Folders of photos that a command trains on: in memory, or in a file where they are many."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .mistakes import must_be_writable, outputs_are_not_inputs

if TYPE_CHECKING:
    from ..data import Photos

IN_MEMORY = 10**9
"""Bytes of decoded photos that are kept in memory; more go into a file."""


def read_folders(
    folders: Sequence[Path],
    size: int,
    out: Path,
    cache: Path | None,
    recursive: bool,
    *,
    minimum: int = 2,
    margin: bool = True,
) -> list[Photos]:
    """Each folder's photos, as by `huenet.data.load_folder`: with a `cache` from there, else in memory; more than a gigabyte of
    them from `out`/cache. Refuses, as mistakes, outputs among the photos and an `out` that cannot be written."""
    from ..data import cached_folder, load_folder

    for folder in folders:
        outputs_are_not_inputs(out, folder, recursive)
        if cache is not None:
            outputs_are_not_inputs(cache, folder, recursive, "--cache")
    must_be_writable(out)
    if cache is None and _bytes(folders, size, recursive, margin) > IN_MEMORY:
        cache = out / "cache"
    if cache is None:
        return [load_folder(folder, size, minimum, margin, recursive) for folder in folders]
    return [cached_folder(folder, size, cache, minimum, margin, recursive) for folder in folders]


def _bytes(folders: Sequence[Path], size: int, recursive: bool, margin: bool) -> int:
    """Of the decoded photos."""
    from ..data import find_images
    from ..data.photos import side_of

    count = sum(len(find_images(folder, recursive)) for folder in folders)
    return count * 3 * side_of(size, margin) ** 2
