"""`python -m bench photos`: a set of photos larger than one wants in memory, from a file that is mapped into it, and from memory.

Some drawn pictures, shifted, are written as so many files in subfolders; `huenet.data.cached_folder` decodes them into a cache,
and pairs are drawn from there and, in turn, from what `load_folder` keeps in memory. Peaks are of the process's memory beyond what
it held before, pages of the mapped file included; times are CPU time, as the machine may do other things.
"""

import math
import statistics
import tempfile
import time
from pathlib import Path

import torch
from PIL import Image
from tqdm import tqdm

from huenet.data import LOAD_RATIO, PairStream, Photos, cached_folder, load_folder
from huenet.data.garden import garden

from . import tables
from .memory import with_peak

DRAWN = 50
PER_FOLDER = 1000


def report(count: int, size: int, batch: int, batches: int) -> str:
    """A table of what it takes. Needs room for twice the photos in the folder for temporary files."""
    with tempfile.TemporaryDirectory(prefix="huenet-photos-") as place:
        folder, cache = Path(place) / "photos", Path(place) / "cache"
        _write(folder, count, size)
        start = time.process_time()
        stored, building = with_peak(lambda: cached_folder(folder, size, cache, recursive=True))
        built = time.process_time() - start
        digest, reading = with_peak(stored.digest)
        stream, drawing = with_peak(lambda: _drawn(stored, batch, batches))
        loaded, loading = with_peak(lambda: load_folder(folder, size, recursive=True))
        if loaded.digest() != digest:
            raise RuntimeError("photos from the cache are not those from memory")
        times: dict[str, list[float]] = {"cache": [], "memory": []}
        other = PairStream(loaded, batch, seed=0)
        for step in range(batches, 2 * batches):
            for name, source in (("cache", stream), ("memory", other)):
                start = time.process_time()
                source.batch(step)
                times[name].append(time.process_time() - start)
    medians = {name: tables.duration(statistics.median(some)) for name, some in times.items()}
    rows = [
        ["decoding into the cache", tables.memory(building), f"{1e3 * built / count:.2f} ms a photo"],
        ["its digest", tables.memory(reading), ""],
        [f"{batches} batches from it", tables.memory(drawing), f"{medians['cache']} a batch"],
        ["decoding into memory, and batches", tables.memory(loading), f"{medians['memory']} a batch"],
    ]
    title = f"{count:,} photos of {size} x {size}, {count * stored.images[0].numel() / 1e9:.2f} GB; batches of {batch} pairs"
    return "\n\n".join([tables.markdown(["what", "peak memory", "CPU time, median"], rows), title])


def _drawn(photos: Photos, batch: int, batches: int) -> PairStream:
    stream = PairStream(photos, batch, seed=0)
    for step in range(batches):
        stream.batch(step)
    return stream


def _write(folder: Path, count: int, size: int) -> None:
    side = math.ceil(size * LOAD_RATIO)
    drawn = garden(DRAWN, side, seed=0).images
    for number in tqdm(range(count), "writing photos", disable=None, leave=False):
        place = folder / f"{number // PER_FOLDER:04d}"
        if number % PER_FOLDER == 0:
            place.mkdir(parents=True)
        shift = divmod(number // DRAWN, side)
        picture = torch.roll(drawn[number % DRAWN], shift, (1, 2)).permute(1, 2, 0)
        Image.fromarray(picture.contiguous().numpy()).save(place / f"{number:06d}.ppm")
