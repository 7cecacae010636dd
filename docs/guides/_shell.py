"""Commands in guides: `sh("huenet ...")` runs one in a folder of its own and prints what a terminal would show."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
#: by this interpreter, so that nothing need be on PATH
PROGRAMS = {"huenet": ["-m", "huenet"], "torchrun": ["-m", "torch.distributed.run"]}
#: where a guide works; thrown away when it ends
_WORKPLACE = tempfile.TemporaryDirectory()
FOLDER = Path(_WORKPLACE.name)


def sh(command: str) -> None:
    """Run a command. Raises RuntimeError with what it says where it fails."""
    program, *arguments = shlex.split(command)
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "COLUMNS": "88", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    line = [sys.executable, *PROGRAMS[program], *arguments]
    run = subprocess.run(line, cwd=FOLDER, env=environment, capture_output=True, encoding="utf-8")
    if run.returncode:
        raise RuntimeError(f"{command}\n{run.stderr}")
    print(run.stdout.rstrip(), *(line for line in run.stderr.splitlines() if line.startswith("huenet: ")), sep="\n")


def write(name: str, text: str) -> None:
    """A text file of the folder, such as a script to be run by `sh`."""
    (FOLDER / name).write_text(text, encoding="utf-8")


def photos(folder: str, *names: str, count: int = 8, side: int = 192) -> Path:
    """A folder of squares cut out of scikit-image's photos of these names, ``count`` of each."""
    import numpy
    from PIL import Image
    from skimage import data

    path = FOLDER / folder
    path.mkdir()
    for name in names:
        picture, random = getattr(data, name)(), numpy.random.default_rng(0)
        for number in range(count):
            top, left = (random.integers(0, size - side) for size in picture.shape[:2])
            Image.fromarray(picture[top : top + side, left : left + side]).save(path / f"{name}-{number}.png")
    return path


def photo(name: str) -> str:
    """One of scikit-image's photos, in the folder as NAME.png; returns the file's name."""
    from PIL import Image
    from skimage import data

    Image.fromarray(getattr(data, name)()).save(FOLDER / f"{name}.png")
    return f"{name}.png"


def show(*files: str, title: str) -> None:
    """Draw pictures of the folder beside each other, with their names."""
    import matplotlib.pyplot as plt
    from PIL import Image

    pictures = [Image.open(FOLDER / file).convert("RGB") for file in files]
    shapes = [picture.width / picture.height for picture in pictures]
    height = min(9 / sum(shapes), 3)
    size = (height * sum(shapes), height + 0.3)
    _, axes = plt.subplots(
        1, len(files), figsize=size, width_ratios=shapes, layout="constrained", num=title, dpi=200, squeeze=False
    )
    for ax, file, picture in zip(axes[0], files, pictures):
        ax.imshow(picture)
        ax.set_title(file, fontsize=9)
        ax.axis("off")
