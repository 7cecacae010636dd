"""What the training loop asks of whatever it trains."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from PIL import Image
from torch import Tensor

from .config import BaseConfig
from .distributed import World

DataIdentity = Mapping[str, Sequence[str] | str]
"""What tells a system's data from other data, by key: file names as sequences, digests as strings."""


class System(Protocol):
    """Something with a step, a state, and samples to show, built on its data and for one `World`.

    The loop (`training.run`) decides when to step, log, sample, save and stop; all else is the system's. It must be built the same
    from the same settings in every process, and what a step does must follow from its state, its data and the step's number.

    Unpaired translation between folders A and B (two generators, two discriminators, an image pool) is one, `huenet/translation`:

    - Two folders are two streams in the system; `step` asks each for its batch of the step. `data` has names and a digest of each.
    - Both generators are one module and one name in `TrainedNetworks`, and so are the discriminators: a step descends once with
      each, along the sum of its losses, and DistributedDataParallel sees one pass. Each loss has a name in `losses`, "total" first.
    - The image pool is tensors in `state`: the pictures kept, and how many. What is drawn from it follows from the step's seed.
      It is of the joint batch, which processes gather, so that it is the same in all of them, whatever their number.
    - Its methods (presets of weights) are its `config`, a `BaseConfig` with groups of its own; a network or pool that the
      settings leave out is left out of `state`.
    - `sample` shows a row each of A, A to B, and back; `export` writes both generators as one file, under prefixes.
    """

    @property
    def config(self) -> BaseConfig:
        """Every setting that decides the result: stored in checkpoints, and compared when a run is resumed.

        Of its group ``train`` the loop reads ``steps``, ``schedule`` and ``batch_size``, by which images per second are counted.
        """

    @property
    def data(self) -> DataIdentity:
        """What tells this run's data from other data: stored in checkpoints, and compared when a run is resumed."""

    @property
    def world(self) -> World:
        """The processes that train, and this one's device."""

    @property
    def losses(self) -> Sequence[str]:
        """Names of what `step` returns, the columns of the metrics. The progress bar leaves out "total", the sum of others."""

    @property
    def result(self) -> str:
        """Name of the file that `export` writes, in the folder of the run."""

    def step(self, step: int) -> dict[str, Tensor]:
        """Train on this process's share of the batch of a step >= 0; returns its losses, detached scalars on the device."""

    def sample(self) -> Image.Image:
        """A picture of what the system does now to the same few examples. Called in the main process alone."""

    def state(self) -> dict[str, Tensor]:
        """Everything a step changes, as named tensors of any device. Called in every process after the same step."""

    def load_state(self, path: Path, tensors: dict[str, Tensor]) -> None:
        """The inverse of `state`, in every process. Raises `CheckpointError` naming ``path`` if the tensors do not fit."""

    def export(self, path: Path, metadata: Mapping[str, Any]) -> None:
        """Write what users load of the system as it is now, with the JSON-able metadata. Called in the main process alone."""
