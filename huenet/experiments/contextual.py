"""How losses see a photo that has moved: the contextual loss against L1 and L2.

Of every photo a window is compared with the same window some pixels further to the right, so that what leaves on one side and comes
in on the other is real. Pixels are means of 2 x 2 of the photo's, so that shifts by half a pixel are real too. They are the harder
case: no patch is quite what it was, while after whole pixels most are still there. Losses are in units of their mean for windows of
unrelated photos: 1 is "another picture altogether".
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import avg_pool2d

from ..data import hold_out, load_folder
from ..losses import ContextualLoss, Patches
from ..plotting import COLUMN, TITLE, label_axes, save, show

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "contextual": ContextualLoss(Patches(size=5, stride=1)),
    "L1": lambda output, target: (output - target).abs().mean(),
    "L2": lambda output, target: (output - target).square().mean().sqrt(),
}
#: shift in pixels at which the losses are told by a number
QUOTED = 4.5


def run(
    data: Path,
    out: Path,
    *,
    photos: int = 16,
    side: int = 48,
    shifts: Sequence[float] = (0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 6, 6.5, 8, 8.5, 12, 12.5, 16, 16.5),
    seed: int = 0,
) -> dict[str, object]:
    """Compare shifted windows of `photos` photos of the folder `data`, drawn with `seed`, and write ``contextual.png`` to `out`.

    Windows are `side` pixels wide, `shifts` ascending multiples of 1/2. Returns ``shifts``; ``losses``, by name the mean over
    photos for every shift, relative to ``unrelated``, the raw loss of unrelated photos; and ``quoted``, by name the relative loss
    at `QUOTED` pixels. Raises ``ValueError`` where there are too few photos (4) or pixels, or `QUOTED` is not among the shifts.
    """
    if photos < 4 or QUOTED not in shifts:
        raise ValueError(f"photos must be at least 4 and shifts contain {QUOTED}, got {photos} and {list(shifts)}")
    shifts, quoted = list(shifts), list(shifts).index(QUOTED)
    size = 2 * side + round(2 * max(shifts))
    loaded = load_folder(data, size, minimum=photos + 1, margin=False, recursive=None)
    pictures = hold_out(loaded, photos, seed)[1].pictures(range(photos))
    rows = pictures.narrow(-2, (size - 2 * side) // 2, 2 * side)
    target, *shifted = (avg_pool2d(rows.narrow(-1, round(2 * shift), 2 * side), 2) for shift in (0, *shifts))
    # every photo with the following three, around the circle
    unrelated = torch.stack([_each(target.roll(turn, 0), target) for turn in (1, 2, 3)]).mean((0, 2))
    relative = torch.stack([_each(window, target) for window in shifted], -1) / unrelated[:, None, None]  # (loss, photo, shift)
    out.mkdir(parents=True, exist_ok=True)
    save(_figure(relative, shifts, target[0], shifted[quoted][0], target[1]), out / "contextual.png")
    means = relative.mean(1)
    return {
        "shifts": shifts,
        "losses": {name: mean.tolist() for name, mean in zip(LOSSES, means)},
        "unrelated": dict(zip(LOSSES, unrelated.tolist())),
        "quoted": {name: mean[quoted].item() for name, mean in zip(LOSSES, means)},
    }


def _each(output: Tensor, target: Tensor) -> Tensor:
    """Every loss of every pair of images, (loss, photo)."""
    with torch.no_grad():
        pairs = list(zip(output.split(1), target.split(1)))
        return torch.stack([torch.stack([loss(*pair) for pair in pairs]) for loss in LOSSES.values()])


def _figure(relative: Tensor, shifts: list[float], target: Tensor, moved: Tensor, other: Tensor) -> Figure:
    """Curves of the means with the middle half of the photos, above them a window, the same moved, and an unrelated one."""
    figure = Figure(figsize=(COLUMN, 3.3))
    grid = figure.add_gridspec(2, 3, height_ratios=(1, 2.1), left=0.13, right=0.99, bottom=0.11, top=0.94, hspace=0.12, wspace=0.06)
    for column, (image, title) in enumerate(((target, "window"), (moved, f"moved {QUOTED} pixels"), (other, "unrelated: 1"))):
        show(figure.add_subplot(grid[0, column]), image, title)
    axis = figure.add_subplot(grid[1, :])
    axis.axhline(1, color="0.6", linewidth=0.6, linestyle="--")
    along, whole = torch.tensor(shifts), torch.tensor([shift == round(shift) for shift in shifts])
    for name, curves, color in zip(LOSSES, relative, ("tab:red", "tab:blue", "tab:green")):
        low, high = torch.quantile(curves, torch.tensor([0.25, 0.75]), 0)
        # patches tell whole pixels from half ones
        parts = {"": whole | ~whole} if name != "contextual" else {", whole pixels": whole, ", half pixels": ~whole}
        for (label, of), style in zip(parts.items(), ("-", ":")):
            mean = curves.mean(0)[of]
            axis.fill_between(along[of], low[of], high[of], color=color, alpha=0.15, linewidth=0)
            axis.plot(along[of], mean, style, color=color, linewidth=1.2, marker=".", markersize=3)
            below = name == "L1"  # the two others are apart from what lies above
            place = {"ha": "right", "va": "top" if below else "bottom"}
            axis.text(along[of][-2], mean[-2] + (-0.03 if below else 0.02), name + label, color=color, fontsize=TITLE, **place)
    axis.set(xlim=(0, shifts[-1]), ylim=(0, 1.05))
    label_axes(axis, "shift in pixels", "loss / that of an unrelated photo", size=TITLE, line=0.8)
    return figure
