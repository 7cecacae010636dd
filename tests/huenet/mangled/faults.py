"""What is wrong with how a command ended that came upon a mangled file."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

from PIL import Image

from huenet.training import checkpoint
from tests.huenet.forked import Ending
from tests.huenet.mangled.cases import Case

SECONDS = 60
MEMORY = 2 << 30
"""Bytes that a command may map beyond what torch itself does: two copies of the largest photo that is read, 250 megapixels, with
4 bytes for each."""
LIBTIFF = re.compile(r"(tempfile\.tif|\w*(Decode|TIFF|JPEGLib)\w*): ")
"""What libtiff, within Pillow, prints by itself, past Python."""
KINDS = {"checkpoint": "training", "generator": "generator", "translator": "translator"}
"""Of files by their names' beginnings."""
PICTURES = {".png", ".jpg", ".webp", ".tif", ".bmp"}


def snapshot(place: Path) -> dict[Path, bytes]:
    """The content of what a command must not change: everything but the run's own files."""
    return {path: path.read_bytes() for path in place.rglob("*") if is_plain(path) and path.parent.name != "run"}


def is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size < 2**20


def faults(case: Case, ending: Ending, place: Path, before: dict[Path, bytes], mangled: bytes | None) -> list[str]:
    """What is wrong with the ending; `mangled` is the content of the mangled file before, if it is one."""
    lines = ending.errors.splitlines()
    mistakes = [line for line in lines if line.startswith("huenet: error: ")]
    ours = ("huenet: warning: ", "huenet: error: ")
    found = [f"stderr: {line}" for line in lines if not line.startswith(ours) and not LIBTIFF.match(line)]
    if ending.code is None:
        found.append(f"not done after {SECONDS} s")
    elif ending.code not in (0, 2):
        found.append(f"exit code {ending.code}")
    if len(mistakes) != (ending.code == 2):
        found.append(f"{len(mistakes)} lines of errors with exit code {ending.code}")
    if mistakes and not any(name in mistakes[0] for name in case.named):
        found.append(f"the error does not name {case.named[0]}")
    if ending.code == 0:
        found += [f"{name} is not there" for name in case.outputs if not (place / name).is_file()]
    elif mangled is not None and case.mangled.read_bytes() != mangled:
        found.append(f"{case.mangled.name} was changed")
    found += [f"{path} was changed" for path, content in before.items() if not path.exists() or path.read_bytes() != content]
    for path in sorted(set(place.rglob("*"))):
        if path not in case.before and ".partial" in path.name:
            found.append(f"{path.name} is left")
        elif path.is_file() and (path not in case.before or (ending.code == 0 and path.parent.name == "run")):
            found += damage_of(path)
    return found


def damage_of(path: Path) -> list[str]:
    """What is wrong with an output."""
    try:
        if path.suffix in PICTURES:
            with Image.open(path) as image:
                image.load()
        elif path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda name: 1 / 0)
        elif path.name == "metrics.csv":
            with path.open(newline="", encoding="utf-8") as file:
                steps = [int(row["step"]) for row in csv.DictReader(file) if all(map(float, row.values()))]
            assert steps == sorted(set(steps)), f"steps {steps}"
        elif path.suffix == ".safetensors" and path.parent.name in ("run", "out"):
            checkpoint.read(path, next(kind for name, kind in KINDS.items() if path.name.startswith(name)))
    except Exception as error:
        return [f"{path.name}: {type(error).__name__}: {error}"]
    return []
