"""The model in the package, and how it is made of a training run's.

    make model      # trains it, then: python -m huenet.color_transfer.packaged runs/model/generator.safetensors

docs/model.md is its card.
"""

import sys
from pathlib import Path

from ..training import checkpoint

PACKAGED = Path(__file__).with_name("general.safetensors")
MADE_BY = "huenet train --drawn 4000 --preset general --out runs/model"
LARGEST = 8 * 10**6
"""Bytes that it adds to the package at most."""


def pack(run: Path, out: Path, **made: str) -> None:
    """A ``generator.safetensors`` in half precision, with what it was `made` by in place of the names of its pictures.

    Raises `CheckpointError` for another file, ``ValueError`` for one of more than `LARGEST` bytes.
    """
    tensors, metadata = checkpoint.read(run, "generator")
    halves = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    kept = {name: metadata[name] for name in ("model", "config", "step", "pixels")}
    checkpoint.write(out, "generator", halves, {**kept, **made})
    if (size := out.stat().st_size) > LARGEST:
        out.unlink()
        raise ValueError(f"{out} must have at most {LARGEST} bytes, got {size}")


if __name__ == "__main__":
    pack(Path(sys.argv[1]), PACKAGED, made_by=MADE_BY, commit=sys.argv[2], licence="MIT")
    print(f"written to {PACKAGED}: {PACKAGED.stat().st_size} bytes")
