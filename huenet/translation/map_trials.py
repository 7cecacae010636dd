"""Aerial photos to maps, as in the SCC paper's Table 2: which translations are trained, how they are measured, and the table.

`huenet experiment maps` trains each `Trial` as `huenet translate train` would, so every row can also be made by hand.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..files import replacing
from ..training.metrics_log import training_minutes
from .map_measures import DIGITS, TITLES, measures
from .methods import PRESETS
from .model import load_translator
from .networks import to_networks, to_picture
from .system import TRANSLATOR

BATCH = PRESETS["small"].train.batch_size
VARIANTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "cyclegan": ("cyclegan", ()),
    "cyclegan + structure": ("cyclegan", ("structure",)),
    "cyclegan + harmonic": ("cyclegan", ("harmonic",)),
    "gan + structure": ("gan", ("structure",)),
    "gan": ("gan", ()),
}
"""Method, and the terms that are added to it. Without a cycle only the way from photos to maps is trained."""


@dataclass(frozen=True)
class Trial:
    """A variant trained with a seed, in a folder of its own within ``out``. ``weights``: of the terms that are added."""

    out: Path
    variant: str
    seed: int
    size: int
    steps: int
    weights: tuple[tuple[str, float], ...]

    @property
    def added(self) -> dict[str, float]:
        """The weights of this variant's own terms."""
        return {name: dict(self.weights)[name] for name in VARIANTS[self.variant][1]}

    @property
    def folder(self) -> Path:
        parts = [self.variant.replace(" + ", "-"), *(f"{weight:g}" for weight in self.added.values())]
        return self.out / f"{self.size}px-{self.steps}steps" / "-".join(parts) / f"seed{self.seed}"

    def train(self, a: Path, b: Path) -> list[str]:
        """The arguments of `huenet` that train it on folders of photos and of maps; the same ones go on with it."""
        method = VARIANTS[self.variant][0]
        options = {
            **{"a": a, "b": b, "out": self.folder, "method": method, "preset": "small"},
            **({} if method == "cyclegan" else {"directions": "a-to-b"}),
            **{f"{name}-weight": weight for name, weight in self.added.items()},
            **{"size": self.size, "steps": self.steps, "seed": self.seed},
        }
        given = (str(part) for name, value in options.items() for part in (f"--{name}", value))
        return ["translate", "train", *given, "--no-progress"]

    @property
    def report(self) -> Path:
        return self.folder / "measures.json"

    @property
    def done(self) -> bool:
        return self.report.exists()

    @torch.no_grad()
    def translate(self, photos: Tensor) -> Tensor:
        """Photos (N, 3, S, S) in [0, 1] -> maps, one at a time, as files are."""
        generator = load_translator(self.folder / TRANSLATOR)[0]["a-to-b"]
        return torch.cat([to_picture(generator(to_networks(photo))) for photo in photos.split(1)])

    def measure(self, photos: Tensor, maps: Tensor) -> None:
        """Write its measures of pairs, and the minutes that it trained."""
        found = measures(photos, self.translate(photos), maps)
        with replacing(self.report) as temporary:
            minutes = training_minutes(self.folder, BATCH)
            temporary.write_text(json.dumps({**found, "minutes": minutes}, indent=2) + "\n", encoding="utf-8")

    def measured(self) -> dict[str, float]:
        """What `measure` wrote."""
        found: dict[str, float] = json.loads(self.report.read_text(encoding="utf-8"))
        return found


def trials(out: Path, variants: Sequence[str], seeds: int, size: int, steps: int, weights: Mapping[str, float]) -> list[Trial]:
    """Seed by seed, so that a run that is cut short has the whole table of one seed."""
    return [Trial(out, variant, seed, size, steps, tuple(weights.items())) for seed in range(seeds) for variant in variants]


def untrained(photos: Tensor, maps: Tensor, other_maps: Tensor) -> dict[str, dict[str, float]]:
    """Measures of what needs no training, for comparison: the photo itself, the mean colour of the maps (M, 3, S, S) that are
    learnt from, and the truth, whose dependence on the photo is what a translation should have."""
    flat = other_maps.mean((0, 2, 3)).view(1, 3, 1, 1).expand_as(maps)
    return {
        "the photo itself": measures(photos, photos, maps),
        "one colour, the maps' mean": measures(photos, flat, maps),
        "the true map": measures(photos, maps, maps),
    }


def table(done: Sequence[Trial], beside: Mapping[str, Mapping[str, float]]) -> str:
    """Markdown: the measures of every variant, mean and deviation over the seeds, and of what stands beside them."""
    head = ["translation", "weight", "seeds", *TITLES.values(), "minutes"]
    lines = [f"| {' | '.join(head)} |", "|---|---:|---:|" + "---:|" * (len(TITLES) + 1)]
    for variant in dict.fromkeys(trial.variant for trial in done):
        some = [trial for trial in done if trial.variant == variant]
        found = [trial.measured() for trial in some]
        weight = ", ".join(f"{weight:g}" for weight in some[0].added.values())
        minutes = f"{np.mean([one['minutes'] for one in found]):.1f}"
        lines.append(_row(variant, weight, str(len(some)), found, minutes))
    lines += [_row(name, "", "", [one], "") for name, one in beside.items()]
    return "\n".join(lines) + "\n"


def _row(name: str, weight: str, seeds: str, found: Sequence[Mapping[str, float]], minutes: str) -> str:
    cells = []
    for measure, digits in DIGITS.items():
        values = [one[measure] for one in found]
        spread = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
        cells.append(f"{np.mean(values):.{digits}f}{spread}")
    return f"| {' | '.join([name, weight, seeds, *cells, minutes])} |"
