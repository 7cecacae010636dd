"""The command line. A user's mistake ends in one line on stderr and exit code 2; a traceback means a bug."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import inspect
import io
import itertools
import os
import re
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal, Union, get_type_hints

import tyro

from .. import __version__
from ..color_transfer.config import LossConfig, ModelConfig, TrainConfig
from ..color_transfer.presets import PRESETS
from ..training.config import RunConfig


class Mistake(Exception):
    """Something only the user can put right; the message says what."""


@dataclasses.dataclass(frozen=True)
class Demo:
    """Train a small Hue-Net, evaluate it and paint pictures, in a few minutes on two CPU cores.

    Without --data it learns from a procedural flower garden. The same command again shows the finished result, or goes on.

        huenet demo
        huenet demo --data photos --out photos-demo
    """

    out: Path = Path("huenet-demo")
    """Folder for the pictures, metrics and the trained model."""
    data: Path | None = None
    """Folder of photos to use instead of the garden."""
    minutes: float = 3.0
    """Longest time to train, in minutes."""
    seed: int = 0
    """Seed of everything random, the garden included."""


@dataclasses.dataclass(frozen=True)
class Train:
    """Train on a folder of photos.

    Stopped or killed, the same command goes on from the last checkpoint.

        huenet train --data photos --out run --preset small --hold-out 30
        huenet train --data photos --out run --size 128 --mi-weight 0
        torchrun --nproc-per-node 8 -m huenet train --data photos --out run

    OUT receives checkpoint.safetensors, generator.safetensors (for transfer and evaluate), metrics.csv, the same for
    TensorBoard, and samples/. The defaults shown below are those of the chosen preset: try --preset small --help.
    """

    data: Path
    """Folder of photos: any mode, size and orientation."""
    out: Path
    """Folder of the training run."""
    model: ModelConfig
    loss: LossConfig
    train: TrainConfig
    run: RunConfig
    preset: Literal["paper", "default", "small"] = "default"
    """Settings to start from: the paper to the letter, the best pictures, or a quarter of an hour on two CPU cores."""


@dataclasses.dataclass(frozen=True)
class Transfer:
    """Paint a photo, or every photo of a folder, with the colours of another one.

    Hues change; saturation and brightness stay. The output has the source's size.

        huenet transfer --checkpoint run/generator.safetensors source.jpg target.jpg --out painted.png
        huenet transfer --checkpoint run/generator.safetensors photos target.jpg --out painted
    """

    source: tyro.conf.Positional[Path]
    """Photo to paint, of any size, or a folder of photos."""
    target: tyro.conf.Positional[Path]
    """Photo that has the colours."""
    checkpoint: Path
    """A training run's generator.safetensors."""
    out: Path
    """File to write, or for a folder of photos the folder to write to."""
    device: str = "auto"
    """cpu, cuda, ... auto: the GPU where there is one."""


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Measure a trained model as the paper's Table 1 does, beside two classical methods, with figures.

    If DATA is the folder the model was trained on, only the photos held out of training are used.

        huenet evaluate --checkpoint run/generator.safetensors --data photos --out report
    """

    checkpoint: Path
    """A training run's generator.safetensors."""
    data: Path
    """Folder of photos."""
    out: Path
    """Folder for table1.md, table1.json and the figures."""
    pairs: int = 200
    """Source and target pairs."""
    without_mi: Path | None = None
    """generator.safetensors of a model trained with --mi-weight 0, for the table's last column."""
    seed: int = 0
    """Seed that draws the pairs."""
    device: str = "auto"
    """cpu, cuda, ... auto: the GPU where there is one."""


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Try one of the other losses on real photos: a figure and its numbers, within a minute.

    structure and harmonic want a folder of pairs, NAME_A a photo and NAME_B its map; contextual any photos.

        huenet experiment structure --data maps/val_paired --out experiments
    """

    loss: tyro.conf.Positional[Literal["structure", "contextual", "harmonic"]]
    """Which loss."""
    data: Path
    """Folder of images."""
    out: Path
    """Folder for LOSS.png and LOSS.json."""
    seed: int = 0
    """Seed of everything random."""


COMMANDS = (Demo, Train, Transfer, Evaluate, Experiment)
Command = Demo | Train | Transfer | Evaluate | Experiment
_DESCRIPTION = """Paint photos with the colours of other photos: train, use and evaluate Hue-Net (arXiv:1912.06044).

