"""A figure of what every row of the table makes of the same digits: accuracies tell what is read, this tells what it looks like."""

from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from ..data.images import load_image
from ..plotting import PAGE, SMALL, TITLE, show
from .config import DIRECTIONS, Direction
from .digit_trials import LOOK_OF, SHOWN, TITLES, Row
from .digits import Digits
from .networks import source_of, target_of

LEFT = 0.2
"""Of the figure's width, for the names of rows."""


def translations(digits: Digits, rows: Sequence[Row]) -> Figure:
    """For each direction: test digits, what each row makes of them with its first seed, and the same digits in its look."""
    panels = {direction: _strips(digits, rows, direction) for direction in DIRECTIONS}
    lines = sum(len(strips) + 1 for strips in panels.values())  # one for each title
    figure = Figure(figsize=(PAGE, lines * PAGE * (1 - LEFT) / SHOWN))
    places = iter(figure.add_gridspec(lines, 1, left=LEFT, right=1, bottom=0, top=1, hspace=0.06))
    for direction, strips in panels.items():
        title = figure.add_subplot(next(places))
        title.set_axis_off()
        title.text(0, 0.2, TITLES[direction], fontsize=TITLE, transform=title.transAxes)
        for name, strip in strips:
            axis = figure.add_subplot(next(places))
            show(axis, strip)
            axis.set_ylabel(name, fontsize=SMALL, rotation=0, ha="right", va="center", labelpad=4)
    return figure


def _strips(digits: Digits, rows: Sequence[Row], direction: Direction) -> list[tuple[str, Tensor]]:
    """By name, the source's digits, those of all rows that have this direction, and the target's: (3, S, SHOWN * S) in [0, 1]."""
    source, target = (_strip(digits.test[LOOK_OF[side(direction)]][:SHOWN]) for side in (source_of, target_of))
    made = [(row.name, row.pictures(direction)) for row in rows]
    strips = [(name, _strip([load_image(path) for path in paths])) for name, paths in made if paths]
    return [("source", source), *strips, ("target", target)]


def _strip(images: Sequence[Tensor] | Tensor) -> Tensor:
    return torch.cat([image.expand(3, -1, -1) for image in images], -1).float() / 255
