"""What all figures share: the widths of a paper, font sizes, pictures without axes, captions, saving.

Figures are matplotlib's, 3.3 inches wide (a column of a two-column paper) or 6.9 (a page). Nothing touches pyplot, so they work in
any thread without a display.
"""

import os

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from .files import replacing

COLUMN, PAGE = 3.3, 6.9  # inches
TITLE, SMALL = 7, 6  # points


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write `figure` at 300 dots per inch; the suffix (.png, .pdf, .svg) tells the format."""
    # TrueType: publishers refuse matplotlib's default, Type 3
    with rc_context({"pdf.fonttype": 42}), replacing(path) as temporary:
        figure.savefig(temporary, dpi=300, bbox_inches="tight", pad_inches=0.02)


def show(axis: Axes, image: Tensor, title: str | None = None) -> None:
    """An RGB image (3, H, W) in [0, 1] without an axis around it."""
    axis.imshow(image.permute(1, 2, 0).numpy())
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    if title:
        axis.set_title(title, fontsize=TITLE, pad=3)


def label_axes(axis: Axes, along: str, up: str, *, size: float = SMALL, line: float = 0.5) -> None:
    """What is drawn along both axes, in letters of `size` points, and thin lines, of `line` points, on these sides alone."""
    axis.set_xlabel(along, fontsize=size, labelpad=2)
    axis.set_ylabel(up, fontsize=size, labelpad=2)
    axis.tick_params(labelsize=SMALL, width=0.5, length=2)
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_linewidth(line)
