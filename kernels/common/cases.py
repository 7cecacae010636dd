"""What an operator is tried with, declared once in its folder (cases.py) and drawn on by every suite.

`Cases` says how its inputs are made and called, and with which settings: tests compare all backends on them, the interpreter runs
them, GPU tests run them larger, and the compile report compiles what they launch. `Timing` is a row of the benchmark.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .operator import Operator

Settings = dict[str, Any]


def uniform(*shape: int, seed: int = 0, spill: float = 0.1) -> Tensor:
    """Samples over [0, 1] and `spill` beyond either end, float64."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * (1 + 2 * spill) - spill


def clustered(*shape: int, seed: int = 0) -> Tensor:
    """Samples in three clusters; the last ones lie at 0 and 1, just outside, far outside, and beyond any image. float64."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(shape, generator=generator, dtype=torch.float64) * 0.03
    x += torch.tensor([0.02, 0.52, 0.96], dtype=torch.float64)[torch.randint(3, shape, generator=generator)]
    special = torch.tensor([0.0, 1.0, -0.01, 1.02, -0.98, 1.97, -7.0, 9.0], dtype=torch.float64)[: shape[-1]]
    x[..., shape[-1] - len(special) :] = special
    return x


def image(*shape: int, seed: int = 0) -> Tensor:
    """Samples all over the range and beyond, then as many in clusters."""
    *lead, count = shape
    return torch.cat([uniform(*lead, count - count // 2, seed=seed), clustered(*lead, count // 2, seed=seed)], -1)


def votes(*shape: int, seed: int = 0) -> Tensor:
    """Positive weights, float64."""
    return uniform(*shape, seed=7 + seed, spill=0.0)


def points(*shape: int, seed: int = 0) -> Tensor:
    """Normally distributed, float64."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Input(NamedTuple):
    """One input: its shape for so many samples (points, pixels a side) of so many images, and how values are drawn."""

    name: str
    shape: Callable[[int, int], tuple[int, ...]]
    draw: Callable[..., Tensor]


@dataclass(frozen=True)
class Cases:
    """How one operator is called."""

    operator: Operator
    inputs: tuple[Input, ...]
    #: the public function: (inputs, backend, settings) -> result, differentiable in every input
    call: Callable[..., Tensor]
    #: settings by label; "weighted": False leaves the last input out
    settings: dict[str, Settings]
    #: the same for the compile report, the first those of the benchmark; its kernels are compiled for `rows` images of `size`
    compiled: dict[str, Settings]
    size: int
    rows: int
    #: samples of an image in the interpreter
    small: int = 37
    #: how much more than its inputs a result may change: (inputs, settings) -> factor of what rounding may take
    condition: Callable[..., float] = lambda inputs, settings: 1.0
    #: settings whose gradient errors are relative to, where the images of a sample at a boundary nearly cancel
    scale: Callable[[Settings], Settings] = lambda settings: settings

    @property
    def name(self) -> str:
        return self.operator.name

    def chosen(self, settings: Settings) -> tuple[Input, ...]:
        """The inputs of these settings."""
        return self.inputs if settings.get("weighted", True) else self.inputs[:-1]

    def draw(self, settings: Settings, size: int, rows: int = 1, dtype: torch.dtype = torch.float64) -> list[Tensor]:
        """Inputs, on the CPU."""
        return [given.draw(*given.shape(size, rows), seed=seed).to(dtype) for seed, given in enumerate(self.chosen(settings))]

    def on_meta(self, settings: Settings, dtype: torch.dtype = torch.float32) -> list[Tensor]:
        """Inputs of the compile report, without values."""
        shapes = [given.shape(self.size, self.rows) for given in self.chosen(settings)]
        return [torch.empty(shape, dtype=dtype, device="meta") for shape in shapes]

    def run(self, inputs: list[Tensor], backend: str | None, settings: Settings) -> Tensor:
        """The public function's result."""
        return self.call(inputs, backend, **{key: value for key, value in settings.items() if key != "weighted"})


@dataclass(frozen=True)
class Timing:
    """One row of the benchmark: an operator on `batch` images of side x side samples."""

    operator: str
    side: int = 256
    batch: int = 1
    bins: int = 256
    bandwidth: float = 0.4
    """Width of the soft bins' window, in bins."""
    stride: int = 8
    """Pixels from one patch of 8 x 8 to the next."""
    dtype: str = "float32"
    image: str = "noise"
    """noise: uniform. photo: the hue of real or drawn photos. constant: one colour, the worst case for sums in one place."""
    tier: str = "main"
    """Who runs: see bench/cases.py."""

    @property
    def samples(self) -> int:
        return self.side * self.side

    def vary(self, tier: str = "main", **values: Iterable[object]) -> Iterator[Timing]:
        """This row with each value of one field."""
        ((field, chosen),) = values.items()
        yield from (dataclasses.replace(self, tier=tier, **{field: value}) for value in chosen)


def weights_of(inputs: list[Tensor], count: int) -> Tensor | None:
    """The input after `count` others, where there is one."""
    return inputs[count] if len(inputs) > count else None


@functools.cache
def declared() -> dict[str, ModuleType]:
    """The module `cases` of every operator's folder, by the folder's name."""
    package = importlib.import_module("..", __package__)
    folders = [found.name for found in pkgutil.iter_modules(package.__path__) if found.ispkg and found.name != "common"]
    return {name: importlib.import_module(f"..{name}.cases", __package__) for name in folders}
