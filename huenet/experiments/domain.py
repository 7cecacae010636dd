"""An unpaired domain transfer by a loss alone, without discriminators: contextual, Gram and L1 (after Mechrez et al. 2018).

    run(None, Path("out"))      # drawn flowers

Two sets of flowers, of which none is in both: in one they have faded, in the other they are fresh. A small network learns to make
faded ones fresh. As there are no pairs, each faded picture is given a fresh one of another flower, with other petals in other
places, and what a loss makes of such a target is the question. Targets are given in three ways: at random; so that the contextual
losses of all faded pictures and their targets are least in sum; and to each the one whose colours, brought to the same means and
deviations, are distributed most alike, which is none of the losses. Only for the measuring the truth is known: what held-out
flowers looked like before they faded.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from ..data import hold_out, load_folder
from ..data.garden import garden
from ..plotting import PAGE, SMALL, TITLE, label_axes, save, show
from .unaligned import LOSSES, Loss, sorted_projections

HELD_OUT, BATCH, RATE = 16, 4, 2e-3
SHOWN = 3
_COLORS = {"contextual": "tab:red", "Gram": "tab:purple", "L1": "tab:blue"}


def run(data: Path | None, out: Path, *, pictures: int = 144, size: int = 48, steps: int = 200, seed: int = 0) -> dict[str, Any]:
    """Train with each loss and each way of giving targets, write ``domain.png`` to ``out``, and return the numbers.

    ``data`` is a folder of photos, of which `pictures` are taken; None draws a garden. Pictures are `size` pixels a side, 16 of
    them held out. Numbers are root mean square errors of held-out pictures to what they were before they faded, in 255ths, the mean
    over pictures: ``faded``, of the pictures as they are; ``truth``, of a network that is trained with L1 on the true pictures,
    which is what this network could do; and in ``targets`` by way, and by loss, of those that are trained unpaired. Raises
    ``ValueError`` where there are fewer than 24 pictures, or sides or steps below 16 or 10.
    """
    for name, value, least in (("pictures", pictures, HELD_OUT + 2 * BATCH), ("size", size, 16), ("steps", steps, 10)):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    known, truth = _pictures(data, pictures, size, seed)
    before, fresh = known[: len(known) // 2], known[len(known) // 2 :]
    faded = fade(before)
    train = lambda loss, targets: _trained(loss, faded, targets, fade(truth), steps, seed)  # noqa: E731
    found = {way: {name: train(loss, fresh[give(faded, fresh)]) for name, loss in LOSSES.items()} for way, give in TARGETS.items()}
    best = train(LOSSES["L1"], before)
    out.mkdir(parents=True, exist_ok=True)
    errors = {way: {name: _error(output, truth) for name, output in outputs.items()} for way, outputs in found.items()}
    save(_figure(truth, found["contextual"], errors, _error(best, truth)), out / "domain.png")
    return {"faded": _error(fade(truth), truth), "truth": _error(best, truth), "targets": errors}


def fade(image: Tensor) -> Tensor:
    """What light leaves of a print: half of the saturation, half of the contrast, and yellow paper; (B, 3, H, W) in [0, 1]."""
    dull = (image + image.mean(1, keepdim=True)) / 2
    return 0.35 + 0.5 * dull * torch.tensor([1.0, 0.92, 0.75]).view(3, 1, 1)


def _pictures(data: Path | None, pictures: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """(N, 3, size, size) in [0, 1], to train with, an even number of them, and held out."""
    if data is None:
        photos = garden(pictures, size, seed)
    else:
        photos = load_folder(data, size, minimum=HELD_OUT + 2 * BATCH, margin=False, recursive=None)
        photos = photos.subset(range(min(pictures, len(photos))))
    known, unseen = (part.pictures(range(len(part))) for part in hold_out(photos, HELD_OUT, seed))
    return known[: len(known) // 2 * 2], unseen


@torch.no_grad()
def _by_loss(faded: Tensor, fresh: Tensor) -> Tensor:
    """Every target once, so that the contextual losses of all are least in sum."""
    losses = [[LOSSES["contextual"](old, new).item() for new in fresh.split(1)] for old in faded.split(1)]
    return torch.as_tensor(linear_sum_assignment(losses)[1])


def _by_colors(faded: Tensor, fresh: Tensor) -> Tensor:
    """The target whose colours, standardised over its set, are nearest by the sliced distance."""
    standard = lambda x: (x - x.mean((0, 2, 3), keepdim=True)) / x.std((0, 2, 3), keepdim=True)  # noqa: E731
    old, new = (sorted_projections(standard(images)).flatten(1) for images in (faded, fresh))
    return torch.cdist(old, new).argmin(1)


TARGETS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "at random": lambda faded, fresh: torch.arange(len(faded)),  # both sets are drawn
    "colours": _by_colors,
    "contextual": _by_loss,
}
"""Which fresh picture each faded one is given: indices (N,)."""


def _trained(loss: Loss, faded: Tensor, targets: Tensor, unseen: Tensor, steps: int, seed: int) -> Tensor:
    """Held-out pictures as a network makes them fresh that was trained with this loss."""
    random = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Restore()
    adam = torch.optim.Adam(network.parameters(), RATE)
    for _ in range(steps):
        chosen = torch.randint(len(faded), (BATCH,), generator=random)
        value = loss(network(faded[chosen]), targets[chosen])
        adam.zero_grad()
        value.backward()
        adam.step()
    with torch.no_grad():
        return network(unseen)


class Restore(nn.Module):
    """Changes each pixel's logits by what is in the 3 x 3 pixels around it; (B, 3, H, W) in [0, 1] -> the same."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        around = nn.Conv2d(width, width, 3, padding=1, padding_mode="reflect")
        layers = nn.Conv2d(3, width, 1), around, nn.Conv2d(width, width, 1)
        self.layers = nn.Sequential(*(part for layer in layers for part in (layer, nn.LeakyReLU(0.2))), nn.Conv2d(width, 3, 1))

    def forward(self, image: Tensor) -> Tensor:
        return (image.logit(eps=0.02) + self.layers(image)).sigmoid()


