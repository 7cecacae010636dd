"""Does the harmonic energy see whether a map belongs to an aerial photo?

For every pair of an aerial photo and its map: the energy of the map's patches under the photo's similarities, with the map in
place, moved by some pixels (around the edges, so that nothing is lost), and exchanged for the next pair's. A map of one colour has
little energy wherever it lies, so every energy is divided by what the same map has with its patches in random order, where photo
and map are unrelated: 1 is no better than chance.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

from ..data.images import load_pairs
from ..kernels import harmonic_energy
from ..losses import HarmonicLoss
from ..plotting import PAGE, SMALL, label_axes, save, show

SHIFTS = (0, 4, 8, 16, 32, 64, 128)
ORDERS = 2  # random orders that chance is estimated from; a pair's energies in them differ by 2 % at most

#: of the maps' patches (B, N, D) under their photos' similarities, (B,)
Energies = Callable[[Tensor], Tensor]


def run(data: Path, out: Path, *, size: int = 256, seed: int = 0) -> dict[str, float]:
    """Energies, relative to chance, of aligned, shifted and exchanged pairs; writes ``harmonic.png`` to ``out``.

    ``data`` has pairs NAME_A (photo) and NAME_B (map). Returns the number of pairs; means over
    pairs in place (``aligned``), moved by 8 and by 64 pixels down or right (``shifted_8``, ``shifted_64``) and exchanged
    (``exchanged``); and the share of pairs whose energy is lower in place than exchanged or moved by half a patch or more
    (``lowest_in_place``). Raises ``ValueError`` where there are fewer than two pairs or ``size`` is not above 64.
    """
    if size <= 64:
        raise ValueError(f"size must be above 64, the shift that is reported, got {size}")
    photos, maps = load_pairs(data, size)
    loss = HarmonicLoss()
    source, target = loss.points(photos), loss.points(maps)
    energies = lambda target: harmonic_energy(source, target, sigma=loss.sigma)  # noqa: E731
    chance = _chance(energies, target, seed)
    shifts = [shift for shift in SHIFTS if shift < size]
    moved = torch.stack([_moved(energies, loss, maps, shift) / chance for shift in shifts])  # (shifts, pairs)
    others = target.roll(1, 0)
    exchanged = energies(others) / _chance(energies, others, seed)
    out.mkdir(parents=True, exist_ok=True)
    typical = int(moved[0].argsort()[len(photos) // 2])
    save(_figure(photos[typical], maps[typical], shifts, moved, typical, exchanged), out / "harmonic.png")
    misaligned = torch.stack([*moved[shifts.index(loss.patch // 2) :], exchanged])
    lowest = (moved[0] < misaligned.amin(0)).float()
    return {
        "pairs": float(len(photos)),
        "aligned": moved[0].mean().item(),
        "shifted_8": moved[shifts.index(8)].mean().item(),
        "shifted_64": moved[shifts.index(64)].mean().item(),
        "exchanged": exchanged.mean().item(),
        "lowest_in_place": lowest.mean().item(),
    }


def _moved(energies: Energies, loss: HarmonicLoss, maps: Tensor, shift: int) -> Tensor:
    """Energies of the maps moved by `shift` pixels, the mean of down and right."""
    moves = [(0, 0)] if shift == 0 else [(shift, 0), (0, shift)]
    return torch.stack([energies(loss.points(maps.roll(move, (-2, -1)))) for move in moves]).mean(0)


def _chance(energies: Energies, target: Tensor, seed: int) -> Tensor:
    """Energies of the maps' patches (B, N, D) in random order."""
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(target.shape[1], generator=generator) for _ in range(ORDERS)]
    return torch.stack([energies(target[:, order]) for order in orders]).mean(0)


def _figure(photo: Tensor, map_: Tensor, shifts: list[int], moved: Tensor, shown: int, exchanged: Tensor) -> Figure:
    figure = Figure(figsize=(PAGE, 1.95))
    images, curves = figure.subfigures(1, 2, width_ratios=(1.25, 1), wspace=0.0)
    panels = images.subplots(1, 2, gridspec_kw={"left": 0.0, "right": 0.97, "bottom": 0.04, "top": 0.9, "wspace": 0.04})
    for panel, image, title in zip(panels, (photo, map_), ("aerial photo", "its map")):
        show(panel, image, title)
    axis = curves.subplots(gridspec_kw={"left": 0.13, "right": 0.99, "bottom": 0.17, "top": 0.9})
    places = range(len(shifts))
    axis.plot(places, moved.numpy(), color="0.8", linewidth=0.5)
    axis.plot(places, moved[:, shown].numpy(), color="0.2", linewidth=0.8, label="the pair shown")
    mean, label = moved.mean(1).numpy(), f"mean of {moved.shape[1]} pairs"
    axis.plot(places, mean, color="C0", linewidth=1.5, marker="o", markersize=3, label=label)
    axis.axhline(exchanged.mean().item(), color="C1", linewidth=1, linestyle="--", label="another photo's map")
    axis.set_xticks(places, [str(shift) for shift in shifts])
    axis.set_ylim(0, None)
    axis.legend(fontsize=SMALL, frameon=False, loc="lower right")
    label_axes(axis, "map moved by (pixels)", "harmonic energy / chance")
    return figure
