"""Some steps of a run taken apart: OUT/profile.md, the time of each part, and OUT/profile.json.gz, a trace for trace viewers."""

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch.profiler import ProfilerActivity

from ..files import replacing
from .parts import Shares

Output = TypeVar("Output")
WARM_UP = 3
"""Steps before: in the first ones memory is asked for, and what is compiled is compiled."""
TRACE = "profile.json.gz"
TABLE = "profile.md"


def steps_of(count: int) -> int:
    """What a profile of so many steps takes."""
    return WARM_UP + 2 * count


class StepProfile:
    """Watches ``count`` steps after `WARM_UP` others, and traces as many after these: tracing takes time itself."""

    def __init__(self, count: int, device: torch.device) -> None:
        self.count, self.shares, self.number = count, Shares(device), 0
        activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device.type == "cuda")
        self.trace = torch.profiler.profile(activities=activities)

    @property
    def done(self) -> bool:
        return self.number == steps_of(self.count)

    def __call__(self, step: Callable[[], Output]) -> Output:
        """What the step returns; it is watched or traced, if it is its turn."""
        traced = WARM_UP + self.count
        if self.number == traced:
            self.trace.start()
        output = self.shares.watch(step) if WARM_UP <= self.number < traced else step()
        self.number += 1
        if self.done:
            self.trace.stop()
        return output

    def abandon(self) -> None:
        """Where training ends before it is done."""
        if self.number > WARM_UP + self.count and not self.done:
            self.trace.stop()

    def write(self, folder: Path, first: int, about: str, batch_size: int, used: float | None) -> None:
        """``first``: the number of the first step watched; ``about``: where it ran; ``batch_size``: of all processes; ``used``: the
        operations of a step over those of the device's peak in a second, if known."""
        with replacing(folder / TRACE) as temporary:
            self.trace.export_chrome_trace(str(temporary))
        with replacing(folder / TABLE) as temporary:
            temporary.write_text(self._page(first, about, batch_size, used), encoding="utf-8")

    def _page(self, first: int, about: str, batch_size: int, used: float | None) -> str:
        means, median = self.shares.means(), statistics.median(self.shares.steps())
        whole = sum(means.values())
        rows = [f"| {part} | {1e3 * seconds:.2f} ms | {seconds / whole:.1%} |" for part, seconds in means.items()]
        speed = f"{batch_size / median:.3g} images/s" + ("" if used is None else f", MFU {used / median:.1%}")
        last = first + self.count - 1
        return "\n".join(
            [
                f"Steps {first} to {last}, {about}: median {1e3 * median:.3g} ms, {speed}.",
                "",
                "| part | mean of a step | share |",
                "|---|---|---|",
                *rows,
                "",
                f"Each with its backward pass; losses begin the backward pass. {TRACE} is a trace of steps {last + 1} to "
                f"{last + self.count}, in which each operation takes longer, for https://ui.perfetto.dev or chrome://tracing.",
                "",
            ]
        )
