"""`huenet paper`."""

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from ..training.config import check_int
from .mistakes import Mistake, must_be_writable, needs_extra, outputs_are_not_inputs, user_input

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

        with user_input():
            self._check()
            plan = trials(self.data, self.seeds, self.out)
        started = time.monotonic()
        with ThreadPoolExecutor(self.jobs) as pool, tqdm(total=len(plan), desc="paper", unit="model", disable=None) as bar:
            pending = [pool.submit(self._run, trial, started) for trial in plan]
            try:
                for one in as_completed(pending):
                    one.result()
                    bar.update()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        done = [trial for trial in plan if trial.done]
        self._write(table(done), done)
        left = len(plan) - len(done)
        print(
            f"written to {self.out}: table.md" + f"; {left} of {len(plan)} models are left: the same command goes on" * bool(left)
        )
        return 0

    def _check(self) -> None:
        for name in ("seeds", "steps", "pairs", "jobs"):
            check_int(name, getattr(self, name), 1)
        if not self.minutes > 0:
            raise ValueError(f"minutes must be positive, got {self.minutes}")
        names = [folder.name for folder in self.data]
        if not names or len({*names}) < len(names):
            raise ValueError(f"data must be folders of different names, got {', '.join(names) or 'none'}")
        for folder in self.data:
            if not folder.is_dir():
                raise ValueError(f"data must be folders of photos, got {folder}")
            outputs_are_not_inputs(self.out, folder)
        must_be_writable(self.out)

    def _run(self, trial: "Trial", started: float) -> None:
        if not trial.done and time.monotonic() - started < 60 * self.minutes:
            self._huenet(trial.train(self.steps))
            self._huenet(trial.evaluate(self.pairs))

    def _huenet(self, arguments: Sequence[str]) -> None:
        """Run a command in a process of its own, as it would be run by hand."""
        threads = str(max(1, (os.cpu_count() or 1) // self.jobs))
        run = subprocess.run(
            [sys.executable, "-m", "huenet", *arguments],
            env={"OMP_NUM_THREADS": threads, **os.environ},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        if run.returncode:
            said = run.stderr.strip().splitlines()[-1:] or [f"exit code {run.returncode}"]
            raise Mistake(f"huenet {' '.join(arguments)}: {said[0].removeprefix('huenet: error: ')}")

    def _write(self, text: str, done: "Sequence[Trial]") -> None:
        from ..color_transfer.paper import draw_figures
        from ..files import replacing

        with replacing(self.out / "table.md") as temporary:
            temporary.write_text(text, encoding="utf-8")
        print(text)
        draw_figures(done, self.out)
