"""The trained generators of both directions, or one, and their file."""

import os
from collections.abc import Mapping
from typing import Any

from ..networks import usual_defaults, within_size
from ..training import checkpoint
from .config import ModelConfig
from .networks import Generators

SLACK = 2**16
"""Numbers that a network may have beside what its file holds of it."""


def save_translator(path: str | os.PathLike[str], model: Generators, metadata: Mapping[str, Any] | None = None) -> None:
    """Write what `load_translator` takes: weights, their configuration, and any JSON-able ``metadata``."""
    checkpoint.write(path, "translator", model.state_dict(), {"model": vars(model.config), **(metadata or {})})


def load_translator(path: str | os.PathLike[str]) -> tuple[Generators, dict[str, Any]]:
    """Generators ready to translate, on the CPU and in eval mode, and the file's metadata.

    Raises ``CheckpointError`` if the file is no translator checkpoint, is damaged, or its weights are not finite or do not fit
    the networks its configuration describes; ``OSError`` if it cannot be opened.
    """
    tensors, metadata = checkpoint.read(path, "translator")
    try:
        config = ModelConfig(**metadata["model"])
        stored = sum(tensor.numel() for tensor in tensors.values())
        with usual_defaults(), within_size(2 * stored + SLACK):
            model = Generators(config)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise checkpoint.unknown_model(path, error) from error
    checkpoint.load_module(path, model, tensors)
    return model.eval(), metadata
