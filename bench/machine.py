"""What a run was made on: device, versions, commit, and the rates it reaches, which the roofline is drawn from."""

import functools
import importlib.metadata
import os
import platform
import subprocess
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from huenet.training.rates import device_name, matrix_rate

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGES = ("huenet", "torch", "triton", "numpy", "kornia", "monai", "POT", "pykeops")


def describe(device: str, threads: int) -> dict[str, Any]:
    """The device and its system."""
    common = {"device": device, "threads": threads, "cores": os.cpu_count(), "system": platform.platform()}
    common["python"] = platform.python_version()
    common["load"] = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    if device == "cpu":
        return {**common, "name": device_name(torch.device(device))}
    properties = torch.cuda.get_device_properties(0)
    return {
        **common,
        "name": properties.name,
        "memory_bytes": properties.total_memory,
        "multiprocessors": properties.multi_processor_count,
        "driver": _driver(),
        "cuda": torch.version.cuda or torch.version.hip,
    }


def versions() -> dict[str, str]:
    """Installed versions of what is measured."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found | {"torch": torch.__version__}


def commit() -> dict[str, Any]:
    """The commit, and whether the working tree differs from it (beside results); None where there is no repository."""
    revision = _told("git", "rev-parse", "HEAD")
    changes = _told("git", "status", "--porcelain", "--", ".", ":!bench/results", ":!README.md") or ""
    return {"commit": revision, "dirty": bool(changes) if revision else None}


def told(threads: int, device: str = "cpu") -> str:
    """The machine, versions and commit in a line."""
    found = commit()
    changed = ", changed" if found["dirty"] else ""
    name, revision = describe(device, threads)["name"], (found["commit"] or "none")[:7]
    return f"{name}, {threads} thread{'s' * (threads != 1)}, torch {torch.__version__}, commit {revision}{changed}"


def rates(device: str) -> dict[str, float]:
    """Measured ceilings: bytes a second of a copy (read and written), and operations a second of matrix products by precision."""
    large = device == "cuda"
    found = {"bandwidth": _bandwidth((1 << 28) if large else (1 << 26), device)}
    rate = functools.partial(matrix_rate, torch.device(device), side=8192 if large else 1536)
    found["float32"] = rate(dtype=torch.float32)
    if large:
        allowed = torch.backends.cuda.matmul.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = True
        found["tf32"] = rate(dtype=torch.float32)
        torch.backends.cuda.matmul.allow_tf32 = allowed
        found["bfloat16"] = rate(dtype=torch.bfloat16)
    return found


def _bandwidth(count: int, device: str) -> float:
    source = torch.empty(count, dtype=torch.float32, device=device).normal_()
    target = torch.empty_like(source)
    return 2 * source.numel() * source.element_size() / _best(lambda: target.copy_(source), device)


def _best(call: Callable[[], object], device: str, rounds: int = 5) -> float:
    """Seconds of the fastest call."""
    finish = torch.cuda.synchronize if device == "cuda" else lambda: None
    return min(timeit.repeat(lambda: (call(), finish()), number=1, repeat=rounds + 1)[1:])


def _driver() -> str | None:
    told = _told("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", timeout=20)
    return told.splitlines()[0].strip() if told else None


def _told(*command: str, timeout: float | None = None) -> str | None:
    """What a command prints, None where it fails or is not there."""
    try:
        settings = {"cwd": REPOSITORY, "capture_output": True, "text": True, "check": True, "timeout": timeout}
        return subprocess.run(command, **settings).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