Start with `huenet demo`; `huenet COMMAND --help` tells all about a command."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 2 after an error that is told in one line, 130 after Ctrl-C."""
    # Threads that spin while they wait for each other come to a crawl where other programs want the cores too: with two busy
    # neighbours on two cores, a training step took four times as long. Torch's OpenMP reads this when it is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if isinstance(sys.stdout, io.TextIOWrapper):  # file names may have letters that the terminal's encoding lacks
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        command = parse(sys.argv[1:] if arguments is None else arguments)
        from . import commands  # only now, since torch takes seconds to import: `huenet --help` answers at once

        return commands.run(command)
    except BrokenPipeError:  # whoever read our output has gone; nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Mistake, OSError) as error:
        print(f"huenet: error: {_in_one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("huenet: interrupted", file=sys.stderr)
        return 130


def parse(arguments: Sequence[str]) -> Command:
    """The command that the arguments spell. Raises `Mistake` for wrong ones, ``SystemExit(0)`` after showing help."""
    if list(arguments) == ["--version"]:
        print(__version__)
        raise SystemExit(0)
    _check_options(arguments)
    defaults = {Train: _preset_defaults(arguments)}
    subcommands = []
    for kind in COMMANDS:
        name, text = kind.__name__.lower(), inspect.cleandoc(kind.__doc__ or "")
        described = text if name in arguments[:1] else text.splitlines()[0]
        subcommands.append(
            Annotated[kind, tyro.conf.subcommand(name, description=described, default=defaults.get(kind, tyro.MISSING_NONPROP))]
        )
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(
                Union[tuple(subcommands)],  # noqa: UP007, since it is made at run time
                prog="huenet",
                args=arguments,
                description=_DESCRIPTION,
                config=(tyro.conf.OmitArgPrefixes, tyro.conf.PositionalMetavarFromFieldName),
            )
    except SystemExit as end:
        if end.code:
            raise Mistake(_unboxed(complaint.getvalue())) from None
        raise


def _check_options(arguments: Sequence[str]) -> None:
    """Raises `Mistake` for an option its command does not have, which tyro may take for a missing photo."""
    kind = {kind.__name__.lower(): kind for kind in COMMANDS}.get(arguments[0] if arguments else "")
    if kind is None:
        return
    known = {"--help", *_options(kind)}
    for argument in itertools.takewhile("--".__ne__, arguments[1:]):
        option = argument.split("=")[0].replace("_", "-")
        if option.startswith("--") and option not in known:
            near = difflib.get_close_matches(option, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"huenet {arguments[0]} --help lists them"
            raise Mistake(f"huenet {arguments[0]} has no option {argument.split('=')[0]}: {hint}")


def _options(kind: type) -> Iterator[str]:
    """The options that the fields of a dataclass, and of those within it, become."""
    for name, annotation in get_type_hints(kind).items():
        if dataclasses.is_dataclass(annotation):
            yield from _options(annotation)
        else:
            option = name.replace("_", "-")
            yield from (f"--{option}", f"--no-{option}") if annotation is bool else (f"--{option}",)


def _preset_defaults(arguments: Sequence[str]) -> Train:
    """The train command's defaults, which depend on --preset wherever it stands; tyro judges its value."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--preset", nargs="?")
    name = parser.parse_known_args(arguments)[0].preset
    name = name if name in PRESETS else "default"
    preset = PRESETS[name]
    return Train(
        data=tyro.MISSING, out=tyro.MISSING, preset=name, model=preset.model, loss=preset.loss, train=preset.train, run=RunConfig()
    )


def _in_one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())


def _unboxed(complaint: str) -> str:
    """What tyro complains about, in one line: without the box it draws and the help it repeats."""
    lines = (line.strip("│ ") for line in complaint.splitlines())
    text = " ".join(line for line in lines if line and line[0] not in "╭╰")
    text = re.sub(r"Error parsing __tyro\S*: ", "", text)  # a setting's own check, whose message names the setting
    sections = [section.strip() for section in re.split("─+|-{4,}", text)]
    if "╭" not in complaint:  # where the terminal's encoding has no boxes, the title is a section of its own
        sections = sections[1:] or sections
    return "; ".join(section for section in sections if not section.startswith(("For full helptext", "Argument helptext")))
