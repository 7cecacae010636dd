"""Section 3 of the Hue-Net paper, run again: which models are trained on which photos, and the table they end in.

`huenet paper` trains and evaluates each `Trial` as the command line would, so every row can also be made by hand.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..data.garden import garden
from ..plotting import save
from ..training.metrics_log import training_minutes
from . import figures
from .model import HueNet
from .painter import Painter

VARIANTS = {
    "small": ("--preset", "small"),
    "without MI": ("--preset", "small", "--mi-weight", "0"),
    "without adversarial loss": ("--preset", "small", "--adversarial-weight", "0"),
    "paper": ("--preset", "paper", "--size", "64", "--width", "24", "--discriminator-width", "32"),
}
"""What is trained, as options of `huenet train`. The paper's choices have the size and width of `small`, which a CPU can train."""
METHODS = {"reinhard": "Reinhard (Lab)", "matching": "hue histogram matching"}
METRICS = ("emd_target_source", "emd_target_output", "mi_source_target", "mi_source_output")
HELD_OUT, BATCH = 30, 16
EXAMPLES, EXAMPLES_SEED = 5, 2026
"""Of drawn flowers, which stand in the figures, as photos may not be shown by everyone."""


@dataclass(frozen=True)
class Trial:
    """A variant trained on a folder of photos with a seed, in a folder of its own within `out`, and measured on so many pairs."""

    out: Path
    variant: str
    photos: Path
    seed: int
    steps: int
    pairs: int

    @property
    def folder(self) -> Path:
        """Named by all that decides what is trained there, so that a table never mixes models of other lengths."""
        return self.out / f"{self.steps}steps" / self.photos.name / self.variant.replace(" ", "-") / f"seed{self.seed}"

    def train(self) -> list[str]:
        """The arguments of `huenet` that train it; the same ones go on with it."""
        shared = {"steps": self.steps, "seed": self.seed, "hold-out": HELD_OUT, "batch-size": BATCH}
        options = [part for name, value in shared.items() for part in (f"--{name}", str(value))]
        return ["train", "--data", str(self.photos), "--out", str(self.folder), *VARIANTS[self.variant], *options, "--no-progress"]

    def evaluate(self) -> list[str]:
        """The arguments of `huenet` that measure it on the photos held out of its training."""
        places = {"checkpoint": self.folder / "generator.safetensors", "data": self.photos, "out": self.report, "pairs": self.pairs}
        return ["evaluate", *(part for name, value in places.items() for part in (f"--{name}", str(value)))]

    @property
    def report(self) -> Path:
        return self.folder / f"report-{self.pairs}pairs"

    @property
    def done(self) -> bool:
        return (self.report / "table1.json").exists()

    def means(self) -> dict[str, dict[str, float]]:
        """Mean metrics by method: of the model ("mean") and of the classical ones."""
        return json.loads((self.report / "table1.json").read_text(encoding="utf-8"))

    def model(self) -> HueNet:
        return Painter.load(self.folder / "generator.safetensors").model

    def minutes(self) -> float:
        """How long it trained."""
        return training_minutes(self.folder, BATCH)


def trials(folders: Sequence[Path], out: Path, seeds: int, steps: int, pairs: int) -> list[Trial]:
    """All variants on all folders: with every seed on the first of them, with one on the others; by seed, so that a run that is
    cut short has the whole table of one seed."""
    return [
        Trial(out, variant, photos, seed, steps, pairs)
        for seed in range(seeds)
        for photos in (folders if seed == 0 else folders[:1])
        for variant in VARIANTS
    ]


def table(done: Sequence[Trial]) -> str:
    """Markdown: Table 1's metrics of every variant and classical method on every folder, mean and deviation over the seeds."""
    lines = [
        "| photos | model | seeds | EMD TAR-SRC | EMD TAR-OUT | MI SRC-TAR | MI SRC-OUT | minutes |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for photos in dict.fromkeys(trial.photos for trial in done):
        here = [trial for trial in done if trial.photos == photos]
        for variant in VARIANTS:
            if of_variant := [trial for trial in here if trial.variant == variant]:
                minutes = f"{np.mean([trial.minutes() for trial in of_variant]):.1f}"
                lines.append(_row(photos.name, variant, [trial.means()["mean"] for trial in of_variant], minutes))
        first = [trial for trial in here if trial.variant == here[0].variant]
        for method, title in METHODS.items():
            lines.append(_row(photos.name, title, [trial.means()["mean"] | trial.means()[method] for trial in first], ""))
    return "\n".join(lines) + "\n"


def _row(photos: str, model: str, means: Sequence[dict[str, float]], minutes: str) -> str:
    cells = [photos, model, str(len(means)), *_cells(means), minutes]
    return f"| {' | '.join(cells)} |"


def _cells(means: Sequence[dict[str, float]]) -> Iterator[str]:
    for metric in METRICS:
        values = [mean[metric] for mean in means]
        spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
        yield f"{np.mean(values):.3f}{spread}"


def draw_figures(done: Sequence[Trial], out: Path) -> list[Path]:
    """Figures 2, 3 and 6 of drawn flowers, painted by the first `small` model of the first folder, with the column of the model
    without mutual information where there is one; nothing where neither is done."""
    first = {trial.variant: trial for trial in reversed(done)}
    if "small" not in first:
        return []
    paint, ablated = (first[name].model() if name in first else None for name in ("small", "without MI"))
    pictures = garden(2 * EXAMPLES, paint.config.size, seed=EXAMPLES_SEED).images.float() / 255
    source, target = pictures[:EXAMPLES], pictures[EXAMPLES:]
    with torch.no_grad():
        output, without = paint(source, target), None if ablated is None else ablated(source, target)
    drawn = {
        "figure2": figures.color_transfer(source[:2], target[:2], output[:2]),
        "figure3": figures.joint_histograms(source, target, output),
        "figure6": figures.comparison(source, target, output, without),
    }
    for name, figure in drawn.items():
        save(figure, out / f"{name}.png")
    return [out / f"{name}.png" for name in drawn]
