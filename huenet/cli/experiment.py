"""`huenet experiment`."""

import contextlib
import dataclasses
import importlib
import json
from pathlib import Path
from typing import Literal

import tyro

from ..files import claimed, replacing
from ..training.config import check_int
from .mistakes import must_be_writable, needs_extra, outputs_are_not_inputs, user_input


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Try one of the other losses: a figure and its numbers, within a minute or two.

    structure and harmonic want a folder of pairs, NAME_A a photo and NAME_B its map; contextual any photos. histogan,
    consistency, style and domain draw flowers where no photos are given; registration, by mutual information, draws its images.
    `huenet experiment maps` and `huenet experiment digits` are commands of their own, and take longer.

        huenet experiment structure --data maps/val_paired --out experiments
        huenet experiment registration --out experiments
    """

    loss: tyro.conf.Positional[
        Literal["structure", "contextual", "harmonic", "histogan", "consistency", "registration", "style", "domain"]
    ]
    """Which loss."""
    out: Path
    """Folder for LOSS.png and LOSS.json."""
    data: Path | None = None
    """Folder of images; none for registration."""
    seed: int = 0
    """Seed of everything random."""

    def execute(self) -> int:
        needs_extra("experiment")
        experiment = importlib.import_module(f"huenet.experiments.{self.loss}")
        with contextlib.ExitStack() as stack:
            with user_input():
                check_int("seed", self.seed, 0)
                self._check_data()
                must_be_writable(self.out)
                stack.enter_context(claimed(self.out, self.loss))
                given = () if self.loss == "registration" else (self.data,)
                result = experiment.run(*given, self.out, seed=self.seed)
            text = json.dumps(result, indent=2)
            with replacing(self.out / f"{self.loss}.json") as temporary:
                temporary.write_text(text + "\n")
        print(text)
        print(f"written to {self.out}: {self.loss}.png, {self.loss}.json")
        return 0

    def _check_data(self) -> None:
        if self.data is not None:
            outputs_are_not_inputs(self.out, self.data)
        if self.loss == "registration" and self.data is not None:
            raise ValueError(f"data must not be given for registration, which draws its images, got {self.data}")
        if self.loss in ("structure", "contextual", "harmonic") and self.data is None:
            raise ValueError(f"data must be a folder of images for {self.loss}, got none: --data FOLDER")
