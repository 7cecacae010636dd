"""How much of a device's arithmetic a step uses: its operations, counted, over the device's peak, known or measured."""

import functools
import platform
import re
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

TERA = 1e12
#: Peaks of matrix products in operations a second by the device's name, as torch tells it, and by kind of number: from vendors'
#: data sheets, without sparsity. "tf32" is what convolutions of float32 take there, unless told not to. The first that fits counts.
PEAKS: dict[str, dict[str, float]] = {
    "NVIDIA A100": {"bfloat16": 312 * TERA, "tf32": 156 * TERA, "float32": 19.5 * TERA, "float64": 19.5 * TERA},
    "NVIDIA H100 PCIe": {"bfloat16": 756 * TERA, "tf32": 378 * TERA, "float32": 51 * TERA, "float64": 51 * TERA},
    "NVIDIA H100": {"bfloat16": 989 * TERA, "tf32": 494 * TERA, "float32": 67 * TERA, "float64": 67 * TERA},
    "NVIDIA H200": {"bfloat16": 989 * TERA, "tf32": 494 * TERA, "float32": 67 * TERA, "float64": 67 * TERA},
    "NVIDIA L40S": {"bfloat16": 362 * TERA, "tf32": 183 * TERA, "float32": 91.6 * TERA},
    "NVIDIA L4": {"bfloat16": 121 * TERA, "tf32": 60 * TERA, "float32": 30.3 * TERA},
    "NVIDIA GeForce RTX 4090": {"bfloat16": 165 * TERA, "tf32": 82.6 * TERA, "float32": 82.6 * TERA},
    "NVIDIA GeForce RTX 3090": {"bfloat16": 71 * TERA, "tf32": 35.6 * TERA, "float32": 35.6 * TERA},
}


MEMORY = r"([ -](SXM\d*|PCI[Ee]|\d+GB|HBM\w+))*"
"""What names may end with: as of A100-SXM4-80GB."""


class Operations(TorchDispatchMode):
    """Context that counts the operations of matrix products and convolutions by torch's own formulas: two for each product and sum,
    forward and backward. What else is computed counts nothing, and nothing is computed otherwise."""

    def __init__(self) -> None:
        super().__init__()
        from torch.utils.flop_counter import flop_registry  # which loads triton

        self.count, self.formulas = 0, flop_registry

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = function(*args, **(kwargs or {}))
        if (formula := self.formulas.get(function.overloadpacket)) is not None:
            self.count += formula(*args, **(kwargs or {}), out_val=output)
        return output


def device_name(device: torch.device) -> str:
    """As its maker calls it, as far as the system tells."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def peak(device: torch.device, dtype: torch.dtype) -> float | None:
    """Operations a second at which the device multiplies matrices of such numbers: of an accelerator what its vendor says, of a CPU
    what is measured, once, with as many threads as torch has. None where neither is known."""
    if device.type == "cpu":
        return _of_cpu(dtype, torch.get_num_threads())
    return known_peak(device_name(device), dtype) if device.type == "cuda" else None


def known_peak(name: str, dtype: torch.dtype) -> float | None:
    """Of `PEAKS`: the entry that the device's name is, but for what it says of its socket and memory."""
    kind = str(dtype).removeprefix("torch.")
    if dtype == torch.float32 and torch.backends.cudnn.allow_tf32:
        kind = "tf32"
    named = (rates.get(kind) for start, rates in PEAKS.items() if re.fullmatch(re.escape(start) + MEMORY, name))
    return next(named, None)


@functools.cache
def _of_cpu(dtype: torch.dtype, threads: int) -> float:
    return matrix_rate(torch.device("cpu"), dtype, side=768)


def matrix_rate(device: torch.device, dtype: torch.dtype, side: int, rounds: int = 5) -> float:
    """Operations a second of the fastest of some products of square matrices."""
    generator = torch.Generator(device).manual_seed(0)
    a, b = torch.randn(2, side, side, device=device, generator=generator).to(dtype)
    return 2 * side**3 / min(_seconds(a, b) for _ in range(rounds + 1))


def _seconds(a: Tensor, b: Tensor) -> float:
    start = time.perf_counter()
    product = a @ b
    if product.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start
