"""The digits of the SCC paper's Table 1 (Guo et al. 2022): which translations are trained, how they are measured, and the table.

`huenet experiment digits` trains each `Trial` as `huenet translate train` would, so every row can also be made by hand.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from ..files import replacing
from ..networks import DigitClassifier
from ..training.metrics_log import training_minutes
from .config import DIRECTIONS, Direction
from .digits import LOOKS, Digits, Look, write_pngs
from .judges import accuracy, train_classifier
from .methods import PRESETS, configuration
from .model import load_translator
from .networks import Generators, source_of, target_of, to_networks, to_picture
from .system import TRANSLATOR

LOOK_OF: dict[str, Look] = dict(zip("ab", LOOKS))
BATCH = PRESETS["digits"].train.batch_size
TITLES = {"a-to-b": "MNIST to MNIST-M", "b-to-a": "MNIST-M to MNIST"}
USES = {"test": "as test set", "training": "as training set"}
SHOWN = 20
"""Of the translated test digits, how many are kept as pictures."""
COLUMNS = [(use, direction) for use in USES for direction in DIRECTIONS]
PUBLISHED = {
    ("gan", False): ("54.6 ± 40.5", "80.3 ± 3.5", "45.7 ± 31.2", "95.5 ± 0.4"),
    ("gan", True): ("96.3 ± 0.2", "90.9 ± 0.5", "86.2 ± 1.9", "96.0 ± 0.1"),
    ("cyclegan", False): ("95.3 ± 0.4", "84.7 ± 2.5", "83.8 ± 3.0", "95.9 ± 0.4"),
    ("cyclegan", True): ("96.7 ± 0.1", "91.5 ± 0.3", "87.7 ± 2.1", "96.1 ± 0.2"),
    ("gcgan-rot", False): ("95.0 ± 0.6", "85.9 ± 0.8", "84.6 ± 2.8", "96.0 ± 0.1"),
    ("gcgan-rot", True): ("96.4 ± 0.3", "91.8 ± 1.0", "89.5 ± 0.6", "96.1 ± 0.1"),
    ("gcgan-vf", False): ("95.2 ± 0.4", "84.5 ± 1.5", "83.8 ± 3.0", "95.9 ± 0.4"),
    ("gcgan-vf", True): ("96.6 ± 0.3", "91.8 ± 0.8", "87.8 ± 2.3", "96.1 ± 0.1"),
}
"""Table 1 of the paper, on MNIST-M itself: by method, and whether with SCC, in the order of `COLUMNS`. The last three values of
GcGAN-vf without SCC are CycleGAN's there too."""


@dataclass(frozen=True)
class Structure:
    """Options of structure consistency, as of `huenet.translation.config.LossConfig`; weight 0 is none."""

    weight: float = 0.0
    form: str = "published"
    sigma: float | None = None
    ridge: float | None = None

    def __str__(self) -> str:
        if not self.weight:
            return "none"
        parts = [f"{name} {value:g}" for name, value in (("sigma", self.sigma), ("ridge", self.ridge)) if value is not None]
        return " ".join([f"{self.weight:g}", *([self.form] if self.form != "published" else []), *parts])

    def options(self) -> dict[str, Any]:
        """Of `huenet translate train`."""
        return {f"structure-{name}": value for name, value in asdict(self).items() if self.weight and value is not None}


@dataclass(frozen=True)
class Trial:
    """A method with or without structure consistency, trained with a seed, in a folder of its own within ``out``."""

    out: Path
    method: str
    structure: Structure
    seed: int
    steps: int
    width: int
    directions: Literal["both", "a-to-b", "b-to-a"] = "both"

    @property
    def folder(self) -> Path:
        suffix = "" if self.directions == "both" else f"-{self.directions}"
        structure = f"scc-{str(self.structure).replace(' ', '-')}"
        return self.out / f"{self.method}-width-{self.width}{suffix}" / structure / f"seed{self.seed}"

    def check(self) -> None:
        """Raises ``ValueError`` for settings that cannot work, before any model is trained."""
        base, structure = configuration(self.method, "digits"), asdict(self.structure)
        dataclasses.replace(
            base,
            model=dataclasses.replace(base.model, width=self.width, discriminator_width=self.width, directions=self.directions),
            loss=dataclasses.replace(base.loss, **{f"structure_{name}": value for name, value in structure.items()}),
            train=dataclasses.replace(base.train, steps=self.steps, seed=self.seed),
        )

    def train(self, folders: Mapping[Look, Path]) -> list[str]:
        """The arguments of `huenet` that train it on PNGs of either look; the same ones, also with more steps, go on with it."""
        options = {
            **{side: folders[look] for side, look in LOOK_OF.items()},
            "out": self.folder,
            "method": self.method,
            "preset": "digits",
            "directions": self.directions,
            "width": self.width,
            "discriminator-width": self.width,
            **self.structure.options(),
            "steps": self.steps,
            "seed": self.seed,
        }
        given = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
        return ["translate", "train", *given, "--no-progress"]

    @property
    def report(self) -> Path:
        return self.folder / f"accuracy-{self.steps}.json"

    @property
    def done(self) -> bool:
        return self.report.exists()

    def measure(self, digits: Digits, judges: Mapping[Look, DigitClassifier]) -> None:
        """Write the accuracies of what the trained generators make: of `judges` on it, and of classifiers trained on it."""
        model, metadata = load_translator(self.folder / TRANSLATOR)
        if metadata["step"] != self.steps:
            raise ValueError(f"{self.folder} must have been trained for {self.steps} steps, got {metadata['step']}")
        found: dict[str, dict[str, float]] = {use: {} for use in USES}
        for direction in model.config.trained:
            source, target = LOOK_OF[source_of(direction)], LOOK_OF[target_of(direction)]
            translated = translate_digits(model, digits.test[source], direction)
            write_pngs(translated[:SHOWN], pictures(self.folder, self.steps, direction))
            found["test"][direction] = accuracy(judges[target], translated, digits.test_labels)
            learner = train_classifier(translate_digits(model, digits.train[source], direction), digits.train_labels)
            found["training"][direction] = accuracy(learner, digits.test[target], digits.test_labels)
        about = {name: getattr(self, name) for name in ("method", "directions", "width", "seed")}
        about["structure"] = asdict(self.structure)
        record = {**about, "minutes": training_minutes(self.folder, BATCH), **found}
        with replacing(self.report) as temporary:
            temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def pictures(folder: Path, steps: int, direction: Direction) -> Path:
    """The folder, in that of a trial, of some test digits that it has translated after so many steps."""
    return folder / "translated" / f"{direction}-{steps}"


