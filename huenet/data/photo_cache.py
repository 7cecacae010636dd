"""Photos as squares in a file that is mapped into memory, for folders larger than that.

    CACHE/squares-<side>.uint8   one square (3, side, side) after another, in the order in which they were decoded
    CACHE/squares-<side>.jsonl   a line for each: name, bytes, time of change and SHA-256 of its file, and the square's place

Both only grow: a photo that has changed gets a new square and a new line, and the last line of a name counts. So a killed build
goes on where it was, what other processes have mapped never changes, and what a kill leaves of a line or a square is cut off.
"""

import hashlib
import json
import mmap
import os
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor
from tqdm import tqdm

from ..files import must_be_a_file
from .images import at_most, find_images
from .photos import Mapping, Photos, load_square, side_of, too_few

AT_ONCE = 256
"""Photos that are decoded before their lines are written: the memory that decoding takes."""


def cached_folder(
    folder: str | os.PathLike[str],
    size: int,
    cache: str | os.PathLike[str],
    minimum: int = 2,
    margin: bool = True,
    recursive: bool | None = False,
) -> Photos:
    """The photos of `load_folder`, the same squares of the same names in the same order, in the folder `cache` instead of memory.

    Decoded are those that the cache lacks, or whose files have changed since. Processes that ask for one cache at once wait for the
    first, which makes it. Raises as `load_folder`, and ``OSError`` if the cache cannot be written.
    """
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    paths, place = find_images(folder, recursive), Path(cache)
    place.mkdir(parents=True, exist_ok=True)
    side = side_of(size, margin)
    # What memory has no room for is told of here: decoding that much would end the process.
    torch.empty(min(len(paths), AT_ONCE), 3, side, side, dtype=torch.uint8)
    with FileLock(place / ".lock"):
        squares = _Squares(place, side)
        lines = squares.brought_up_to_date({_key(path): path for path in paths})
    failures = [line["error"] for line in lines if "error" in line]
    for failure in failures:
        warnings.warn(f"skipped: {failure}", stacklevel=2)
    found = [(path, line["place"]) for path, line in zip(paths, lines) if "place" in line]
    if len(found) < minimum:
        raise ValueError(too_few(folder, len(found), minimum, failures))
    names = tuple(path.relative_to(folder).as_posix() for path, _ in found)
    file = squares.pixels.open("rb", buffering=0)
    return Photos(_mapped(file, side), names, size, Mapping(file, np.array([at for _, at in found])))


def _key(path: Path) -> str:
    """By the whole path, as folders share caches."""
    return os.path.abspath(path)


class _Squares:
    """The two files, while nobody else writes them."""

    def __init__(self, place: Path, side: int) -> None:
        self.pixels, self.index, self.side = place / f"squares-{side}.uint8", place / f"squares-{side}.jsonl", side
        for path in (self.pixels, self.index):
            path.touch()
            must_be_a_file(path)
        self.bytes = 3 * side * side
        stored = self.pixels.stat().st_size // self.bytes
        self.lines: dict[str, dict[str, Any]] = {}
        self.count = complete = 0
        for text in self._complete_lines():
            line = _parsed(text)
            if line is None or line.get("place", 0) >= stored:  # of a power cut, or of another hand: from there on anew
                break
            self.lines[line["name"]] = line
            # of earlier lines of a name too: somebody may have mapped their squares
            self.count = max(self.count, line.get("place", -1) + 1)
            complete += len(text)
        os.truncate(self.index, complete)
        os.truncate(self.pixels, self.count * self.bytes)

    def _complete_lines(self) -> Iterator[bytes]:
        with self.index.open("rb") as file:
            yield from (line for line in file if line.endswith(b"\n"))

    def brought_up_to_date(self, paths: dict[str, Path]) -> list[dict[str, Any]]:
        """The lines of the photos, in order, once there is one of each photo as it is now."""
        late = [name for name, path in paths.items() if not self._is_current(name, path)]
        if late:
            self._decode(late, paths)
        return [self.lines[name] for name in paths]

    def _is_current(self, name: str, path: Path) -> bool:
        line, status = self.lines.get(name), path.stat()
        return line is not None and (line["bytes"], line["changed"]) == (status.st_size, status.st_mtime_ns)

    def _decode(self, names: list[str], paths: dict[str, Path]) -> None:
        bar = tqdm(desc="photos", total=len(names), delay=1.0, disable=None, leave=False)
        with bar, at_most(), ThreadPoolExecutor() as pool, self.pixels.open("ab") as pixels, self.index.open("ab") as index:
            for first in range(0, len(names), AT_ONCE):
                some = names[first : first + AT_ONCE]
                written = []
                for name, (line, square) in zip(some, pool.map(lambda name: self._read(name, paths[name]), some)):
                    if square is not None:
                        line["place"] = self.count
                        self.count += 1
                        pixels.write(square)
                    self.lines[name] = line
                    written.append(json.dumps(line).encode() + b"\n")
                    bar.update()
                pixels.flush()  # squares before the lines that promise them
                index.write(b"".join(written))
                index.flush()
            os.fsync(pixels.fileno())
            os.fsync(index.fileno())

    def _read(self, name: str, path: Path) -> tuple[dict[str, Any], bytes | None]:
        """A photo's line and its square; None where it has one already, or none can be made."""
        status = path.stat()
        line: dict[str, Any] = {"name": name, "bytes": status.st_size, "changed": status.st_mtime_ns}
        try:
            line["digest"] = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            return {**line, "error": f"{path}: {error.strerror}"}, None
        before = self.lines.get(name)
        if before is not None and before.get("digest") == line["digest"] and "place" in before:
            return {**line, "place": before["place"]}, None  # touched, or copied, but the same
        square = load_square(path, self.side)
        if isinstance(square, ValueError):
            return {**line, "error": str(square)}, None
        return line, square.contiguous().numpy().tobytes()


def _parsed(text: bytes) -> dict[str, Any] | None:
    """A line of the index; None if it is none."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    kinds = {"name": str, "bytes": int, "changed": int}
    known = isinstance(line, dict) and all(type(line.get(key)) is kind for key, kind in kinds.items())
    place = line.get("place") if known else None
    told = known and (isinstance(line.get("error"), str) if place is None else type(place) is int and place >= 0)
    return line if told else None


def _mapped(file: FileIO, side: int) -> Tensor:
    """The file's squares as a tensor that is the file: reading it brings pages in, and nothing writes to it."""
    # "copy" for a tensor that may be written to, which torch asks for
    memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    bytes_each = 3 * side * side
    flat = np.frombuffer(memory, np.uint8, len(memory) // bytes_each * bytes_each)
    return torch.from_numpy(flat).view(-1, 3, side, side)
