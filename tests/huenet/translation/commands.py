"""`huenet translate train` as the tests say it."""

from __future__ import annotations

import shlex
from pathlib import Path

OPTIONS = shlex.split(
    "--size 16 --width 4 --blocks 1 --discriminator-width 4 --discriminator-depth 1 --batch-size 2 --schedule constant "
    "--device cpu --no-progress --log-every 1"
)


def train(place: Path, out: str, *options: str) -> list[str]:
    folders = ["--a", str(place / "a"), "--b", str(place / "b"), "--out", str(place / out)]
    return ["translate", "train", *folders, *OPTIONS, *options]
