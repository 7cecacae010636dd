"""One process or many: what training needs to know and do when started by torchrun.

torchrun --nproc-per-node 8 -m huenet train --data photos --out run
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class World:
    """This process among ``size`` processes, its device, and the backend of ``torch.compile`` that it computes with, if any."""

    device: torch.device
    rank: int = 0
    size: int = 1
    compiler: str | None = None

    @property
    def main(self) -> bool:
        """Whether this is the one process that writes and prints."""
        return self.rank == 0

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module, its gradients averaged over all processes in its backward pass."""
        if self.size == 1:
            return module
        return DistributedDataParallel(module, device_ids=[self.device] if self.device.type == "cuda" else None)

    def mean(self, values: Tensor) -> Tensor:
        """Mean over all processes, in each of them."""
        if self.size > 1:
            values = values.clone()
            dist.all_reduce(values)
            values /= self.size
        return values

    def gather(self, values: Tensor) -> Tensor:
        """All processes' values (N, ...), of one shape, in the order of ranks: (size * N, ...), in each of them."""
        if self.size == 1:
            return values
        parts = [torch.empty_like(values, memory_format=torch.contiguous_format) for _ in range(self.size)]
        dist.all_gather(parts, values.contiguous())
        return torch.cat(parts)

    def max(self, value: int) -> int:
        """Largest of all processes' values, in each of them."""
        if self.size == 1:
            return value
        shared = torch.tensor(value, device=self.device)
        dist.all_reduce(shared, dist.ReduceOp.MAX)
        return int(shared)

    def is_broken(self, error: RuntimeError) -> bool:
        """Whether the error is that of a connection to a process that is gone, as gloo and NCCL tell it."""
        if self.size == 1:
            return False
        # NCCL's, and those of torch's store, have types of their own; gloo's are plain ones, with its source in the text
        return isinstance(error, dist.DistError) or "gloo" in str(error).lower() or "Connection closed by peer" in str(error)

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            dist.barrier()


ALONE = World(torch.device("cpu"))
"""One process on the CPU."""


@contextlib.contextmanager
def joined(device: str = "auto", compiler: str | None = None) -> Iterator[World]:
    """Join the processes that torchrun started, or be the only one; leave them at the end.

    ``device``: any of torch's names, or auto: this process's GPU where there is one. ``compiler``: see `World`. Raises
    ``ValueError`` for a device or a compiler that is not there.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    chosen = find_device(device)
    if compiler == "inductor":
        check_compiler(chosen)
    if size == 1:
        yield World(chosen, compiler=compiler)
        return
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield World(chosen, dist.get_rank(), size, compiler)
    finally:
        dist.destroy_process_group()


def find_device(name: str) -> torch.device:
    """The device called ``name``; auto: the GPU where there is one. Raises ``ValueError`` if it is not available."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device.type == "cuda" and device.index is None:
            device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.empty(0, device=device).cpu()  # there, and with data, unlike torch's "meta"
    # what torch raises where it knows no such device, was built without it, and for "meta", which has no data to copy
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"device {name} is not available: {str(error).splitlines()[0].split('. ')[0]}") from error
    return device


def check_compiler(device: torch.device) -> None:
    """Raises ``ValueError`` where torch's inductor lacks what it compiles with for the device."""
    if device.type == "cuda":
        names, what = (os.environ.get("CC", "cc"), "gcc", "clang"), "a C compiler, for Triton"
    else:
        names, what = (os.environ.get("CXX", "c++"), "g++", "clang++"), "a C++ compiler"
    if not any(map(shutil.which, names)):
        raise ValueError(
            f"compile needs {what} (one of {', '.join(dict.fromkeys(names))}), found none: install one, or leave it out"
        )
