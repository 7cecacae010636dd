"""Style transfer by optimising one image, on colour patches in place of VGG19: contextual, Gram and L1 (Mechrez et al. 2018).

    run(None, Path("out"))      # drawn flowers

The pixels of a picture are changed by gradient descent until a loss says that it is like another picture, the style; a content
term, the same for all losses, keeps what it shows: minus the mutual information with the picture that it was. Where the style has
its own flower in another place, L1 draws that flower, and Gram spreads the style's mean statistics; the contextual loss looks for
every patch of the style some place that is like it already.
"""

from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from ..data import hold_out, load_folder
from ..data.garden import garden
from ..kernels import Bins, mutual_information
from ..losses import MutualInformationLoss
from ..plotting import PAGE, TITLE, save, show
from .unaligned import LOSSES, Loss, sliced_distance

PAIRS = 6
SHOWN = 3
RATE = 0.02
STYLE = {"contextual": 1.0, "Gram": 100.0, "L1": 5.0}
"""Weights that bring each loss's gradient to about the size of the content term's at the start."""
CONTENT = 0.5


def run(data: Path | None, out: Path, *, size: int = 64, steps: int = 150, seed: int = 0) -> dict[str, Any]:
    """Give 6 pictures the style of 6 others by each loss, write ``style.png`` to ``out``, and return the numbers.

    ``data`` is a folder of photos, of which 12 are drawn with ``seed``; None draws flowers. Pictures are `size` pixels a side. By
    loss, and for "source", the pictures as they were: ``style`` is the sliced distance of 3 x 3 patches to the style's, in 255ths;
    ``content`` the normalised mutual information with the source's brightness by 16 hard bins, from 0 to 1; means over pictures.
    Raises ``ValueError`` where there are fewer than 13 photos, or sides or steps below 16 or 1.
    """
    for name, value, least in (("size", size, 16), ("steps", steps, 1)):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    sources, styles = _pictures(data, size, seed).split(PAIRS)
    made = {"source": sources, **{name: _transferred(name, loss, sources, styles, steps) for name, loss in LOSSES.items()}}
    out.mkdir(parents=True, exist_ok=True)
    numbers = {name: _measured(images, sources, styles) for name, images in made.items()}
    save(_figure(sources, styles, made, numbers), out / "style.png")
    return numbers


def _pictures(data: Path | None, size: int, seed: int) -> Tensor:
    """(12, 3, size, size) in [0, 1]."""
    if data is None:
        return garden(2 * PAIRS, size, seed).pictures(range(2 * PAIRS))
    photos = load_folder(data, size, minimum=2 * PAIRS + 1, margin=False, recursive=None)
    return hold_out(photos, 2 * PAIRS, seed)[1].pictures(range(2 * PAIRS))


def _transferred(name: str, loss: Loss, sources: Tensor, styles: Tensor, steps: int) -> Tensor:
    """Adam on the logits of all pictures at once, each with its own style."""
    logits = sources.logit(eps=0.02).requires_grad_()
    adam, content = torch.optim.Adam([logits], RATE), MutualInformationLoss(Bins(32, boundary="reflect"))
    for _ in range(steps):
        output = logits.sigmoid()
        style = sum(loss(one, target) for one, target in zip(output.split(1), styles.split(1)))
        kept = content(output.mean(1, keepdim=True), sources.mean(1, keepdim=True))
        adam.zero_grad()
        (STYLE[name] * style + CONTENT * PAIRS * kept).backward()
        adam.step()
    return logits.detach().sigmoid()


def _measured(output: Tensor, source: Tensor, style: Tensor) -> dict[str, float]:
    before, after = (image.mean(1).flatten(1) for image in (source, output))
    content = mutual_information(before, after, Bins(16, window="box")).normalized.mean()
    return {"style": 255 * sliced_distance(output, style).mean().item(), "content": content.item()}


def _figure(sources: Tensor, styles: Tensor, made: dict[str, Tensor], numbers: dict[str, dict[str, float]]) -> Figure:
    figure = Figure(figsize=(PAGE, 3.6))
    grid = figure.add_gridspec(SHOWN, len(made) + 1, left=0.0, right=1, bottom=0.06, top=0.95, wspace=0.04, hspace=0.04)
    for column, (name, images) in enumerate({"source": sources, "style": styles, **made}.items()):
        for row in range(SHOWN):
            axis = figure.add_subplot(grid[row, column])
            show(axis, images[row], name if row == 0 else None)
            if row == SHOWN - 1 and name in numbers:
                told = numbers[name]
                axis.set_xlabel(f"style {told['style']:.0f}, content {told['content']:.2f}", fontsize=TITLE, labelpad=3)
    return figure
