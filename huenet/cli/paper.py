"""`huenet paper`."""

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import claimed, replacing
from ..training.config import check_int
from . import trials as running
from .mistakes import must_be_writable, needs_extra, outputs_are_not_inputs, user_input

if TYPE_CHECKING:
    from ..color_transfer.paper import Trial


@dataclasses.dataclass(frozen=True)
class Paper:
    """Rerun the Hue-Net paper's Table 1 with its ablations, and figures 2, 3 and 6, on folders of photos.

    Trains `small`, the same without mutual information and without adversarial loss, and the paper's own choices at the same size,
    and evaluates each on photos held out: on the first folder with every seed, on the others with one. Stopped or killed, the same
    command goes on.

        huenet paper --data flower_color oxford102 cars --out runs/paper
        huenet paper --data flower_color --out runs/paper --steps 600 --minutes 60
    """

    data: tuple[Path, ...]
    """Folders of photos."""
    out: Path
    """Folder for table.md, the figures (of drawn flowers), and a folder for each training."""
    seeds: int = 3
    """Seeds on the first folder."""
    steps: int = 1_500
    """Training steps of each model."""
    pairs: int = 200
    """Pairs of photos that each is measured on."""
    minutes: float = float("inf")
    """Begin no training after so many minutes; the table then has what there is."""
    jobs: int = 1
    """Trainings at a time, each with its share of the cores."""

    def execute(self) -> int:
        needs_extra("paper")
        from ..color_transfer.paper import table, trials

        with contextlib.ExitStack() as stack:
            with user_input():
                self._check()
                stack.enter_context(claimed(self.out, "table"))
            plan = trials(self.data, self.out, self.seeds, self.steps, self.pairs)
            left = running.run_trials(plan, self._run, self.jobs, self.minutes, "paper")
            done = [trial for trial in plan if trial.done]
            figures = self._write(table(done), done)
        written = ", ".join(["table.md", *(path.name for path in figures)])
        print(f"written to {self.out}: {written}{running.what_is_left(left, plan)}")
        return 0

    def _check(self) -> None:
        for name in ("seeds", "steps", "pairs"):
            check_int(name, getattr(self, name), 1)
        running.check_budget(self.jobs, self.minutes)
        names = [folder.name for folder in self.data]
        if not names or len({*names}) < len(names):
            raise ValueError(f"data must be folders of different names, got {', '.join(names) or 'none'}")
        for folder in self.data:
            if not folder.is_dir():
                raise ValueError(f"data must be folders of photos, got {folder}")
            outputs_are_not_inputs(self.out, folder)
        must_be_writable(self.out)

    def _run(self, trial: "Trial") -> None:
        running.run_huenet(trial.train(), self.jobs)
        running.run_huenet(trial.evaluate(), self.jobs)

    def _write(self, text: str, done: "Sequence[Trial]") -> list[Path]:
        from ..color_transfer.paper import draw_figures

        with replacing(self.out / "table.md") as temporary:
            temporary.write_text(text, encoding="utf-8")
        print(text)
        return draw_figures(done, self.out)
