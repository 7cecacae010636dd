"""`huenet translate train` and `huenet translate apply`."""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import tyro

from ..training.config import RunConfig
from ..translation.config import MAX_MEGAPIXELS, Config, LossConfig, ModelConfig, TrainConfig
from ..translation.methods import METHODS, PRESETS, configuration
from .folders import read_folders
from .mistakes import needs_extra, outputs_are_not_inputs, user_input
from .train import run_training


@dataclasses.dataclass(frozen=True)
class TranslateTrain:
    """Train a translation between two kinds of photos, on a folder of each that are no pairs.

    A method is a preset of the terms' weights, and any mix works. Stopped or killed, the same command goes on from the last
    checkpoint.

        huenet translate train --a horses --b zebras --out run --preset small --structure-weight 5
        huenet translate train --a photos --b maps --out run --method gcgan-rot --directions a-to-b
        torchrun --nproc-per-node 8 -m huenet translate train --a horses --b zebras --out run --batch-size 8

    OUT receives checkpoint.safetensors, translator.safetensors (for apply), metrics.csv, the same for TensorBoard, and samples/.
    The defaults shown below are those of the chosen method and preset: try --method gan --preset digits --help.
    """

    a: Path
    """Folder of photos: any mode, size and orientation."""
    b: Path
    """Folder of photos of the other kind."""
    out: Path
    """Folder of the training run."""
    model: ModelConfig
    loss: LossConfig
    train: TrainConfig
    run: RunConfig
    recursive: bool = False
    """Take the photos of subfolders too."""
    cache: Path | None = None
    """Folder for the decoded photos, which are read from there instead of memory, by all processes of the machine. None: memory,
    and OUT/cache for more than a gigabyte."""
    method: Literal["gan", "cyclegan", "gcgan-rot", "gcgan-vf"] = "cyclegan"
    """Terms to start from: adversarial alone, with cycle, or with geometry consistency by rotation or vertical flip."""
    preset: Literal["photos", "digits", "small"] = "photos"
    """Networks and training to start from: CycleGAN's for photos, GcGAN's for digits of 32 pixels, or small ones for two
    CPU cores."""

    def execute(self) -> int:
        needs_extra("translate train")
        from ..training.distributed import joined
        from ..translation.system import Translation

        config = self._config()
        with contextlib.ExitStack() as stack:
            with user_input():
                world = stack.enter_context(joined(self.run.device, self.run.compiler))
                if not world.main:
                    warnings.simplefilter("ignore")
                where = self.out, self.cache, self.recursive
                photos = read_folders((self.a, self.b), config.model.size, *where, minimum=1, margin=config.train.crop)
                system = Translation(config, *photos, world)
            return run_training(system, self.out, self.run)

    def _config(self) -> Config:
        with user_input():
            return Config(self.model, self.loss, self.train)


@dataclasses.dataclass(frozen=True)
class TranslateApply:
    """Translate a photo, or every photo of a folder, with a trained translator.

    The output has the photo's size, transparency (png, webp, tiff), resolution, EXIF and XMP data, in sRGB, or grey where the
    target's photos are. No photo is ever overwritten.

        huenet translate apply --checkpoint run/translator.safetensors photos --out translated
        huenet translate apply --checkpoint run/translator.safetensors zebra.jpg --out translated --direction b-to-a
    """

    photos: tyro.conf.Positional[Path]
    """Photo to translate, of any size, or a folder of photos."""
    checkpoint: Path
    """A training run's translator.safetensors."""
    out: Path
    """Folder to write to."""
    direction: Literal["a-to-b", "b-to-a"] | None = None
    """Which way. None: a-to-b, or the only one that was trained."""
    recursive: bool = False
    """Translate the photos of subfolders too, into subfolders of OUT."""
    max_megapixels: float = MAX_MEGAPIXELS
    """Largest photo that is read, since a small file may claim any size; inf: any."""
    device: str = "auto"
    """cpu, cuda, ... auto: the GPU where there is one."""

    def execute(self) -> int:
        from ..translation.translator import Translator, translate_files

        with user_input():
            translate = Translator.load(self.checkpoint, self.device, self.max_megapixels)
            if self.photos.is_dir() and self.recursive:
                outputs_are_not_inputs(self.out, self.photos, recursive=True)
            for written in translate_files(translate, self.photos, self.out, self.direction, self.recursive):
                print(written)
        return 0


def translate_defaults(arguments: Sequence[str]) -> TranslateTrain:
    """The command's defaults, which depend on --method and --preset wherever they stand; tyro judges their values."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--method", nargs="?")
    parser.add_argument("--preset", nargs="?")
    given = parser.parse_known_args(arguments)[0]
    method = given.method if given.method in METHODS else TranslateTrain.method
    preset = given.preset if given.preset in PRESETS else TranslateTrain.preset
    settings = vars(configuration(method, preset))
    return TranslateTrain(
        a=tyro.MISSING, b=tyro.MISSING, out=tyro.MISSING, method=method, preset=preset, run=RunConfig(), **settings
    )
