"""Mutual information as what keeps the content in an unpaired translation.

    run(None, Path("out"))      # drawn flowers

Two modalities of the same kind of scene, never of the same one: pictures' brightness, and the brightness of other pictures as
another sensor would see it, folded so that dark and bright swap places and the middle is split. A small network translates the
first into the second. It is trained so that its outputs' histogram is the second modality's (earth mover's distance), which any
picture with the right share of every brightness fulfils, and with mutual information between input and output, which says that they
show the same. What is reported is of pictures that training has not seen: how far histograms are apart, and how well the input can
be told from the output, which an independent estimate with hard bins says.
"""

from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from ..data import hold_out, load_folder
from ..data.garden import garden
from ..kernels import Bins, emd, mutual_information, soft_histogram
from ..plotting import PAGE, SMALL, TITLE, label_axes, save, show

BINS = 32
HELD_OUT, BATCH, RATE = 16, 8, 2e-3
#: of mutual information beside the distance of histograms
WEIGHTS = {"without": 0.0, "with": 0.5}
SHOWN = 3


def run(data: Path | None, out: Path, *, pictures: int = 112, size: int = 48, steps: int = 500, seed: int = 0) -> dict[str, Any]:
    """Train without and with mutual information, write ``consistency.png`` to ``out``, and return the numbers.

    ``data`` is a folder of photos, of which `pictures` are taken; None draws a garden. Pictures are `size` pixels a side, 16 of
    them held out. For either training, ``histogram`` is the earth mover's distance of held-out outputs to the second modality (in
    ranges of brightness), ``information`` the normalised mutual information of input and output with 16 hard bins, from 0 to 1, and
    ``before`` has both of the untranslated pictures. Raises ``ValueError`` where there are fewer than 24 pictures, or sides or
    steps below 16 or 10.
    """
    for name, value, least in (("pictures", pictures, HELD_OUT + BATCH), ("size", size, 16), ("steps", steps, 10)):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    known, unseen = _pictures(data, pictures, size, seed)
    half = len(known) // 2
    first, second = known[:half], other_modality(known[half:])
    outputs = {name: _translated(first, second, unseen, weight, steps, seed) for name, weight in WEIGHTS.items()}
    out.mkdir(parents=True, exist_ok=True)
    save(_figure(unseen, outputs, second), out / "consistency.png")
    return {"before": _measured(unseen, unseen, second), **{name: _measured(unseen, o, second) for name, o in outputs.items()}}


def other_modality(brightness: Tensor) -> Tensor:
    """What another sensor sees: no function that rises or falls throughout."""
    return 0.15 + 0.7 * (brightness - 0.35).abs() / 0.65


def _pictures(data: Path | None, pictures: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Brightness (N, 1, size, size) in [0, 1], to train with and held out."""
    if data is None:
        photos = garden(pictures, size, seed)
    else:
        photos = load_folder(data, size, minimum=HELD_OUT + BATCH, margin=False, recursive=None)
        photos = photos.subset(range(min(pictures, len(photos))))
    return tuple(part.pictures(range(len(part))).mean(1, keepdim=True) for part in hold_out(photos, HELD_OUT, seed))


def _translated(first: Tensor, second: Tensor, unseen: Tensor, weight: float, steps: int, seed: int) -> Tensor:
    """Held-out pictures as a network trained with so much mutual information translates them."""
    random = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _network()
    wanted = soft_histogram(second.flatten(), BINS)
    adam = torch.optim.Adam(network.parameters(), RATE)
    for _ in range(steps):
        given = first[torch.randint(len(first), (BATCH,), generator=random)]
        output = network(given)
        loss = emd(soft_histogram(output.flatten(), BINS), wanted, circular=False)
        if weight:
            loss = loss + weight * (1 - mutual_information(given.flatten(1), output.flatten(1), BINS).normalized.mean())
        adam.zero_grad()
        loss.backward()
        adam.step()
    with torch.no_grad():
        return network(unseen)


def _network(width: int = 16) -> nn.Module:
    """Brightness to brightness, by what is near: 11 pixels."""
    layers: list[nn.Module] = []
    for channels in (1, width, width, width):
        layers += [nn.Conv2d(channels, width, 3, padding=1, padding_mode="reflect"), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(width, 1, 3, padding=1, padding_mode="reflect"), nn.Sigmoid())


def _measured(source: Tensor, output: Tensor, second: Tensor) -> dict[str, float]:
    hard = Bins(16, window="box")
    information = mutual_information(source.flatten(1), output.flatten(1), hard).normalized.mean()
    distance = emd(soft_histogram(output.flatten(), BINS), soft_histogram(second.flatten(), BINS), circular=False)
    return {"histogram": distance.item(), "information": information.item()}


def _figure(unseen: Tensor, outputs: dict[str, Tensor], second: Tensor) -> Figure:
    """Held-out pictures, what another sensor would see of them, both translations, and the histograms."""
    figure = Figure(figsize=(PAGE, 2.4))
    rows = {"picture": unseen, "as the other sensor\nsees it": other_modality(unseen)}
    rows |= {f"translated\n{name} MI": output for name, output in outputs.items()}
    grid = figure.add_gridspec(SHOWN, len(rows), left=0.01, right=0.6, bottom=0.02, top=0.86, wspace=0.06, hspace=0.06)
    for column, (name, images) in enumerate(rows.items()):
        for row in range(SHOWN):
            image = images[row].expand(3, -1, -1)
            show(figure.add_subplot(grid[row, column]), image, name if row == 0 else None)
    axis = figure.add_subplot(figure.add_gridspec(1, 1, left=0.68, right=0.99, bottom=0.17, top=0.9)[0])
    places = (torch.arange(BINS) + 0.5) / BINS
    curves = {"the other sensor's": (second, "black", "-"), "pictures": (unseen, "tab:gray", ":")}
    curves |= {f"{name} MI": (outputs[name], color, "-") for name, color in zip(outputs, ("tab:orange", "tab:blue"))}
    for name, (images, color, style) in curves.items():
        axis.plot(places, soft_histogram(images.flatten(), BINS), style, color=color, linewidth=1, label=name)
    axis.legend(fontsize=SMALL, frameon=False)
    axis.tick_params(labelsize=SMALL)
    axis.set_title("histograms", fontsize=TITLE, pad=3)
    label_axes(axis, "brightness", "share")
    return figure
