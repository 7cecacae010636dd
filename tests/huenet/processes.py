"""A function in several processes that talk through gloo."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from tests.huenet import forked


def run(work: Callable[[int], Any], size: int, folder: Path) -> list[Any]:
    """What the function returns for each rank: tensors, or lists and dictionaries of them. `folder` must be empty."""
    forked.get_ready()

    def process(rank: int) -> Callable[[], None]:
        def joined() -> None:
            dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=size)
            torch.save(work(rank), folder / f"{rank}.pt")
            dist.barrier()
            dist.destroy_process_group()

        return joined

    errors = [folder / f"{rank}.txt" for rank in range(size)]
    started = [forked.start(process(rank), file) for rank, file in enumerate(errors)]
    endings = [forked.wait(number, file) for number, file in zip(started, errors)]
    assert all(ending.code == 0 for ending in endings), [ending.errors for ending in endings]
    return [torch.load(folder / f"{rank}.pt") for rank in range(size)]
