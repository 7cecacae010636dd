"""What all figures share: the widths of a paper, font sizes, pictures without axes, captions, saving; and grids of samples.

Figures are matplotlib's, 3.3 inches wide (a column of a two-column paper) or 6.9 (a page). Nothing touches pyplot, so they work in
any thread without a display.
"""

import os

import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor
from torch.nn.functional import pad

COLUMN, PAGE = 3.3, 6.9  # inches
TITLE, SMALL = 7, 6  # points


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write `figure` at 300 dots per inch; the suffix (.png, .pdf, .svg) tells the format."""
    with rc_context({"pdf.fonttype": 42}):  # TrueType: publishers refuse matplotlib's default, Type 3
        figure.savefig(path, dpi=300, bbox_inches="tight", pad_inches=0.02)


def show(axis: Axes, image: Tensor, title: str | None = None) -> None:
    """An RGB image (3, H, W) in [0, 1] without an axis around it."""
    axis.imshow(image.permute(1, 2, 0).numpy())
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    if title:
        axis.set_title(title, fontsize=TITLE, pad=3)


def label_axes(axis: Axes, along: str, up: str) -> None:
    """What is drawn along both axes, and thin lines on these sides alone."""
    axis.set_xlabel(along, fontsize=SMALL, labelpad=2)
    axis.set_ylabel(up, fontsize=SMALL, labelpad=2)
    axis.tick_params(labelsize=SMALL, width=0.5, length=2)
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_linewidth(0.5)


def sample_grid(*roles: Tensor, columns: int = 8) -> Image.Image:
    """Batches (B, 3, H, W) as one picture: `columns` samples abreast, the roles of each (say source, target, output) downwards."""
    stacked = torch.stack([as_batch(images) for images in roles])
    stacked = pad(stacked, (1, 1, 1, 1), value=1.0)
    columns = min(columns, stacked.shape[1])
    stacked = pad(stacked, (0, 0) * 3 + (0, -stacked.shape[1] % columns), value=1.0)
    strips = stacked.unflatten(1, (-1, columns))  # (role, strip, column, channel, H, W)
    picture = strips.permute(3, 1, 0, 4, 2, 5).flatten(4, 5).flatten(1, 3)
    return Image.fromarray((picture * 255.0).round().byte().permute(1, 2, 0).numpy())


def as_batch(image: Tensor) -> Tensor:
    """RGB (3, H, W) or (B, 3, H, W) of any device as float32 (B, 3, H, W) in [0, 1] on the CPU."""
    image = image.detach().cpu().float().clamp(0.0, 1.0)
    return image if image.ndim == 4 else image[None]