@torch.no_grad()
def translate_digits(model: Generators, images: Tensor, direction: Direction) -> Tensor:
    """uint8 (N, C, 32, 32) -> uint8 (N, C', 32, 32)."""
    made = [to_picture(model[direction](to_networks(some.float() / 255))) for some in images.split(512)]
    return (255 * torch.cat(made)).round().byte()


@dataclass(frozen=True)
class Row:
    """What trials that differ in their seeds alone came to: accuracies by column, a value for each seed that has it.

    ``folder``: of the first seed's trial, after ``steps``.
    """

    method: str
    structure: Structure
    width: int
    seeds: list[int]
    minutes: list[float]
    values: dict[tuple[str, Direction], list[float]]
    folder: Path
    steps: int

    @property
    def name(self) -> str:
        return f"{self.method}, SCC {self.structure}" if self.structure.weight else self.method

    def pictures(self, direction: Direction) -> list[Path]:
        """Test digits that the first seed's trial has translated, in their order; none where it has not this direction."""
        return sorted(pictures(self.folder, self.steps, direction).glob("*.png"))

    @classmethod
    def of(cls, found: Mapping[Path, dict[str, Any]], steps: int) -> Self:
        """Of what the trials in these folders have written after so many steps."""
        records = list(found.values())
        first = records[0]
        values = {(use, way): [record[use][way] for record in records if way in record[use]] for use, way in COLUMNS}
        seeds = sorted({record["seed"] for record in records})
        structure, minutes = Structure(**first["structure"]), [record["minutes"] for record in records]
        return cls(first["method"], structure, first["width"], seeds, minutes, values, next(iter(found)), steps)


def rows(out: Path, steps: int) -> list[Row]:
    """Of all trials in ``out`` that were measured after so many steps: those of both directions first, by method as published, then
    by structure."""
    order = [method for method, _ in PUBLISHED]
    paths = sorted(out.glob(f"*/*/seed*/accuracy-{steps}.json"))
    records = {path.parent: json.loads(path.read_text(encoding="utf-8")) for path in paths}
    groups: dict[tuple[Any, ...], dict[Path, dict[str, Any]]] = {}
    for folder, record in records.items():
        about = tuple(record["structure"][field.name] for field in fields(Structure))
        key = record["directions"] != "both", order.index(record["method"]), record["width"], *about
        groups.setdefault((*key[:4], *map(str, key[4:])), {})[folder] = record  # None and numbers have no order
    return [Row.of(groups[key], steps) for key in sorted(groups)]


def table(found: Sequence[Row], real: Mapping[Look, float]) -> str:
    """Markdown: percentages of every row, mean and deviation over seeds, the paper's beside them; ``real``: of true test digits."""
    heads = [f"{USES[use]}: {TITLES[direction]}" for use, direction in COLUMNS]
    lines = [
        f"Classifiers of true test digits: MNIST {100 * real['mnist']:.1f} %, made as MNIST-M {100 * real['mnist-m']:.1f} %.",
        "",
        f"| method | SCC | width | seeds | minutes | {' | '.join(f'{head} | paper' for head in heads)} |",
        f"|---|---|---:|---:|---:|{'---:|---:|' * len(heads)}",
    ]
    for row in found:
        published = PUBLISHED[row.method, row.structure.weight > 0]
        cells = [part for column, theirs in zip(COLUMNS, published) for part in (_spread(row.values[column]), theirs)]
        about = [row.method, str(row.structure), str(row.width), str(len(row.seeds)), f"{np.mean(row.minutes):.1f}"]
        lines.append(f"| {' | '.join([*about, *cells])} |")
    return "\n".join(lines) + "\n"


def _spread(values: Sequence[float]) -> str:
    if not values:
        return ""
    percent = 100 * np.array(values)
    return f"{percent.mean():.1f}" + (f" ± {percent.std(ddof=1):.1f}" if len(values) > 1 else "")
