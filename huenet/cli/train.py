"""`huenet train`."""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from ..color_transfer.config import Config, LossConfig, ModelConfig, TrainConfig
from ..color_transfer.presets import PRESETS
from ..training.config import RunConfig
from .folders import read_folders
from .mistakes import Mistake, must_be_writable, needs_extra, user_input

if TYPE_CHECKING:
    from ..data import Photos
    from ..training.protocol import System


@dataclasses.dataclass(frozen=True)
class Train:
    """Train on a folder of photos, or on drawn pictures.

    Stopped or killed, the same command goes on from the last checkpoint.

        huenet train --data photos --out run --preset small --hold-out 30
        huenet train --data photos --out run --size 128 --mi-weight 0
        torchrun --nproc-per-node 8 -m huenet train --data photos --out run
        huenet train --drawn 3000 --out run --preset general

    OUT receives checkpoint.safetensors, generator.safetensors (for transfer and evaluate), metrics.csv, the same for
    TensorBoard, and samples/. The defaults shown below are those of the chosen preset: try --preset small --help.
    """

    out: Path
    """Folder of the training run."""
    model: ModelConfig
    loss: LossConfig
    train: TrainConfig
    run: RunConfig
    data: Path | None = None
    """Folder of photos: any mode, size and orientation."""
    drawn: int | None = None
    """Train on so many procedural pictures, of flowers and other scenes, in place of photos."""
    recursive: bool = False
    """Take the photos of subfolders too."""
    cache: Path | None = None
    """Folder for the decoded photos of --data, which are read from there instead of memory, by all processes of the machine. None:
    memory, and OUT/cache for more than a gigabyte."""
    preset: Literal["paper", "default", "small", "general"] = "default"
    """Settings to start from: the paper to the letter, the best pictures, a quarter of an hour on two CPU cores, or those of the
    model in the package."""

    def execute(self) -> int:
        needs_extra("train")
        from ..color_transfer.system import ColorTransfer
        from ..training.distributed import joined

        config = Config(self.model, self.loss, self.train)
        with contextlib.ExitStack() as stack:
            with user_input():
                world = stack.enter_context(joined(self.run.device, self.run.compiler))
                if not world.main:
                    warnings.simplefilter("ignore")
                system = ColorTransfer(config, self._photos(), world)
            return run_training(system, self.out, self.run)

    def _photos(self) -> Photos:
        from ..data.scenes import scenes

        if (self.data is None) == (self.drawn is None):
            given = "neither" if self.data is None else "both"
            raise Mistake(f"give --data, a folder of photos, or --drawn, a number of pictures to draw: got {given}")
        size, train = self.model.size, self.train
        if self.data is None:
            if self.cache is not None:
                raise Mistake(f"--cache is for the photos of --data: got {self.cache} with --drawn")
            must_be_writable(self.out)
            return scenes(self.drawn, size, train.seed, margin=True)
        (photos,) = read_folders([self.data], size, self.out, self.cache, self.recursive)
        return photos


def preset_defaults(arguments: Sequence[str]) -> Train:
    """The train command's defaults, which depend on --preset wherever it stands; tyro judges its value."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--preset", nargs="?")
    name = parser.parse_known_args(arguments)[0].preset
    name = name if name in PRESETS else "default"
    return Train(out=tyro.MISSING, preset=name, run=RunConfig(), **vars(PRESETS[name]))


def run_training(system: System, out: Path, run: RunConfig) -> int:
    """Train and say how it went; returns the exit code."""
    from ..training.run import TrainingError, TrainingRun

    with user_input():
        training = TrainingRun(system, out, run)
    with contextlib.closing(training):
        try:
            outcome = training.proceed()
        except TrainingError as error:
            raise Mistake(str(error)) from error
    by = outcome.stopped_by
    if by is None:
        said = f"trained {outcome.step} steps: {out / system.result}"
    else:
        how_far = f"after step {outcome.step} of {system.config.train.steps}"
        said = f"stopped ({by if by == 'time' else by.name}) {how_far}; the same command goes on from there"
    if system.world.main:
        print(said)
    return 0 if by in (None, "time") else 128 + by
