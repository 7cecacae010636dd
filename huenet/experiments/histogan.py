"""A small generator learns to give a picture another one's colours, from HistoGAN's loss alone and what keeps the picture itself.

    run(None, Path("out"))      # drawn flowers

A U-Net is told the target's RGB-uv histogram and changes each pixel's logits. It is trained with the Hellinger distance of its
output's histogram to the target's, and with the change of brightness, so that what is seen stays. There is no discriminator and no
pair to learn from. What is reported is of pictures and targets that training has not seen.
"""

from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from ..compat.histogan import RGBuvHistBlock, hellinger_loss
from ..data import Photos, hold_out, load_folder
from ..data.garden import garden
from ..networks import UNet
from ..plotting import PAGE, SMALL, TITLE, label_axes, save, show

BINS, SIGMA = 32, 0.1  # half a bin: narrower windows, as HistoGAN's of 0.02, see only near colours and learn more slowly
HELD_OUT, BATCH, RATE = 16, 4, 4e-3
COARSE = 8  # bins of the histograms that the generator is told
SHOWN = 4
#: as often the distance of held-out pictures is taken
STRETCHES = 10


def run(
    data: Path | None, out: Path, *, pictures: int = 112, size: int = 48, steps: int = 800, width: int = 16, seed: int = 0
) -> dict[str, Any]:
    """Train, write ``histogan.png`` to ``out``, and return the numbers.

    ``data`` is a folder of photos, of which `pictures` are taken; None draws a garden. Pictures are `size` pixels a side, 16 of
    them held out; the U-Net's first layer has `width` channels. ``before`` and ``after`` are mean Hellinger distances, from 0 to 1,
    of held-out pictures to other held-out pictures' histograms, unchanged and as the trained generator changes them, and
    ``brightness`` is the mean change of their brightness. ``steps`` and ``distances`` are the course of training, each distance of
    the held-out pictures; ``original`` has before and after with HistoGAN's own 64 bins and sigma 0.02. Raises ``ValueError``
    where there are fewer than 20 pictures, or sides or steps below 16 or 10.
    """
    for name, value, least in (("pictures", pictures, HELD_OUT + BATCH), ("size", size, 16), ("steps", steps, STRETCHES)):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    drawn = garden(pictures, size, seed) if data is None else _photos(data, pictures, size)
    known, unseen = (photos.pictures(range(len(photos))) for photos in hold_out(drawn, HELD_OUT, seed))
    block = RGBuvHistBlock(BINS, sigma=SIGMA)
    targets = block(unseen).roll(SHOWN, 0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        generator = Recolour(width)
    course = _train(generator, block, known, (unseen, targets), steps, seed)
    with torch.no_grad():
        output = generator(unseen, targets)
    out.mkdir(parents=True, exist_ok=True)
    save(_figure(unseen, output, block, course, steps), out / "histogan.png")
    original = RGBuvHistBlock()
    wanted = original(unseen).roll(SHOWN, 0)
    return {
        "before": course[0],
        "after": course[-1],
        "brightness": _change(unseen, output).item(),
        "original": {name: _distance(wanted, original(images)).item() for name, images in (("before", unseen), ("after", output))},
        "steps": [steps * stretch // STRETCHES for stretch in range(STRETCHES + 1)],
        "distances": course,
    }


class Recolour(nn.Module):
    """Images (B, 3, H, W) in [0, 1] and histograms (B, 3, h, h) of the wanted colours -> images."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.network = UNet(3, 3, width=width, depth=3, norm="instance", condition_size=3 * COARSE**2, input_skip=True)

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        # roots, as in the loss; the mean of a coarse bin is small
        condition = (adaptive_avg_pool2d(target, COARSE) * COARSE**2).sqrt().flatten(1)
        # the untrained network's output is near 0, and the image as it was
        return (image.clamp(0.02, 0.98).logit() + self.network(2 * image - 1, condition)).sigmoid()


def _photos(data: Path, pictures: int, size: int) -> Photos:
    photos = load_folder(data, size, minimum=HELD_OUT + BATCH, margin=False, recursive=None)
    return photos.subset(range(min(pictures, len(photos))))


def _train(
    generator: Recolour, block: RGBuvHistBlock, known: Tensor, unseen: tuple[Tensor, Tensor], steps: int, seed: int
) -> list[float]:
    """Distances of unseen pictures to their targets, as they are and after every stretch of training."""
    random = torch.Generator().manual_seed(seed)
    histograms = block(known)
    adam = torch.optim.Adam(generator.parameters(), RATE)
    rate = torch.optim.lr_scheduler.LinearLR(adam, 1.0, 0.0, steps)
    images, targets = unseen
    course = [_distance(targets, block(images)).item()]
    for step in range(1, steps + 1):
        of, to = torch.randint(len(known), (2, BATCH), generator=random)
        output = generator(known[of], histograms[to])
        loss = _distance(histograms[to], block(output)) + _change(known[of], output) / 2
        adam.zero_grad()
        loss.backward()
        adam.step()
        rate.step()
        if step * STRETCHES // steps > (step - 1) * STRETCHES // steps:
            with torch.no_grad():
                course.append(_distance(targets, block(generator(images, targets))).item())
    return course


def _distance(target: Tensor, histogram: Tensor) -> Tensor:
    return hellinger_loss(target, histogram, 1.0)


def _change(before: Tensor, after: Tensor) -> Tensor:
    """Mean absolute difference of brightness."""
    return (before.mean(1) - after.mean(1)).abs().mean()


def _figure(unseen: Tensor, output: Tensor, block: RGBuvHistBlock, course: list[float], steps: int) -> Figure:
    """Pictures, whose colours they are to get, what became of them; the first one's histograms; the course of training."""
    figure = Figure(figsize=(PAGE, 2.5))
    grid = figure.add_gridspec(
        3,
        SHOWN + 2,
        width_ratios=[1] * (SHOWN + 1) + [2.6],
        left=0.04,
        right=0.995,
        bottom=0.02,
        top=0.93,
        wspace=0.12,
        hspace=0.08,
    )
    rows = {"picture": unseen, "colours of": unseen.roll(SHOWN, 0), "output": output}
    for row, (name, images) in enumerate(rows.items()):
        for column in range(SHOWN):
            axis = figure.add_subplot(grid[row, column])
            show(axis, images[column])
            if column == 0:
                axis.set_ylabel(name, fontsize=TITLE)
        _draw_histogram(figure.add_subplot(grid[row, SHOWN]), block(images[:1])[0], "of the first" if row == 0 else None)
    axis = figure.add_subplot(figure.add_gridspec(1, 1, left=0.76, right=0.995, bottom=0.16, top=0.93)[0])
    axis.plot([steps * stretch / STRETCHES for stretch in range(STRETCHES + 1)], course, marker="o", markersize=3, linewidth=1)
    axis.set_ylim(0, 1)
    axis.tick_params(labelsize=SMALL)
    label_axes(axis, "steps", f"Hellinger distance, mean of {HELD_OUT}")
    return figure


def _draw_histogram(axis: Axes, histogram: Tensor, title: str | None) -> None:
    """Its three planes, red, green and blue, as an image; roots, as the loss sees them."""
    roots = histogram.sqrt()
    show(axis, (roots / roots.amax()).flip(-2), title)
