"""Whether a checkpoint belongs to the run that would go on from it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .checkpoint import CheckpointError
from .config import BaseConfig
from .protocol import DataIdentity


def check_same_run(path: Path, metadata: Mapping[str, Any], config: BaseConfig, data: DataIdentity) -> None:
    """Raises `CheckpointError` saying which settings or data of the run saved at ``path`` are not those of the current one.

    Steps may grow if the schedule is constant.
    """
    try:
        changes = changed_settings(config.from_dict(metadata["config"]), config)
        done, before = int(metadata["step"]), {key: metadata[key] for key in data}
        different = _names(before) ^ _names(data)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} describes no run this version knows: {error}") from error
    if config.train.schedule == "constant" and config.train.steps >= done:
        changes = [change for change in changes if not change.startswith("--steps:")]
    if changes:
        raise CheckpointError(f"{path} was trained with other options ({'; '.join(changes)}): repeat them, or choose another --out")
    if different:
        raise CheckpointError(
            f"{path} was trained on other photos ({len(different)} differ, such as {min(different)}): "
            "use the same --data, or choose another --out"
        )
    if any(before[key] != value for key, value in data.items() if isinstance(value, str)):
        raise CheckpointError(f"{path} was trained on other photos of the same names: use the same --data, or choose another --out")


def changed_settings(old: BaseConfig, new: BaseConfig) -> list[str]:
    """One line per setting in which two configurations differ, as ``--option: old -> new``."""
    before, after = old.as_dict(), new.as_dict()
    return [
        f"--{name.replace('_', '-')}: {before[group][name]} -> {after[group][name]}"
        for group in before
        for name in before[group]
        if before[group][name] != after[group][name]
    ]


def _names(data: DataIdentity) -> set[str]:
    return {name for value in data.values() if not isinstance(value, str) for name in value}
