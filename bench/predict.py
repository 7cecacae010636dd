"""`python -m bench predict`: a training step's time, memory and MFU on a GPU, from counts made on a CPU. A prediction.

A step is made on this CPU with two images and with three, in bfloat16, not compiled; what grows with the batch and what does not
are told apart by that, and other batches are on the straight line. Counted are

    operations   of matrix products and convolutions, by torch's formulas; of histograms none
    bytes        what every operation reads and writes; an operator of huenet is one, of its inputs and outputs
    launches     operations that are no views
    memory       the most that is held at a time: weights, gradients, Adam's moments, averages, what backward passes wait for

The step takes as long as the operations at `OF_PEAK` of the vendor's peak and the bytes at `OF_BANDWIDTH` of the vendor's bandwidth
together, or as the launches, where these take longer. The memory is without cuDNN's workspaces, what the allocator rounds up or
cannot use, and the device's context, half a gigabyte.
"""

import dataclasses
import weakref
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from huenet.color_transfer.config import Config
from huenet.color_transfer.gan import HueGAN
from huenet.color_transfer.presets import PRESETS
from huenet.training.distributed import ALONE
from huenet.training.parts import tensors_of
from huenet.training.rates import Operations, known_peak

from . import tables

NAME = "NVIDIA H100 80GB HBM3"
BANDWIDTH = 3.35e12
"""Of its memory, from its data sheet."""
OF_PEAK, OF_BANDWIDTH, LAUNCH = 0.4, 0.8, 6e-6
"""What is assumed: shares that convolutions, and what only moves numbers, reach; seconds that the host takes for an operation."""


class Counts(NamedTuple):
    """Of a step."""

    operations: float
    bytes: float
    launches: float
    memory: float


class Step(NamedTuple):
    """Seconds by each bound."""

    operations: float
    bytes: float
    launches: float

    @property
    def seconds(self) -> float:
        return max(self.operations + self.bytes, self.launches)


class Memory(TorchDispatchMode):
    """Context that counts operations which launch something, the bytes that they move, and the bytes held, now and at most, in what
    was made within."""

    def __init__(self) -> None:
        super().__init__()
        self.launches = self.bytes = self.held = self.most = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = function(*args, **(kwargs or {}))
        made = list(tensors_of(output))
        for tensor in made:
            self._hold(tensor)
        if not function.is_view and not _only_allocates(function):
            self.launches += 1
            written = {id(tensor) for tensor in made}
            read = [tensor for tensor in tensors_of([args, kwargs]) if id(tensor) not in written]
            self.bytes += sum(map(_size, made)) + sum(map(_size, read))
        return output

    def _hold(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = id(storage), storage.nbytes()
        if key in self.known:
            return
        self.known.add(key)
        self.held += size
        self.most = max(self.most, self.held)
        weakref.finalize(storage, self._let_go, key, size).atexit = False

    def _let_go(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.held -= size


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _only_allocates(function: Any) -> bool:
    return function.overloadpacket.__name__.startswith(("empty", "new_empty", "detach", "alias", "scalar_tensor", "lift_fresh"))


def count(config: Config, batch: int) -> Counts:
    """Of a training step, the second: in the first one Adam and the average begin."""
    train = dataclasses.replace(config.train, batch_size=batch, precision="bfloat16")
    with Memory() as memory:
        trainer = HueGAN(dataclasses.replace(config, train=train), ALONE)
        size = config.model.size
        generator = torch.Generator().manual_seed(0)
        pair = [torch.rand(batch, 3, size, size, generator=generator) for _ in range(2)]
        trainer.step(0, *pair)
        memory.launches = memory.bytes = 0
        memory.most = memory.held
        with Operations() as operations:
            trainer.step(1, *pair)
    return Counts(operations.count, memory.bytes, memory.launches, memory.most)


def straight_line(config: Config) -> tuple[Counts, Counts]:
    """What a step counts without any image, and for each."""
    # not of one: what a batch of one is broadcast to need not be summed
    two, three = (count(config, images) for images in (2, 3))
    image = Counts(*(more - less for less, more in zip(two, three)))
    return Counts(*(both - 2 * each for both, each in zip(two, image))), image


def predict(counts: Counts, peak: float) -> Step:
    return Step(counts.operations / (OF_PEAK * peak), counts.bytes / (OF_BANDWIDTH * BANDWIDTH), counts.launches * LAUNCH)


def table(batch: int, presets: tuple[str, ...] = ("default", "paper")) -> str:
    """A row for each preset."""
    peak = known_peak(NAME, torch.bfloat16)
    if peak is None:
        raise ValueError(f"no peak is known of {NAME}")
    rows = []
    for preset in presets:
        fixed, image = straight_line(PRESETS[preset])
        counts = Counts(*(alone + batch * each for alone, each in zip(fixed, image)))
        step = predict(counts, peak)
        rows.append(
            [
                preset,
                f"{image.operations / 1e9:.1f}",
                f"{image.bytes / 1e6:,.0f} MB",
                f"{fixed.bytes / 1e9:.2f} GB",
                f"{counts.launches:,.0f}",
                *(tables.duration(seconds) for seconds in step),
                tables.duration(step.seconds),
                f"{counts.operations / step.seconds / peak:.0%}",
                f"{batch / step.seconds:,.0f}",
                f"{fixed.memory / 1e9:.2f} GB",
                f"{image.memory / 1e6:,.0f} MB",
                f"{counts.memory / 1e9:.1f} GB",
            ]
        )
    heads = ["preset", "GFLOP an image", "bytes an image", "bytes a step", "launches", "operations", "bytes", "launches"]
    heads += ["step", "MFU", "images/s", "memory a step", "memory an image", "memory"]
    return tables.markdown(heads, rows)
