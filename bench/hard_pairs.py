"""What the packaged model does with pairs that ask too much, beside a model that learnt from flowers alone and holds nothing back.

Drawn pictures that neither has seen: targets with next to no colour, white petals in the target, a source of one hue whose target
has several. A table, and a figure of the first pairs of each kind.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

from huenet.color import mean_chroma, rgb_to_hsv
from huenet.color_transfer.model import HueNet
from huenet.color_transfer.painter import Painter
from huenet.data.scenes import scenes
from huenet.metrics.hue import hue_emd, hue_histogram, hue_mutual_information
from huenet.plotting import PAGE, save, show

PICTURES, SEED, PAIRS, SHOWN = 400, 777, 30, 2
Kind = Callable[[Tensor], tuple[Tensor, Tensor]]
"""From pictures (N, 3, S, S) to the numbers of sources and of targets."""


def _chosen(order: Tensor) -> Tensor:
    return order[:PAIRS]


def little_color(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Vivid sources, targets with the least chroma that still counts as colour."""
    chroma = mean_chroma(pictures)
    order = chroma.argsort()
    return _chosen(order.flip(0)), _chosen(order[chroma[order] > 4 / 255])


def white_petals(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Vivid sources, targets with the most white."""
    _, saturation, value = rgb_to_hsv(pictures).unbind(1)
    white = ((saturation < 0.15) & (value > 0.75)).float().mean((1, 2))
    return _chosen(mean_chroma(pictures).argsort(descending=True)), _chosen(white.argsort(descending=True))


def one_hue_to_many(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Sources whose hues have the least entropy, targets whose hues have the most, among those that have colour."""
    colored = (mean_chroma(pictures) > 0.15).nonzero().flatten()
    entropy = torch.special.entr(hue_histogram(pictures[colored], 32)).sum(1)
    order = colored[entropy.argsort()]
    return _chosen(order), _chosen(order.flip(0))


KINDS: dict[str, Kind] = {
    "a target with little colour": little_color,
    "white petals in the target": white_petals,
    "one hue, and a target of many": one_hue_to_many,
}


def hard_pairs(before: Path, out: Path) -> str:
    """Write the figure `out`; returns the table as Markdown. `before`: a generator.safetensors, such as the demo's."""
    plain = Painter.load(before).model
    plain.config = type(plain.config)(**{**vars(plain.config), "restraint": False})
    models = {"before": plain, "after": Painter.load().model}
    pictures = scenes(PICTURES, plain.config.size, SEED).images.float() / 255
    lines = ["| pairs | model | EMD TAR-SRC | EMD TAR-OUT | MI SRC-OUT | farther than before |", "|---|---|---:|---:|---:|---:|"]
    rows = []
    for kind, choose in KINDS.items():
        sources, targets = (pictures[numbers] for numbers in choose(pictures))
        painted = {name: _painted(model, sources, targets) for name, model in models.items()}
        lines += [_line(kind, name, sources, targets, output) for name, output in painted.items()]
        rows += [(sources[n], targets[n], *(output[n] for output in painted.values())) for n in range(SHOWN)]
    save(_sheet(rows), out)
    return "\n".join(lines) + "\n"


def _painted(model: HueNet, sources: Tensor, targets: Tensor) -> Tensor:
    with torch.no_grad():
        return model(sources, targets)


def _line(kind: str, name: str, source: Tensor, target: Tensor, output: Tensor) -> str:
    before, after = hue_emd(target, source), hue_emd(target, output)
    means = before.mean(), after.mean(), hue_mutual_information(source, output).mean()
    cells = [kind, name, *(f"{mean:.3f}" for mean in means), f"{int((after > before).sum())} of {len(before)}"]
    return f"| {' | '.join(cells)} |"


def _sheet(rows: list[tuple[Tensor, ...]]) -> Figure:
    figure = Figure(figsize=(PAGE * 0.6, PAGE * 0.6 * len(rows) / 4))
    grid = {"left": 0.0, "right": 1.0, "bottom": 0.0, "top": 0.97, "wspace": 0.03, "hspace": 0.03}
    axes = figure.subplots(len(rows), 4, gridspec_kw=grid)
    for number, row in enumerate(rows):
        for axis, image, title in zip(axes[number], row, ("source", "target", "before", "after")):
            show(axis, image, title if number == 0 else None)
    return figure
