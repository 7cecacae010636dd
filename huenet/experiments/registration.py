"""Two modalities of a slice brought together by mutual information: MONAI's loss, where it is installed, and huenet's in its place.

    run(Path("out"))

A slice of ellipses is drawn twice, moved and as another modality: its brightness is mapped through a curve that goes up and down
again, so that no difference of the images says how well they match, and both have noise. The rotation and shift between them are
found by gradient descent on minus the mutual information. Both losses are the same numbers, so both descents take the same path.
"""

from __future__ import annotations

import importlib.util
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from ..compat.monai import GlobalMutualInformationLoss
from ..plotting import PAGE, SMALL, label_axes, save, show

#: radians; shift along x and y in half images
TRUTH = (0.15, 0.10, -0.08)
#: of the slice: centre x and y, half axes, turn in radians, brightness added inside
ELLIPSES = (
    (0.00, 0.00, 0.70, 0.85, 0.0, 0.80),
    (0.00, 0.00, 0.62, 0.77, 0.0, -0.45),
    (0.22, 0.10, 0.12, 0.30, -0.35, -0.25),
    (-0.22, 0.05, 0.17, 0.36, 0.35, -0.20),
    (0.05, -0.42, 0.24, 0.16, 0.2, 0.30),
    (-0.05, 0.52, 0.14, 0.09, 0.6, 0.45),
    (0.36, -0.28, 0.07, 0.11, 0.0, 0.55),
)
NOISE = 0.02

Loss = Callable[[Tensor, Tensor], Tensor]


def run(out: Path, *, side: int = 96, steps: int = 120, rate: float = 0.01, seed: int = 0) -> dict[str, Any]:
    """Register with both losses and write ``registration.png`` to ``out``.

    Images are `side` x `side` pixels; `steps` of Adam at `rate`, which falls to 0 as a cosine; `seed` draws the noise. Returns
    ``start``, the mean distance of the slice's pixels from their true places before, in pixels; and for each of "huenet" and, where
    MONAI is installed, "monai": ``distance``, the same after; ``degrees`` and ``shift`` found; ``loss`` at the end; ``seconds``.
    ``truth`` has the true degrees and shift in pixels; ``paths_apart`` is the largest difference of any parameter (radians, half
    images) at any step, None without MONAI. Raises ``ValueError`` where ``side`` is below 16 or ``steps`` below 1.
    """
    if side < 16 or steps < 1:
        raise ValueError(f"side must be at least 16 and steps at least 1, got {side} and {steps}")
    moving, fixed = _images(side, seed)
    descents = {name: _register(loss, moving, fixed, steps, rate) for name, loss in _losses().items()}
    out.mkdir(parents=True, exist_ok=True)
    save(_figure(moving, fixed, {name: path for name, (path, _, _) in descents.items()}), out / "registration.png")
    paths = [path for path, _, _ in descents.values()]
    return {
        "start": _distances(torch.zeros(1, 3), side).item(),
        "truth": _told(torch.tensor(TRUTH), side),
        **{
            name: {"distance": _distances(path[-1:], side).item(), **_told(path[-1], side), "loss": loss, "seconds": seconds}
            for name, (path, loss, seconds) in descents.items()
        },
        "paths_apart": (paths[0] - paths[1]).abs().max().item() if len(paths) > 1 else None,
    }


def _losses() -> dict[str, Loss]:
    losses: dict[str, Loss] = {"huenet": GlobalMutualInformationLoss()}
    if importlib.util.find_spec("monai") is not None:
        losses["monai"] = importlib.import_module("monai.losses").GlobalMutualInformationLoss()
    return losses