def _error(output: Tensor, truth: Tensor) -> float:
    return 255 * (output - truth).square().mean((1, 2, 3)).sqrt().mean().item()


def _figure(truth: Tensor, outputs: dict[str, Tensor], errors: dict[str, dict[str, float]], best: float) -> Figure:
    """Held-out pictures, faded, made fresh by each loss with targets given by the contextual loss, and true; and all errors."""
    figure = Figure(figsize=(PAGE, 2.1))
    rows = {"faded": fade(truth), **outputs, "truth": truth}
    grid = figure.add_gridspec(SHOWN, len(rows), left=0.0, right=0.66, bottom=0.02, top=0.92, wspace=0.04, hspace=0.04)
    for column, (name, images) in enumerate(rows.items()):
        for row in range(SHOWN):
            show(figure.add_subplot(grid[row, column]), images[row], name if row == 0 else None)
    axis = figure.add_subplot(figure.add_gridspec(1, 1, left=0.73, right=0.995, bottom=0.17, top=0.92)[0])
    _draw_errors(axis, errors, _error(fade(truth), truth), best)
    return figure


def _draw_errors(axis: Axes, errors: dict[str, dict[str, float]], faded: float, best: float) -> None:
    for number, (name, color) in enumerate(_COLORS.items()):
        places = [place + 0.27 * (number - 1) for place in range(len(errors))]
        axis.bar(places, [by_loss[name] for by_loss in errors.values()], 0.25, color=color, label=name)
    for height, name in ((faded, "faded"), (best, "trained on the truth")):
        axis.axhline(height, color="black", linewidth=0.5, linestyle="--")
        paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.8}  # bars stand behind it
        axis.text(len(errors) - 0.5, height + 1, name, fontsize=SMALL, ha="right", va="bottom", bbox=paper)
    axis.set_xticks(range(len(errors)), list(errors))
    axis.set_ylim(0, 1.35 * max(faded, *(value for by_loss in errors.values() for value in by_loss.values())))
    axis.legend(fontsize=SMALL, frameon=False, ncols=3, loc="upper center", handlelength=1, columnspacing=1)
    axis.set_title("RMSE of 16 held-out pictures", fontsize=TITLE, pad=3)
    label_axes(axis, "targets given by", "255ths")
