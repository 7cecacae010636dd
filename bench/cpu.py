"""`python -m bench cpu`: what makes a training step on a CPU faster, and what does not.

Ways of computing the same step take turns, so that all see the same moments of a busy machine; ratios are of medians. Each has a
trainer of its own; how far its first losses are from the plain one's tells what it costs in exactness.
"""

import dataclasses
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from huenet.kernels.common.devices import cores
from huenet.training.distributed import check_compiler

from . import tables
from .training import Step, configuration

WARM_UP = 2


@dataclasses.dataclass(frozen=True)
class Way:
    """How a step is computed: memory format, arithmetic, compiled or not, on all threads or one."""

    channels_last: bool = False
    bfloat16: bool = False
    compiled: bool = False
    one_thread: bool = False

    @property
    def title(self) -> str:
        chosen = [field.name.replace("_", " ") for field in dataclasses.fields(self) if getattr(self, field.name)]
        return ", ".join(chosen) or "plain"


PLAIN = Way()
WAYS = (
    PLAIN,
    Way(one_thread=True),
    Way(channels_last=True),
    Way(bfloat16=True),
    Way(bfloat16=True, channels_last=True),
    Way(compiled=True),
    Way(compiled=True, bfloat16=True),
)


def measure(
    ways: tuple[Way, ...], threads: int, preset: str, size: int, batch: int, bins: int, steps: int, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Seconds of steps, and the total of the first losses, of each way. Raises ValueError where one cannot be had here."""
    if any(way.compiled for way in ways):
        check_compiler(torch.device("cpu"))
    trials = []
    for way in ways:
        trials.append(trial := _Trial(way, threads, preset, size, batch, bins))
        say(f"{trial.way.title}: first loss {trial.first:.6g}, after {trial.prepared:.0f} s")
    for number in range(WARM_UP + steps):
        for trial in trials:
            trial.once()
        say(f"step {number + 1 - WARM_UP}/{steps}: " + ", ".join(f"{trial.seconds[-1]:.3g} s" for trial in trials))
    return [{"way": trial.way.title, "first_loss": trial.first, "seconds": trial.seconds[WARM_UP:]} for trial in trials]


class _Trial:
    def __init__(self, way: Way, threads: int, preset: str, size: int, batch: int, bins: int) -> None:
        self.way, self.threads = way, 1 if way.one_thread else threads
        config = configuration(preset, size, batch, bins)
        precision = "bfloat16" if way.bfloat16 else "float32"
        config = dataclasses.replace(config, train=dataclasses.replace(config.train, precision=precision))
        self.step = Step(config, "huenet", "cpu", "inductor" if way.compiled else None)
        if way.channels_last:
            for network in self.step.trainer.networks.networks.values():
                network.to(memory_format=torch.channels_last)
        self.seconds: list[float] = []
        self.first = self.once()
        self.prepared = self.seconds.pop()

    def once(self) -> float:
        with cores(self.threads):
            start = time.perf_counter()
            total = self.step().item()
            self.seconds.append(time.perf_counter() - start)
        return total


def table(found: list[dict[str, Any]]) -> str:
    """A row for each way."""
    plain = found[0]
    usual = statistics.median(plain["seconds"])
    rows = []
    for trial in found:
        median = statistics.median(trial["seconds"])
        apart = abs(trial["first_loss"] / plain["first_loss"] - 1)
        digits = "same" if apart == 0 else f"1e{math.ceil(math.log10(apart))}"
        rows.append([trial["way"], tables.duration(median), f"{usual / median:.2f}", digits])
    return tables.markdown(["way", "step", "times as fast", "first loss within"], rows)