def _images(side: int, seed: int) -> tuple[Tensor, Tensor]:
    """The slice, and its other modality, moved: (1, 1, side, side) in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    noise = NOISE * torch.randn(2, 1, 1, side, side, generator=generator)
    grid = affine_grid(_matrix(torch.zeros(3)), [1, 1, side, side], align_corners=False)
    moved = affine_grid(_matrix(torch.tensor(TRUTH)), [1, 1, side, side], align_corners=False)
    fixed = 0.1 + 0.8 * (math.pi * _slice(moved, side)).sin().square()
    return (_slice(grid, side) + noise[0]).clamp(0, 1), (fixed + noise[1]).clamp(0, 1)


def _slice(grid: Tensor, side: int) -> Tensor:
    """Brightness at places (1, H, W, 2), x and y in [-1, 1]; edges are a pixel wide."""
    image = torch.full(grid.shape[:-1], 0.05)
    for x, y, along, down, turn, brightness in ELLIPSES:
        dx, dy = grid[..., 0] - x, grid[..., 1] - y
        u = dx * math.cos(turn) + dy * math.sin(turn)
        v = dy * math.cos(turn) - dx * math.sin(turn)
        inside = (1 - torch.sqrt((u / along) ** 2 + (v / down) ** 2)) * min(along, down) * side / 2
        image = image + brightness * torch.sigmoid(4 * inside)
    return image.unsqueeze(1)


def _matrix(parameters: Tensor) -> Tensor:
    """(3,) -> (1, 2, 3), a rotation and a shift."""
    cosine, sine = parameters[0].cos(), parameters[0].sin()
    return torch.stack([cosine, -sine, parameters[1], sine, cosine, parameters[2]]).view(1, 2, 3)


def _moved(moving: Tensor, parameters: Tensor) -> Tensor:
    grid = affine_grid(_matrix(parameters), list(moving.shape), align_corners=False)
    return grid_sample(moving, grid, padding_mode="border", align_corners=False)


def _register(loss: Loss, moving: Tensor, fixed: Tensor, steps: int, rate: float) -> tuple[Tensor, float, float]:
    """The path of the parameters (steps + 1, 3), the loss at its end, and the seconds it took."""
    parameters = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.Adam([parameters], lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    path, started = [parameters.detach().clone()], time.perf_counter()
    for _ in range(steps):
        optimizer.zero_grad()
        loss(_moved(moving, parameters), fixed).backward()
        optimizer.step()
        schedule.step()
        path.append(parameters.detach().clone())
    seconds = time.perf_counter() - started
    with torch.no_grad():
        return torch.stack(path), loss(_moved(moving, parameters), fixed).item(), seconds


def _distances(path: Tensor, side: int) -> Tensor:
    """Mean distance in pixels of the slice's places under parameters (P, 3) from their true ones, (P,)."""
    grid = affine_grid(_matrix(torch.zeros(3)), [1, 1, side, side], align_corners=False)
    x, y, along, down, _, _ = ELLIPSES[0]
    inside = ((grid[0, ..., 0] - x) / along) ** 2 + ((grid[0, ..., 1] - y) / down) ** 2 <= 1
    places = torch.cat([grid[0][inside], torch.ones(int(inside.sum()), 1)], 1)
    true = places @ _matrix(torch.tensor(TRUTH))[0].T
    found = torch.stack([places @ _matrix(parameters)[0].T for parameters in path])
    return (found - true).norm(dim=-1).mean(1) * side / 2


def _told(parameters: Tensor, side: int) -> dict[str, Any]:
    return {"degrees": math.degrees(parameters[0].item()), "shift": (parameters[1:] * side / 2).tolist()}


def _figure(moving: Tensor, fixed: Tensor, paths: dict[str, Tensor]) -> Figure:
    """Both images, one laid over the other before and after, and how far the slice is from its place at every step."""
    figure = Figure(figsize=(PAGE, 1.5))
    grid = figure.add_gridspec(1, 5, width_ratios=(1, 1, 1, 1, 1.7), left=0.0, right=0.995, bottom=0.22, top=0.88, wspace=0.06)
    grey = lambda image: image[0].expand(3, -1, -1)  # noqa: E731
    over = lambda image: torch.cat([image[0], fixed[0], image[0]])  # noqa: E731
    after = _moved(moving, paths["huenet"][-1])
    panels = (grey(moving), "moving"), (grey(fixed), "fixed"), (over(moving), "before"), (over(after), "after")
    for column, (image, title) in enumerate(panels):
        show(figure.add_subplot(grid[0, column]), image, title)
    axis = figure.add_subplot(grid[0, 4].subgridspec(1, 2, width_ratios=(0.22, 1), wspace=0)[1])
    for (name, path), style in zip(paths.items(), ("-", ":")):
        label = {"huenet": "huenet.compat.monai", "monai": "MONAI"}[name]
        axis.plot(_distances(path, moving.shape[-1]), style, linewidth=1.5 if style == "-" else 2.5, label=label)
    axis.set_ylim(0, None)
    axis.legend(fontsize=SMALL, frameon=False)
    label_axes(axis, "step", "pixels from its place")
    return figure
