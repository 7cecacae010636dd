"""Does rSMI see that a photo and a map show the same place?

    run(Path("maps/val_paired"), Path("out"))      # pairs NAME_A.jpg, an aerial photo, and NAME_B.jpg, its map

Aligned pairs are what a good translation would give: colours free, structure kept. Each photo is compared with its own map, that
map moved by some pixels, the maps of other places, and its own map with the pixels shuffled. If rSMI measures structure, the own
map in place scores highest. Two settings are compared: the published code's, and Gaussians as wide as their distance.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from ..data.images import load_pairs
from ..kernels import squared_mutual_information
from ..plotting import PAGE, SMALL, TITLE, label_axes, save, show

SIDE = 128
SHIFTS = (0, 1, 2, 4, 8, 16, 32)
SETTINGS: dict[str, dict[str, float]] = {"published": {"sign": 1}, "narrow": {"sigma": 0.25, "ridge": 0.01}}
_LABELS = {"published": "as published", "narrow": r"Gaussian, $\sigma = 0.25$"}
_COLORS = {"published": "tab:gray", "narrow": "tab:blue"}


def run(data: Path, out: Path, seed: int = 0) -> dict[str, Any]:
    """Measure, write ``structure.png`` to ``out``, and return the numbers of each setting.

    ``own_wins`` is the share of comparisons of a photo's own map with another's in which its own scores higher (0.5: no better
    than chance), ``own_first`` the number of photos whose own map scores highest of all; the rest are mean scores, with
    ``moved`` by pixels. ``seed`` draws the shuffled pixels. Raises ValueError where ``data`` has fewer than two pairs.
    """
    photos, maps = (2 * images - 1 for images in load_pairs(data, SIDE))
    results = {name: _measure(photos, maps, seed, options) for name, options in SETTINGS.items()}
    out.mkdir(parents=True, exist_ok=True)
    save(_draw(photos, maps, results), out / "structure.png")
    return {"pairs": len(photos), **{name: _summary(result) for name, result in results.items()}}


def _measure(photos: Tensor, maps: Tensor, seed: int, options: dict[str, float]) -> dict[str, Tensor]:
    """Scores of every photo with every map, with its own moved, and with its own shuffled: (N, N), (N, shifts), (N,)."""
    score = lambda maps: squared_mutual_information(photos.flatten(1), maps.flatten(1), **options)  # noqa: E731
    directions = ((0, 1), (1, 0), (0, -1), (-1, 0))
    moved = [torch.stack([score(maps.roll((down * by, right * by), (2, 3))) for down, right in directions]) for by in SHIFTS]
    order = torch.randperm(SIDE * SIDE, generator=torch.Generator().manual_seed(seed))
    return {
        "every": torch.stack([score(other.expand_as(maps)) for other in maps], 1),
        "moved": torch.stack([scores.mean(0) for scores in moved], 1),
        "shuffled": score(maps.flatten(2)[..., order].view_as(maps)),
    }


def _summary(result: dict[str, Tensor]) -> dict[str, Any]:
    every, own = result["every"], result["every"].diagonal()
    others = ~torch.eye(len(own), dtype=torch.bool)
    wins = own.unsqueeze(1) > every
    return {
        "own_wins": round(wins[others].double().mean().item(), 4),
        "own_first": int((wins | ~others).all(1).sum()),
        "own": own.mean().item(),
        "others": every[others].mean().item(),
        "shuffled": result["shuffled"].mean().item(),
        "moved": {str(by): value for by, value in zip(SHIFTS, result["moved"].mean(0).tolist())},
    }


def _draw(photos: Tensor, maps: Tensor, results: dict[str, dict[str, Tensor]]) -> Figure:
    """An example, scores over shifts, and every photo's own map among those of others."""
    figure = Figure(figsize=(PAGE, 2.1))
    grid = figure.add_gridspec(
        2, 3, width_ratios=(0.75, 1.6, 2.2), left=0.01, right=0.995, bottom=0.17, top=0.9, wspace=0.3, hspace=0.05
    )
    best = int(results["narrow"]["every"].diagonal().argmax())
    for row, image in enumerate((photos[best], maps[best])):
        show(figure.add_subplot(grid[row, 0]), (image + 1) / 2, "photo and map" if row == 0 else None)
    _draw_shifts(figure.add_subplot(grid[:, 1]), results)
    _draw_others(figure.add_subplot(grid[:, 2]), results["narrow"]["every"])
    return figure


def _draw_shifts(axis: Axes, results: dict[str, dict[str, Tensor]]) -> None:
    places = np.arange(len(SHIFTS))
    for name, result in results.items():
        means = result["moved"].mean(0).numpy()
        axis.plot(places, means, ".-", color=_COLORS[name], markersize=4, linewidth=1, label=_LABELS[name])
    axis.axhline(0, color="black", linewidth=0.5)
    axis.set_xticks(places, [str(by) for by in SHIFTS])
    axis.legend(fontsize=SMALL, frameon=False)
    axis.set_title("its own map, moved", fontsize=TITLE, pad=3)
    label_axes(axis, "pixels", f"rSMI, mean of {len(result['moved'])}")


def _draw_others(axis: Axes, every: Tensor) -> None:
    own = every.diagonal()
    for place, photo in enumerate(own.argsort().tolist()):
        others = torch.cat([every[photo, :photo], every[photo, photo + 1 :]]).numpy()
        axis.plot(np.full(len(others), place), others, ".", color="tab:gray", alpha=0.5, markersize=3, markeredgewidth=0)
        axis.plot(place, own[photo].item(), ".", color="tab:blue", markersize=6)
    axis.plot([], [], ".", color="tab:blue", markersize=6, label="its own map")
    axis.plot([], [], ".", color="tab:gray", markersize=3, label="maps of other places")
    axis.axhline(0, color="black", linewidth=0.5)
    axis.set_xticks([])
    axis.legend(fontsize=SMALL, frameon=False)
    axis.set_title(f"its own map and others, {_LABELS['narrow']}", fontsize=TITLE, pad=3)
    label_axes(axis, f"{len(own)} photos", "rSMI")
