"""Pictures that are made of photo files: where each goes, and that none replaces a photo that is read."""

import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from ..files import identity
from .images import find_images

Made = TypeVar("Made")
WRITABLE = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})


def outputs_within(
    out: Path, photos: Path, recursive: bool = False, holds: Callable[[Path], Collection[str]] = lambda _: WRITABLE
) -> dict[Path, Path]:
    """Where the picture of each image of the folder `photos` goes, or of the file `photos`: into the folder `out`, under its own
    name, as PNG where its suffix is none of those that `holds` gives for it. ``ValueError`` where two would have one place."""
    outputs: dict[Path, Path] = {}
    taken: dict[Path, Path] = {}
    for photo in find_images(photos, recursive) if photos.is_dir() else [photos]:
        place = out / (photo.relative_to(photos) if photos.is_dir() else photo.name)
        output = place if photo.suffix.lower() in holds(photo) else place.with_name(f"{photo.name}.png")
        if (other := taken.setdefault(output, photo)) is not photo:
            raise ValueError(f"{other.name} and {photo.name} would both be written to {output}: rename one of them")
        outputs[photo] = output
    return outputs


def write_each(
    make: Callable[[Path], Made],
    source: Path,
    outputs: Mapping[Path, Path],
    what: str,
    *,
    write: Callable[[Made, Path], None],
    read: Mapping[Path, str] | None = None,
    fatal: type[ValueError] | tuple[()] = (),
) -> Iterator[Path]:
    """Write what is made of each photo of `source`, a file or a folder, to its place, by ``write``, and yield the place; the bar
    tells `what` is done.

    Before anything is written, ``ValueError`` is raised if an output would be one of the photos, or of other files that are `read`,
    by whatever path or link. A photo of a folder that ``make`` raises ``ValueError`` for is skipped with a warning, but for one of
    kind `fatal`, with which no other would do better. ``ValueError`` if none is left, ``OSError`` if an output cannot be written.
    """
    folder = source.is_dir()
    inputs = {identity(file): f"{name} {file}" for file, name in {**(read or {}), **dict.fromkeys(outputs, "the source")}.items()}
    for output in outputs.values():
        if output.exists() and (photo := inputs.get(identity(output))):
            raise ValueError(f"{output} would overwrite {photo}")
    written: dict[object, Path] = {}
    for photo in tqdm(outputs, what, unit="photo", delay=1.0, disable=None if folder else True, leave=False):
        output = outputs[photo]
        before = written.get(identity(output)) if output.exists() else None
        # Where upper and lower case are one. Not where another process has replaced the file written before: a new one, of any
        # name, may then have its number.
        if before is not None and identity(outputs[before]) == identity(output):
            raise ValueError(f"{photo} and {before} would both be written to {output}: rename one of them")
        try:
            made = make(photo)
        except ValueError as error:
            if not folder or isinstance(error, fatal):
                raise
            warnings.warn(f"skipped: {error}", stacklevel=2)
            continue
        output.parent.mkdir(parents=True, exist_ok=True)
        write(made, output)
        written[identity(output)] = photo
        yield output
    if not written:
        raise ValueError(f"{source} has no image that can be read")
