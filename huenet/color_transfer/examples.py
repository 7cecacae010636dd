"""Three free photos painted with the model in the package: what `huenet demo` shows first.

The photos come with scikit-image. Coffee: Rachel Michetti, CC0. Cat: Stéfan van der Walt, CC0. Rocket: SpaceX, public domain. The
flower is drawn.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from ..data.garden import garden
from ..data.picture import save as save_picture
from ..plotting import PAGE, SMALL, TITLE, save
from .painter import Painter

PAIRS = (("coffee", "rocket"), ("rocket", "coffee"), ("chelsea", "flower"))
"""Source and target."""
CREDITS = "Coffee: Rachel Michetti, CC0. Cat: Stéfan van der Walt, CC0. Rocket: SpaceX, public domain. The flower is drawn."
FLOWER = 3, 1
"""Seed of the garden, and which of its pictures: a yellow one."""


def paint_examples(out: Path) -> list[Path]:
    """Paint `PAIRS` into the folder ``out``, each photo at full size; returns what was written, last a sheet of all of them."""
    paint = Painter.load()
    rows, written = [], []
    for source, target in PAIRS:
        source_photo, target_photo = _photo(source), _photo(target)
        rows.append((source_photo, target_photo, paint(source_photo, target_photo)))
        written.append(out / f"{source}_like_{target}.png")
        save_picture(rows[-1][-1], written[-1])
    written.append(out / "photos.jpg")
    save(_sheet(rows), written[-1])
    return written


def _photo(name: str) -> Image.Image:
    if name == "flower":
        seed, index = FLOWER
        return Image.fromarray(garden(index + 1, 256, seed).images[index].permute(1, 2, 0).numpy())
    from skimage import data

    return Image.fromarray(getattr(data, name)())


def _sheet(rows: list[tuple[Image.Image, ...]]) -> Figure:
    """A column for each pair, the painted photo below source and target."""
    figure = Figure(figsize=(PAGE, 0.42 * PAGE))
    columns = figure.subfigures(1, len(rows), wspace=0.0)
    for column, (source, target, painted) in zip(columns, rows):
        grid = {"left": 0.01, "right": 0.99, "bottom": 0.0, "top": 0.94, "wspace": 0.02, "hspace": 0.03}
        axes = column.subplot_mosaic([["source", "target"], ["painted", "painted"]], height_ratios=(1, 2), gridspec_kw=grid)
        for name, picture in {"source": source, "target": target, "painted": painted}.items():
            axes[name].imshow(_cropped(np.asarray(picture)))
            axes[name].set_axis_off()
            if name != "painted":
                axes[name].set_title(name, fontsize=TITLE, pad=2)
    figure.text(0.01, -0.01, CREDITS, fontsize=SMALL, va="top")
    return figure


def _cropped(pixels: np.ndarray) -> np.ndarray:
    """The middle, 4 : 3."""
    height, width = pixels.shape[:2]
    if width * 3 > height * 4:
        left = (width - height * 4 // 3) // 2
        return pixels[:, left : left + height * 4 // 3]
    top = (height - width * 3 // 4) // 2
    return pixels[top : top + width * 3 // 4]
