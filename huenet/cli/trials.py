"""What commands share that train many models: each model by a command in a process of its own, some at a time, within a budget."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Protocol, TypeVar

from tqdm import tqdm

from ..training.config import check_int
from .mistakes import Mistake


class Trial(Protocol):
    """A model to be trained and measured."""

    @property
    def done(self) -> bool: ...


T = TypeVar("T", bound=Trial)


def check_budget(jobs: int, minutes: float) -> None:
    """Raises ``ValueError`` for options that no run can have."""
    check_int("jobs", jobs, 1)
    if not minutes > 0:
        raise ValueError(f"minutes must be positive, got {minutes}")


def run_trials(plan: Sequence[T], run: Callable[[T], None], jobs: int, minutes: float, title: str) -> list[T]:
    """Run what is not done, ``jobs`` at a time, in order, and begin none after so many minutes; returns what is left.

    After an error or Ctrl-C none is begun any more, and it is raised.
    """
    started = time.monotonic()

    def run_in_time(trial: T) -> None:
        if not trial.done and time.monotonic() - started < 60 * minutes:
            run(trial)

    with ThreadPoolExecutor(jobs) as pool, tqdm(total=len(plan), desc=title, unit="model", disable=None) as bar:
        pending = [pool.submit(run_in_time, trial) for trial in plan]
        try:
            for one in as_completed(pending):
                one.result()
                bar.update()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [trial for trial in plan if not trial.done]


def what_is_left(left: Sequence[Trial], plan: Sequence[Trial]) -> str:
    """For the last line of output; nothing where all is done."""
    return f"; {len(left)} of {len(plan)} models are left: the same command goes on" * bool(left)


def run_huenet(arguments: Sequence[str], jobs: int) -> None:
    """Run a command in a process of its own, as it would be run by hand, with its share of the cores. Raises `Mistake` with what it
    says where it fails."""
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
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
