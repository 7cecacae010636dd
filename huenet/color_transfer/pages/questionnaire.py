"""Real or fake: the questionnaire that the Hue-Net paper asked people (section 3), as a page, with the key to it.

    made = make(painter, photos, count=40, seconds=3.0, seed=0)      # photos: files, of which as many as are needed are read
    (folder / "index.html").write_text(made.page)
    (folder / "key.json").write_text(made.key)

What people answer is scored by `answers`. A page knows pictures by meaningless names only, and its key tells which are real.
"""

import hashlib
import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from ...color import hue_presence, mean_chroma
from ...data import fit, load_image
from ...data.images import at_most
from ...data.photos import seeded_generator
from ..painter import Painter
from .page import data_url, jpeg, render

SIDE = 384
"""Pixels of a picture, which is a square; of a smaller photo as many as it has."""
QUALITY = 90
REAL, FAKE = "real", "fake"


@dataclass(frozen=True)
class Questionnaire:
    """`page`: HTML, in one file. `key`: JSON, the name of the questionnaire and of each picture its truth and its photos."""

    page: str
    key: str


def check(count: int, seconds: float, seed: int) -> None:
    """Raises ``ValueError`` for settings that cannot be."""
    if count < 2 or count % 2:
        raise ValueError(f"count must be an even number of at least 2, half real and half painted, got {count}")
    if not 0.1 <= seconds <= 60:
        raise ValueError(f"seconds must be from 0.1 to 60, got {seconds}")
    seeded_generator(seed)


def make(paint: Painter, photos: Sequence[tuple[str, Path]], count: int, seconds: float, seed: int) -> Questionnaire:
    """`count` pictures, half of them real and half painted, of as many photos: names and files, of which no two are one photo.

    Which photos, their order and what each is painted with, another of the chosen photos, follow from the seed. Real and painted
    ones go the same way: read, cut to a square, reduced to `SIDE` (and then painted, or not), and compressed alike. Files that
    cannot be read, of which a warning tells, copies, and photos without hue, which cannot be painted, are passed over. Raises
    ``ValueError`` as `check`, and where too few photos are left.
    """
    check(count, seconds, seed)
    rng = seeded_generator(seed)
    chosen = _first(_usable([photos[index] for index in rng.permutation(len(photos))]), count)
    if len(chosen) < count:
        some = f"{count} photos with hues, as none is shown twice"
        raise ValueError(f"count {count} needs {some}, got {len(chosen)} that can be used: a smaller --count, or more photos")
    truths = rng.permutation([REAL] * (count // 2) + [FAKE] * (count // 2)).tolist()
    steps = rng.integers(1, count, count)
    names = [rng.bytes(6).hex() for _ in range(count)]
    pictures, key = [], []
    for index in tqdm(range(count), "painting", unit="photo", delay=1.0, disable=None, leave=False):
        (source, image), (target, colors) = chosen[index], chosen[(index + steps[index]) % count]
        fake = truths[index] == FAKE
        shown = paint(image / 255.0, colors / 255.0) if fake else image / 255.0
        pictures.append({"id": names[index], "src": data_url(jpeg(shown, QUALITY))})
        key.append({"id": names[index], "truth": truths[index], "source": source} | ({"target": target} if fake else {}))
    name = hashlib.sha256(json.dumps([seconds, pictures]).encode()).hexdigest()[:16]
    page = render("questionnaire", "Real or fake?", {"questionnaire": name, "seconds": seconds, "pictures": pictures})
    text = json.dumps({"questionnaire": name, "seconds": seconds, "seed": seed, "pictures": key}, indent=1)
    return Questionnaire(page, text + "\n")


def _usable(photos: list[tuple[str, Path]]) -> Iterator[tuple[str, Tensor]]:
    """Names and pictures, uint8 (3, S, S), of those that can be read and have hues; of copies the first."""
    seen = set()
    for name, path in photos:
        try:
            with at_most():
                image = load_image(path, at_least=2 * SIDE)
        except ValueError as error:
            warnings.warn(f"skipped: {error}", stacklevel=3)
            continue
        square = fit(image, min(SIDE, *image.shape[-2:]))
        pixels = hashlib.sha256(square.numpy()).digest()
        if pixels not in seen and hue_presence(mean_chroma(square / 255.0)) == 1:
            seen.add(pixels)
            yield name, square


def _first(usable: Iterator[tuple[str, Tensor]], count: int) -> list[tuple[str, Tensor]]:
    found: list[tuple[str, Tensor]] = []
    with tqdm(total=count, desc="photos", delay=1.0, disable=None, leave=False) as progress:
        for photo in usable:
            found.append(photo)
            progress.update()
            if len(found) == count:
                break
    return found
