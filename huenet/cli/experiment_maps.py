"""`huenet experiment maps`."""

import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..files import claimed, replacing
from ..training.config import check_int, check_number
from . import trials as running
from .mistakes import must_be_writable, needs_extra, outputs_are_not_inputs, user_input

if TYPE_CHECKING:
    from torch import Tensor

    from ..translation.map_trials import Trial

EXAMPLES = 5


@dataclasses.dataclass(frozen=True)
class ExperimentMaps:
    """Translate aerial photos to maps, as in the SCC paper's Table 2: learnt from folders that are no pairs, measured on pairs.

    Trains CycleGAN, the same with structure consistency and with HarmonicGAN's smoothness, and a GAN with and without structure
    consistency, with the networks of translate train --preset small. Stopped, killed, or out of minutes, the same command goes on.

        huenet experiment maps --a maps/trainA --b maps/trainB --pairs maps/val --out runs/maps --jobs 2
        huenet experiment maps --a maps/trainA --b maps/trainB --pairs maps/val --out runs/maps --size 128 --steps 1000 --minutes 60
    """

    a: Path
    """Folder of photos to learn from."""
    b: Path
    """Folder of maps to learn from, of whatever places."""
    pairs: Path
    """Folder of pairs to measure with: images NAME_A, a photo, and NAME_B, its map."""
    out: Path
    """Folder for table.md, comparison.png, scatter.png, and a folder for each training."""
    variants: tuple[Literal["cyclegan", "cyclegan + structure", "cyclegan + harmonic", "gan + structure", "gan"], ...] = (
        "cyclegan",
        "cyclegan + structure",
        "cyclegan + harmonic",
        "gan + structure",
        "gan",
    )
    """What is trained."""
    structure_weight: float = 5.0
    """Weight of structure consistency: the SCC authors' for images with large flat areas."""
    harmonic_weight: float = 1.0
    """Weight of HarmonicGAN's smoothness."""
    size: int = 64
    """Side of the images in pixels, in training and measuring."""
    seeds: int = 1
    """Seeds of each."""
    steps: int = 4_000
    """Training steps of each, 4 photos and 4 maps a step."""
    minutes: float = float("inf")
    """Begin no training after so many minutes; the table then has what there is."""
    jobs: int = 1
    """Trainings at a time, each with its share of the cores."""

    def execute(self) -> int:
        needs_extra("experiment maps")
        from ..data import load_folder
        from ..data.images import load_pairs
        from ..translation.map_trials import untrained

        with contextlib.ExitStack() as stack:
            with user_input():
                plan = self._plan()
                must_be_writable(self.out)
                stack.enter_context(claimed(self.out, "table"))
                photos, maps = load_pairs(self.pairs, self.size)
                learnt = load_folder(self.b, self.size, minimum=1)

            def run(trial: "Trial") -> None:
                running.run_huenet(trial.train(self.a, self.b), self.jobs)
                trial.measure(photos, maps)

            left = running.run_trials(plan, run, self.jobs, self.minutes, "maps")
            done = [trial for trial in plan if trial.done]
            self._write(done, photos, maps, untrained(photos, maps, learnt.pictures(range(len(learnt)))))
        print(f"written to {self.out}: table.md, comparison.png, scatter.png{running.what_is_left(left, plan)}")
        return 0

    def _plan(self) -> "list[Trial]":
        from ..translation.config import ModelConfig
        from ..translation.map_trials import trials

        check_int("seeds", self.seeds, 1)
        check_int("steps", self.steps, 1)
        running.check_budget(self.jobs, self.minutes)
        ModelConfig(size=self.size, discriminator_depth=2)
        weights = {"structure": self.structure_weight, "harmonic": self.harmonic_weight}
        for name, weight in weights.items():
            check_number(f"{name}_weight", weight, 0.0)
        if not self.variants:
            raise ValueError("variants must be at least one, got none")
        for folder in (self.a, self.b, self.pairs):
            outputs_are_not_inputs(self.out, folder)
        return trials(self.out, tuple(dict.fromkeys(self.variants)), self.seeds, self.size, self.steps, weights)

    def _write(self, done: "list[Trial]", photos: "Tensor", maps: "Tensor", beside: dict[str, dict[str, float]]) -> None:
        from ..plotting import save
        from ..translation.map_figures import scatter, side_by_side
        from ..translation.map_trials import table

        text = table(done, beside)
        with replacing(self.out / "table.md") as temporary:
            temporary.write_text(text, encoding="utf-8")
        print(text)
        shown = range(0, len(photos), max(1, len(photos) // EXAMPLES))[:EXAMPLES]
        first = {trial.variant: trial.translate(photos[shown]) for trial in reversed(done)}
        outputs = {trial.variant: first[trial.variant] for trial in done} | {"true map": maps[shown]}
        save(side_by_side({"photo": photos[shown], **outputs}), self.out / "comparison.png")
        save(scatter(photos[shown[0]], {name: images[0] for name, images in outputs.items()}), self.out / "scatter.png")
