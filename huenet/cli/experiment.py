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
from .mistakes import must_be_writable, outputs_are_not_inputs, user_input


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Try one of the other losses on real photos: a figure and its numbers, within a minute.

    structure and harmonic want a folder of pairs, NAME_A a photo and NAME_B its map; contextual any photos; histogan, without
    --data, draws flowers.

        huenet experiment structure --data maps/val_paired --out experiments
        huenet experiment histogan --out experiments
    """

    loss: tyro.conf.Positional[Literal["structure", "contextual", "harmonic", "histogan"]]
    """Which loss."""
    out: Path
    """Folder for LOSS.png and LOSS.json."""
    data: Path | None = None
    """Folder of images."""
    seed: int = 0
    """Seed of everything random."""

    def execute(self) -> int:
        experiment = importlib.import_module(f"huenet.experiments.{self.loss}")
        with contextlib.ExitStack() as stack:
            with user_input():
                check_int("seed", self.seed, 0)
                if self.data is not None:
                    outputs_are_not_inputs(self.out, self.data)
                elif self.loss != "histogan":
                    raise ValueError(f"--data must be given for {self.loss}: a folder of images")
                must_be_writable(self.out)
                stack.enter_context(claimed(self.out, self.loss))
                result = experiment.run(self.data, self.out, seed=self.seed)
            text = json.dumps(result, indent=2)
            with replacing(self.out / f"{self.loss}.json") as temporary:
                temporary.write_text(text + "\n")
        print(text)
        print(f"written to {self.out}: {self.loss}.png, {self.loss}.json")
        return 0
