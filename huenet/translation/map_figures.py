"""Figures of photos and what is made of them, as the papers have: side by side, and values out over values in (SCC's figure 3)."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from ..plotting import PAGE, SMALL, TITLE, label_axes, show
from .map_measures import dependence


def side_by_side(images: Mapping[str, Tensor]) -> Figure:
    """By title, images (N, 3, S, S) in [0, 1]: a column each, and a row for every image."""
    rows, columns = len(next(iter(images.values()))), len(images)
    height, head = PAGE / columns * rows, 0.3  # inches
    figure = Figure(figsize=(PAGE, height + head))
    top = height / (height + head)
    grid = figure.add_gridspec(rows, columns, left=0, right=1, bottom=0, top=top, wspace=0.03, hspace=0.03)
    for column, (title, some) in enumerate(images.items()):
        for row, image in enumerate(some):
            show(figure.add_subplot(grid[row, column]), image, _lines(title) if row == 0 else None)
    return figure


def scatter(photo: Tensor, outputs: Mapping[str, Tensor]) -> Figure:
    """Below each output (3, S, S) of the photo (3, S, S), all its values over the photo's at the same places and channels, and how
    much they depend on them: rSMI, as published, and mutual information in nats."""
    columns = len(outputs) + 1
    figure = Figure(figsize=(PAGE, 2 * PAGE / columns + 0.5))
    grid = figure.add_gridspec(2, columns, left=0, right=1, bottom=0.12, top=0.88, wspace=0.08, hspace=0.3)
    show(figure.add_subplot(grid[0, 0]), photo, "photo")
    for column, (title, output) in enumerate(outputs.items(), 1):
        show(figure.add_subplot(grid[0, column]), output, _lines(title))
        _draw_values(figure.add_subplot(grid[1, column]), photo, output, first=column == 1)
    return figure


def _draw_values(axis: Axes, photo: Tensor, output: Tensor, first: bool) -> None:
    for channel, color in enumerate(("tab:red", "tab:green", "tab:blue")):
        values = (255 * some[channel].flatten() for some in (photo, output))
        axis.plot(*values, ".", color=color, markersize=1, markeredgewidth=0, alpha=0.3, rasterized=True)
    rsmi, mi = dependence(photo.unsqueeze(0), output.unsqueeze(0))
    axis.set(xlim=(0, 255), ylim=(0, 255), xticks=(0, 255), yticks=(0, 255), box_aspect=1)
    label_axes(axis, "value in", "value out" if first else "")
    axis.set_title(f"rSMI {rsmi.item():.4f}\nMI {mi.item():.3f}", fontsize=SMALL, pad=3)
    if not first:
        axis.set_yticklabels([])


def _lines(title: str) -> str:
    return title.replace(" + ", "\n+ ") if len(title) * TITLE > 80 else title
