"""Checkpoints: safetensors files with JSON in their metadata, replaced atomically. No pickle.

A file of kind "generator" holds what painting needs, one of kind "translator" what translating needs, one of kind "training" a
whole training run. A reader finds the old file
or the new one, complete, whenever the writer is killed.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from ..files import must_be_a_file, replacing
from .config import BaseConfig, check_int
from .protocol import DataIdentity

Kind = Literal["generator", "translator", "training"]
VERSION = 1


class CheckpointError(ValueError):
    """A file that is no checkpoint, is damaged, or does not fit; the message names it."""


def write(path: str | os.PathLike[str], kind: Kind, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write tensors (any device, stored contiguously) and JSON-able metadata to ``path`` atomically and durably.

    Raises ``OSError`` if it cannot be written; the old file, if any, then stays.
    """
    header = {"format": "huenet", "version": str(VERSION), "kind": kind}
    header.update((key, json.dumps(value)) for key, value in metadata.items())
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # safetensors' own writing to a file would leave a part of random name, and a file that only its owner may read
    with replacing(path) as temporary:
        temporary.write_bytes(safetensors.torch.save(stored, header))


def read(path: str | os.PathLike[str], kind: Kind) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors, on the CPU, and metadata of a file that `write` made.

    Raises ``CheckpointError`` if it is something else, is damaged, or has numbers that are not finite, as no run writes
    them; ``OSError`` if it cannot be opened.
    """
    path = Path(path)
    must_be_a_file(path)
    with path.open("rb"):  # may be forbidden, an OSError, whatever safetensors would make of it
        pass
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            names = file.keys()
            tensors = {name: file.get_tensor(name) for name in names}
    except (safetensors.SafetensorError, MemoryError) as error:  # of memory: the header may say anything
        raise CheckpointError(f"{path} is damaged or no checkpoint: {error}") from error
    if header.pop("format", None) != "huenet" or header.pop("version", None) != str(VERSION):
        raise CheckpointError(f"{path} is not a huenet checkpoint of version {VERSION}")
    if (found := header.pop("kind", None)) != kind:
        raise CheckpointError(
            f"{path} is a {found} checkpoint where a {kind} checkpoint is needed "
            "(painting takes generator.safetensors, translating translator.safetensors, training checkpoint.safetensors)"
        )
    try:
        metadata = {key: json.loads(value) for key, value in header.items()}
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} has damaged metadata: {error}") from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise CheckpointError(f"{path} has weights that are not finite, such as {name}")
    return tensors, metadata


def kind_of(path: str | os.PathLike[str]) -> str | None:
    """The kind that a file says it is of; None where it says none, or cannot be read, as `read` tells."""
    try:
        must_be_a_file(path)
        with safetensors.safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get("kind")
    except (OSError, safetensors.SafetensorError, MemoryError):
        return None


def load_module(path: str | os.PathLike[str], module: torch.nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load a state dictionary. Raises ``CheckpointError`` naming ``path`` if names, shapes or kinds of numbers do not fit."""
    expected = module.state_dict()
    if different := sorted(expected.keys() ^ tensors.keys()):
        which = "lacks" if different[0] in expected else "has"
        raise CheckpointError(f"{path} holds another architecture's weights: it {which} {different[0]}")
    for name, tensor in tensors.items():
        if (shape := tuple(tensor.shape)) != (wanted := tuple(expected[name].shape)):
            raise CheckpointError(f"{path} holds another architecture's weights: {name} has shape {shape}, not {wanted}")
        if tensor.is_floating_point() != expected[name].is_floating_point():  # copying would turn one into the other
            raise CheckpointError(f"{path} has damaged weights: {name} is of {tensor.dtype}, not {expected[name].dtype}")
    module.load_state_dict(tensors)


def unknown_model(path: str | os.PathLike[str], error: Exception) -> CheckpointError:
    """Of a file whose metadata no network can be built by: ``error`` says why."""
    reason = repr(error) if isinstance(error, KeyError) else str(error).split("\n")[0]
    return CheckpointError(f"{path} describes no model this version knows: {reason}")


def flatten(state: Mapping[int | str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """An optimiser's state, ``state_dict()["state"]``, as tensors named ``index.key``."""
    return {f"{index}.{key}": value for index, entry in state.items() for key, value in entry.items()}


def unflatten(tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """The inverse of `flatten`."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    return state


def with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors renamed to ``prefix/name``."""
    return {f"{prefix}/{name}": value for name, value in tensors.items()}


def without_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of the tensors that `with_prefix` named, under their own names."""
    return {name.removeprefix(f"{prefix}/"): value for name, value in tensors.items() if name.startswith(f"{prefix}/")}


def check_same_run(path: Path, metadata: Mapping[str, Any], config: BaseConfig, data: DataIdentity) -> None:
    """Raises `CheckpointError` saying which settings or data of the run saved at ``path`` are not those of the current one.

    Steps may grow if the schedule is constant.
    """
    try:
        changes = changed_settings(config.from_dict(metadata["config"]), config)
        done, before = metadata["step"], {key: metadata[key] for key in data}
        check_int("step", done, 0, most=metadata["config"]["train"]["steps"])
        different = _names(before) ^ _names(data)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} describes no run this version knows: {error}") from error
    if config.train.schedule == "constant" and config.train.steps >= done:
        changes = [change for change in changes if not change.startswith("--steps:")]
    if changes:
        raise CheckpointError(f"{path} was trained with other options ({'; '.join(changes)}): repeat them, or choose another --out")
    remedy = "use the same ones, or choose another --out"
    if different:
        some = f"{len(different)} differ, such as {min(different)}"
        raise CheckpointError(f"{path} was trained on other photos ({some}): {remedy}")
    if any(before[key] != value for key, value in data.items() if isinstance(value, str)):
        raise CheckpointError(f"{path} was trained on other photos of the same names: {remedy}")


def changed_settings(old: BaseConfig, new: BaseConfig) -> list[str]:
    """One line per setting in which two configurations differ, as ``--option: old -> new``."""
    before, after = old.as_dict(), new.as_dict()
    both = ((name, value, after[group][name]) for group, settings in before.items() for name, value in settings.items())
    return [f"--{name.replace('_', '-')}: {was} -> {now}" for name, was, now in both if was != now]


def _names(data: DataIdentity) -> set[str]:
    return {name for value in data.values() if not isinstance(value, str) for name in value}
